/** A backup is worth what comes out of it: a host that is gone is brought back from one file, and goes on where it stood. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { backUp } from '../../src/backup/backup.ts';
import { checkBackup, restore, type RestoreOptions } from '../../src/backup/restore.ts';
import { connectHost } from '../../src/database/connect.ts';
import { reachEmbedded } from '../../src/database/embedded/running.ts';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { createBulkhead } from '../../src/host.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { masterKeysOf } from '../../src/secrets/master-key.ts';
import { testDatabase, testModulesDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/embedded.ts';
import { type Ground, openGround, PASSWORD, seedTenant, startHost } from '../support/host.ts';
import { packSource } from '../support/modules.ts';
import { refusal, Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const PASSPHRASE = 'correct horse battery';
/** Quotes, a line end that is none to JSON, and a character of two halves. */
const AWKWARD = 'it\'s "so"\\n\u2028 \u{1F980}';

const LEDGER = {
  name: 'Ledger',
  members: `
  async activate() {
    await this.db.schema.createTable('books').ifNotExists()
      .addColumn('id', 'serial', (c) => c.primaryKey()).addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('shout', 'text', (c) => c.generatedAlwaysAs(sql\`upper(name)\`).stored()).execute();
    await this.db.schema.createTable('entries').ifNotExists()
      .addColumn('id', 'bigint', (c) => c.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('book_id', 'integer', (c) => c.references('books.id').onDelete('cascade').notNull())
      .addColumn('kind', 'varchar(10)', (c) => c.defaultTo('note').check(sql\`kind in ('note', 'sum')\`))
      .addColumn('body', 'text').addColumn('bytes', 'bytea').addColumn('more', 'jsonb').addColumn('amount', 'numeric(20, 6)')
      .addColumn('at', 'timestamptz', (c) => c.defaultTo(sql\`now()\`)).execute();
    await this.db.schema.createIndex('entries_by_kind').ifNotExists().on('entries').columns(['kind', 'at']).execute();
    return 'success';
  }
  async add(body) {
    const book = await this.db.insertInto('books').values({ name: 'b' + Math.random() }).returning('id').executeTakeFirstOrThrow();
    await this.db.insertInto('entries').values({ book_id: book.id, body, bytes: new Uint8Array([0, 255, 10]), more: JSON.stringify({ a: [null, 1.5] }), amount: '12345678901234.567891' }).execute();
    return this.crypt.encryptString(body);
  }
  async all() { return this.db.selectFrom('entries').innerJoin('books', 'books.id', 'entries.book_id').selectAll('entries').select('shout').orderBy('entries.id').execute(); }
  open(sealed) { return this.crypt.decryptString(sealed); }
  sign(text) { return this.secrets.hmac('api_key', text); }
  async createJob() { await this.add('by a job'); return { status: 'success' }; }
`,
  manifest: {
    settings: [{ key: 'api_key', type: 'secret', title: 'Key' }],
    permissions: { db: true, tasks: true, secrets: { api_key: { title: 'Key', hosts: [] } } },
  },
} as const;

async function seed(tenant: Tenant) {
  await tenant.installed('Ledger', { api_key: 'a-long-secret-value' });
  const sealed = await tenant.call('Ledger', 'add', AWKWARD);
  const { id: waiting } = await enqueueTask(tenant.panel.db, {
    installationId: await tenant.installationId('Ledger'),
    method: 'createJob',
  });
  return {
    slug: tenant.slug,
    waiting,
    sealed,
    rows: await tenant.call('Ledger', 'all'),
    signature: await tenant.call('Ledger', 'sign', 'text'),
  };
}

function signIn(tenant: Tenant, slug: string) {
  return tenant.panel.auth.signIn({
    kind: 'admin',
    tenantId: tenant.id,
    email: `admin@${slug}.example`,
    password: PASSWORD,
    address: '127.0.0.1',
    userAgent: '',
  });
}

