/** Key rotation without downtime: `bulkhead keys rotate` while two hosts run on one database, with secrets and encrypted texts in use. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parseMasterKeys } from '../../src/secrets/master-key.ts';
import { temporaryFolder } from '../support/embedded.ts';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { openGround, seedTenant, startHost } from '../support/host.ts';
import { Tenant } from '../support/tenant.ts';
import { appCode } from '../support/totp.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const run = promisify(execFile);

const MASTER_KEY = fileURLToPath(new URL('../../src/secrets/master-key.ts', import.meta.url));

const MEMBERS = `
  async createJob() { return { status: 'success' }; }
  sign(text) { return this.secrets.hmac('api_key', text); }
  seal(text) { return this.crypt.encryptString(text); }
  unseal(sealed) { return this.crypt.decryptString(sealed); }
`;

/** Which master key a blob is under: bytes 1 to 4. */
const keyOf = (blob: Uint8Array): string => Buffer.from(blob.subarray(1, 5)).toString('hex');

it('a new key takes over while hosts run; older blobs open meanwhile and afterwards', async () => {
  await using ground = await openGround();
  await using first = await startHost(ground);
  await using second = await startHost(ground);
  const onFirst = await seedTenant(first.bulkhead);
  await first.publish({
    name: 'Keeper',
    members: MEMBERS,
    manifest: {
      settings: [{ key: 'api_key', type: 'secret', title: 'Key' }],
      permissions: { tasks: true, secrets: { api_key: { title: 'Key', hosts: [] } } },
    },
  });
  await onFirst.installed('Keeper', { api_key: 'a-long-secret-value' });
  const onSecond = await Tenant.find(second.bulkhead, onFirst.slug);
  const signature = await onFirst.call('Keeper', 'sign', 'text');
  const sealed = await onFirst.call('Keeper', 'seal', 'before');
  const { db } = first.bulkhead.panel;
  const keys = async () => {
    const rows = await db.selectFrom('secrets').select('ciphertext').execute();
    const identity = await db
      .selectFrom('settings')
      .select('value')
      .where('key', '=', 'deployment')
      .executeTakeFirstOrThrow();
    const blobs = [
      ...rows.map((row) => row.ciphertext),
      Buffer.from((identity.value as { sealed: string }).sealed, 'base64'),
    ];
    return blobs.map(keyOf);
  };
  const [old] = await keys();

  const { stdout } = await run(process.execPath, [MAIN, 'keys', 'rotate', '--data', ground.dataDir], {
    env: { PATH: process.env['PATH'] },
  });
  expect(stdout).toContain('a new key stands first; 1 older');
  expect((await stat(join(ground.dataDir, 'master.key'))).mode & 0o777).toBe(0o600);

  await until(
    'all that the host keeps is under the new key',
    async () => !(await keys()).includes(old ?? ''),
  );
  expect(new Set(await keys()).size).toBe(1);
  const after = await onFirst.call('Keeper', 'seal', 'after');
  for (const tenant of [onFirst, onSecond]) {
    expect(await tenant.call('Keeper', 'sign', 'text')).toBe(signature);
    expect(await tenant.call('Keeper', 'unseal', sealed)).toBe('before');
    expect(await tenant.call('Keeper', 'unseal', after)).toBe('after');
  }
  await using third = await startHost(ground);
  const onThird = await Tenant.find(third.bulkhead, onFirst.slug);
  expect(await onThird.call('Keeper', 'unseal', sealed)).toBe('before');
  expect(await onThird.call('Keeper', 'sign', 'text')).toBe(signature);
  expect([...first.faults, ...second.faults, ...third.faults]).toEqual([]);
});

it('is refused where the key comes from the environment, and before there is one', async () => {
  const rotate = (folder: string, more: Record<string, string>) =>
    run(process.execPath, [MAIN, 'keys', 'rotate', '--data', folder], {
      env: { PATH: process.env['PATH'], ...more },
    }).then(
      () => 'done',
      (error: { stderr: string }) => error.stderr,
    );
  expect(await rotate('/nonexistent', { BULKHEAD_MASTER_KEY: 'x' })).toContain(
    'comes from BULKHEAD_MASTER_KEY',
  );
  expect(await rotate('/nonexistent', {})).toContain('There is no /nonexistent/master.key');
});

/** The keys in a data folder's file, as text. */
async function keysOf(dataDir: string): Promise<string[]> {
  const path = join(dataDir, 'master.key');
  return parseMasterKeys(await readFile(path, 'utf8'), path).map((key) => key.toString('base64'));
}

async function keyFolder(path: string): Promise<string> {
  const key = randomBytes(32).toString('base64');
  await writeFile(join(path, 'master.key'), `${key}\n`, { mode: 0o600 });
  return key;
}