/** Signs in, opens what was sealed, has the waiting job run, and makes rows: nothing less is a restore. */
async function expectAlive(tenant: Tenant, was: Awaited<ReturnType<typeof seed>>): Promise<void> {
  expect((await signIn(tenant, was.slug)).ok).toBe(true);
  expect(await tenant.call('Ledger', 'open', was.sealed)).toBe(AWKWARD);
  expect(await tenant.call('Ledger', 'sign', 'text')).toBe(was.signature);
  await until('the task that waited has run', async () => {
    const task = await tenant.panel.db
      .selectFrom('tasks')
      .select('status')
      .where('id', '=', was.waiting)
      .executeTakeFirstOrThrow();
    return task.status === 'completed';
  });
  const rows = (await tenant.call('Ledger', 'all')) as { id: number; body: string }[];
  expect(rows.slice(0, -1)).toEqual(was.rows);
  expect(rows.at(-1)).toMatchObject({ id: 2, body: 'by a job' });
}

function backUpGround(ground: Ground, file: string, keys?: Parameters<typeof backUp>[0]['keys']) {
  const { host, modules } = ground;
  return backUp({
    host: host.endpoint,
    modules: modules.endpoint,
    file,
    program: '0',
    ...(keys === undefined ? {} : { keys }),
  });
}

function into(ground: Ground, file: string): RestoreOptions {
  return {
    file,
    dataDir: ground.dataDir,
    databaseUrl: formatEndpoint(ground.host.endpoint),
    modulesDatabaseUrl: formatEndpoint(ground.modules.endpoint),
    env: {},
    log: () => undefined,
  };
}

it('a host whose databases are gone is brought back from a backup made while it ran', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'backup');
  const key = join(folder.path, 'master.key');
  const was = await (async () => {
    await using ground = await openGround();
    await using first = await startHost(ground);
    await first.publish(LEDGER);
    const tenant = await seedTenant(first.bulkhead);
    const seeded = await seed(tenant);
    expect((await signIn(tenant, seeded.slug)).ok).toBe(true);
    expect(await backUpGround(ground, file)).toMatchObject({ installations: 1 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await writeFile(key, await readFile(join(ground.dataDir, 'master.key')), { mode: 0o600 });
    await using beside = await openGround();
    await writeFile(join(beside.dataDir, 'master.key'), await readFile(key), { mode: 0o600 });
    expect(await refusal(() => restore(into(beside, file)))).toContain('their roles are the server');
    expect(await refusal(() => backUpGround(ground, file))).toContain('writes over nothing');
    return seeded;
  })();

  await using ground = await openGround();
  expect(await refusal(() => restore(into(ground, file)))).toContain('holds no master key');
  await writeFile(join(ground.dataDir, 'master.key'), await readFile(key), { mode: 0o600 });
  expect(await restore(into(ground, file))).toMatchObject({ installations: 1, requeued: 1 });
  // Who was signed in may have been signed out since, or put out.
  expect(await ground.host.db.selectFrom('sessions').select('id').execute()).toEqual([]);
  await using second = await startHost(ground, { worker: true });
  await expectAlive(await Tenant.find(second.bulkhead, was.slug), was);
  expect(second.faults).toEqual([]);
  expect(await refusal(() => restore(into(ground, file)))).toContain('has worked in this database already');
});

it('an embedded database comes back in another folder, with the key that was in the backup', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'backup');
  const env = {};
  const open = (dataDir: string) =>
    createBulkhead({ dataDir: join(folder.path, dataDir), publicUrl: 'http://127.0.0.1:4300', env });
  const first = await open('old');
  let was: Awaited<ReturnType<typeof seed>>;
  try {
    await first.publish(await packSource(LEDGER), { status: 'published' });
    was = await seed(await seedTenant(first));
    const masterKeys = await masterKeysOf({ dataDir: join(folder.path, 'old'), env });
    // The host runs, and holds the folder.
    await using postgres = await reachEmbedded(join(folder.path, 'old'));
    const at = { host: postgres.endpoint('bulkhead'), modules: postgres.endpoint('bulkhead_modules') };
    await backUp({
      ...at,
      file,
      program: '0',
      keys: { masterKeys: masterKeys ?? [], passphrase: PASSPHRASE },
    });
  } finally {
    await first.close();
  }
  const dataDir = join(folder.path, 'new');
  const how = { file, dataDir, env, log: () => undefined };
  expect(await refusal(() => restore(how))).toContain('under a passphrase');
  expect(await refusal(() => restore({ ...how, passphrase: 'a wrong passphrase' }))).toContain(
    'does not open',
  );
  await restore({ ...how, passphrase: PASSPHRASE });
  const second = await open('new');
  try {
    await second.startWorker();
    await expectAlive(await Tenant.find(second, was.slug), was);
  } finally {
    await second.close();
  }
});

it('what is not a whole backup of this line restores nothing, and what was begun is taken away again', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'backup');
  const key = join(folder.path, 'key');
  await (async () => {
    await using ground = await openGround();
    await using host = await startHost(ground);
    await host.publish(LEDGER);
    await seed(await seedTenant(host.bulkhead));
    await backUpGround(ground, file);
    await writeFile(key, await readFile(join(ground.dataDir, 'master.key')), { mode: 0o600 });
  })();
  await using ground = await openGround();
  await writeFile(join(ground.dataDir, 'master.key'), await readFile(key), { mode: 0o600 });
  const packed = await readFile(file);
  const lines = gunzipSync(packed).toString('utf8').split('\n');
  const broken = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(folder.path, name);
    await writeFile(path, bytes);
    return refusal(() => restore(into(ground, path)));
  };
  expect(await broken('cut', packed.subarray(0, packed.length - 20))).toContain('BAD_INPUT');
  expect(await broken('short', gzipSync(lines.slice(0, -2).join('\n') + '\n'))).toContain('was cut off');
  expect(await broken('fewer', gzipSync(lines.filter((_, at) => at !== 2).join('\n')))).toContain(
    'rows and has',
  );
  expect(await broken('other', gzipSync('hello\n'))).toContain('BAD_INPUT');
  const newer = lines.with(0, (lines[0] ?? '').replace('0001_foundation', '0001_other'));
  expect(await broken('newer', gzipSync(newer.join('\n')))).toContain('does not know');

  // Fails at the end of the modules' schema, when rows and roles are there.
  const bad = lines.map((line) => line.replace('add constraint entries_pkey', 'add constraint nonsense'));
  await writeFile(
    join(folder.path, 'bad'),
    gzipSync(bad.join('\n').replace('PRIMARY KEY (id)', 'PRIMARY KEY (nothing)')),
  );
  await expect(restore(into(ground, join(folder.path, 'bad')))).rejects.toThrow('nothing');
  await using modules = connectHost(ground.modules.endpoint, { max: 1 });
  expect(
    await modules.sql`select 1 from pg_namespace where starts_with(nspname, 'm_') or starts_with(nspname, 'bulkhead')`,
  ).toHaveLength(0);
  expect(await ground.host.db.selectFrom('tenants').select('id').execute()).toEqual([]);
  expect(await checkBackup(file)).toMatchObject({ header: { program: '0' } });
  await expect(restore(into(ground, file))).resolves.toMatchObject({ installations: 1 });
});

it('there is nothing to back up before a host has worked', async () => {
  using folder = temporaryFolder();
  await using host = await testDatabase();
  await using modules = await testModulesDatabase();
  const file = join(folder.path, 'backup');
  expect(
    await refusal(() => backUp({ host: host.endpoint, modules: modules.endpoint, file, program: '0' })),
  ).toContain('nothing to back up');
  await mkdir(join(folder.path, 'empty'));
  expect(await refusal(() => reachEmbedded(join(folder.path, 'empty')))).toContain('There is no database');
});