it('loses no key when several processes add one at once', async () => {
  using folder = temporaryFolder();
  const first = await keyFolder(folder.path);
  const script = `
    import { addMasterKey } from ${JSON.stringify(MASTER_KEY)};
    for (let n = 0; n < 20; n++) await addMasterKey({ dataDir: ${JSON.stringify(folder.path)}, env: {} });`;
  const adding = () => run(process.execPath, ['--input-type=module', '-e', script], { env: {} });
  await Promise.all([adding(), adding(), adding()]);
  const keys = await keysOf(folder.path);
  expect(new Set(keys).size).toBe(61);
  expect(keys.at(-1)).toBe(first);
  expect(await readdir(folder.path)).toEqual(['master.key']);
});

it('goes on where a process died while it changed the keys', async () => {
  using folder = temporaryFolder();
  await keyFolder(folder.path);
  const { stdout } = await run(process.execPath, ['-e', 'console.log(process.pid)'], { env: {} });
  await writeFile(join(folder.path, 'master.key.lock'), `${stdout.trim()} left\n`);
  await run(process.execPath, [MAIN, 'keys', 'rotate', '--data', folder.path], { env: {} });
  expect(await keysOf(folder.path)).toHaveLength(2);
  expect(await readdir(folder.path)).toEqual(['master.key']);
});

it('retires an older key when nothing needs it any more, and says what does until then', async () => {
  await using ground = await openGround();
  await using host = await startHost(ground);
  const tenant = await seedTenant(host.bulkhead);
  await host.publish({
    name: 'Notes',
    type: 'Plugin',
    members: `
      async activate() {
        await this.db.schema.createTable('notes').ifNotExists()
          .addColumn('id', 'integer', (c) => c.primaryKey()).addColumn('body', 'jsonb').execute();
        return 'success';
      }
      async add(id) {
        const body = JSON.stringify({ sealed: await this.crypt.encryptString('a note') });
        await this.db.insertInto('notes').values({ id, body }).execute();
      }
      async again(id) {
        const { body } = await this.db.selectFrom('notes').selectAll().where('id', '=', id).executeTakeFirst();
        const text = await this.crypt.decryptString(body.sealed);
        await this.db.updateTable('notes').set({ body: JSON.stringify({ sealed: await this.crypt.encryptString(text) }) }).execute();
        return text;
      }`,
    manifest: { permissions: { db: { tables: 2 } } },
  });
  await tenant.installed('Notes');
  await tenant.call('Notes', 'add', 1);
  const { twoFactor } = host.bulkhead.panel.auth;
  const setup = twoFactor?.begin(tenant.adminId, 'Panel', 'a@b.example');
  if (twoFactor === undefined || setup === undefined) throw new Error('there is no second factor');
  const now = Date.now();
  await twoFactor.confirm(tenant.adminId, setup.sealed, appCode(setup.key, now));

  const keys = (name: string): Promise<string> =>
    run(process.execPath, [MAIN, 'keys', name, '--data', ground.dataDir], {
      env: {
        DATABASE_URL: formatEndpoint(ground.host.endpoint),
        MODULES_DATABASE_URL: formatEndpoint(ground.modules.endpoint),
      },
    }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
  const settled = () => utimes(join(ground.dataDir, 'master.key'), new Date(0), new Date(0));
  await keys('rotate');
  expect(await keys('retire')).toContain('within the last 60 seconds');
  await settled();
  const old = (await keysOf(ground.dataDir)).at(-1);
  const secretOf = async () =>
    (
      await host.bulkhead.panel.db
        .selectFrom('accounts')
        .select('totp_secret')
        .where('id', '=', tenant.adminId)
        .executeTakeFirstOrThrow()
    ).totp_secret ?? new Uint8Array();
  const before = keyOf(await secretOf());
  await until('the app’s key to be under the new one', async () => keyOf(await secretOf()) !== before);
  const refused = await keys('retire');
  expect(refused).toContain('0 older taken out, 1 kept');
  expect(refused).toContain(`still needed: Plugin/Notes of ${tenant.slug}, table notes, column body (1)`);
  expect(await keysOf(ground.dataDir)).toContain(old);

  expect(await tenant.call('Notes', 'again', 1)).toBe('a note');
  expect(await keys('retire')).toContain('1 older taken out, 0 kept');
  expect(await keysOf(ground.dataDir)).not.toContain(old);
  await using restarted = await startHost(ground);
  const after = await Tenant.find(restarted.bulkhead, tenant.slug);
  expect(await after.call('Notes', 'again', 1)).toBe('a note');
  const code = appCode(setup.key, Math.max(now + 30_000, Date.now()));
  expect(await restarted.bulkhead.panel.auth.twoFactor?.check(tenant.adminId, code)).toBe(true);
  expect([...host.faults, ...restarted.faults]).toEqual([]);
});
