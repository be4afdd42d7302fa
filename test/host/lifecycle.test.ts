/** A module's life at a tenant: enabled, updated, switched off, purged, removed; and what each leaves when it fails. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { useTestHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const DB = { db: { tables: 3, storage_mb: 10 } };
const TASKS = { tasks: { concurrency: 2, per_minute: 100 } };

const CREATE = `await this.db.schema.createTable('entries').ifNotExists().addColumn('text', 'text', (c) => c.notNull()).execute();`;

/** A module of a fresh name, so that each test has its own. */
function source(members: string, more: Partial<ModuleSource> = {}): ModuleSource {
  const name = `Life${randomBytes(4).toString('hex')}`;
  return { name, members, manifest: { permissions: { ...DB, ...TASKS } }, ...more };
}

async function published(members: string): Promise<string> {
  const made = source(members);
  await host().publish(made);
  return made.name;
}

describe('enabling', () => {
  it.each([
    ['returns an error', `return 'Error: the plan has no room';`, 'activate(): the plan has no room'],
    ['throws', `throw new Error('it broke');`, 'activate(): it broke'],
    ['returns nothing', ``, 'activate(): it did not return "success"'],
  ])(
    'a module whose activate() %s leaves the error’s text and nothing half made',
    async (_how, end, reason) => {
      const { a } = host();
      const name =
        await published(`async activate() { ${CREATE} await this.tasks.add({ method: 'tickJob' }); ${end} }
      tickJob() { return { status: 'success' }; }`);
      await expect(a.installed(name)).rejects.toMatchObject({ code: 'MODULE_ERROR' });
      expect(await a.installation(name)).toMatchObject({ status: 'error', status_reason: reason });
      expect(await a.tables(name)).toEqual([]);
      const queued = await a.panel.db
        .selectFrom('tasks')
        .select('id')
        .where('installation_id', '=', await a.installationId(name))
        .execute();
      expect(queued).toEqual([]);
      await expect(a.call(name, 'productFields')).rejects.toMatchObject({ code: 'CONFLICT' });
    },
  );

  it('queues what activate() queued once its tables are committed', async () => {
    const { a } = host();
    const name = await published(`
      async activate() { ${CREATE} await this.tasks.add({ method: 'tickJob' }); return 'success'; }
      async tickJob() { await this.db.insertInto('entries').values({ text: 'ticked' }).execute(); }
      async entries() { return (await this.db.selectFrom('entries').selectAll().execute()).map((row) => row.text); }`);
    await a.installed(name);
    const entries = await until('the job', async () => {
      const found = await a.call(name, 'entries');
      return Array.isArray(found) && found.length > 0 && found;
    });
    expect(entries).toEqual(['ticked']);
  });

  it('is refused for a module that is enabled', async () => {
    const { a } = host();
    const name = await published('');
    await a.installed(name);
    await expect(a.enable(name)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('is refused to tenants for a version that still waits in review', async () => {
    const { a, bulkhead } = host();
    const { packSource } = await import('../support/modules.ts');
    const { versionId } = await bulkhead.publish(await packSource(source('')), { status: 'in_review' });
    await expect(
      a.panel.catalog.install({ tenantId: a.id, versionId, accountId: a.adminId }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('an update', () => {
  const name = `Ledger${randomBytes(4).toString('hex')}`;
  const versionIds: Record<string, string> = {};
  const COMMON = `
    async add(text) { await this.db.insertInto('entries').values({ text }).execute(); }
    version() { return this.module_version; }
    async columns() { return Object.keys((await this.db.selectFrom('entries').selectAll().execute())[0] ?? {}).sort(); }`;

  async function publish(version: string, members: string, permissions: object = DB): Promise<void> {
    const { versionId } = await host().publish({
      name,
      version,
      manifest: { permissions },
      members: `${COMMON}\nasync activate() { ${CREATE} return 'success'; }\n${members}`,
    });
    versionIds[version] = versionId;
  }

  beforeAll(async () => {
    await publish('1.0.0', '');
    await host().a.installed(name);
    await host().a.call(name, 'add', 'kept');
    await publish(
      '1.1.0',
      `async update() {
        await this.db.schema.alterTable('entries').addColumn('note', 'text').execute();
        await this.db.updateTable('entries').set({ note: 'half' }).execute();
        return 'Error: the second half failed';
      }`,
    );
    await publish(
      '2.0.0',
      `async update(from) {
        await this.db.schema.alterTable('entries').addColumn('note', 'text').execute();
        await this.db.updateTable('entries').set({ note: from + ' ' + this.getCurrentVersion() }).execute();
        return 'success';
      }
      async notes() { return (await this.db.selectFrom('entries').select('note').execute()).map((row) => row.note); }`,
      { ...DB, http: { hosts: ['new.example.com'], methods: ['GET'] } },
    );
  });

  it('to an older or the same version, or to another module’s, is refused', async () => {
    const { a } = host();
    await expect(a.update(name, versionIds['1.0.0'] ?? '')).rejects.toMatchObject({ code: 'CONFLICT' });
    const { versionId } = await host().publish(source('', { version: '9.0.0' }));
    await expect(a.update(name, versionId)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await a.installation(name)).toMatchObject({ status: 'active', pending_version_id: null });
  });

  it('restricts the installation until it is accepted, and the old version goes on', async () => {
    const { a } = host();
    await a.update(name, versionIds['1.1.0'] ?? '');
    expect(await a.installation(name)).toMatchObject({ status: 'restricted' });
    expect(await a.call(name, 'version')).toBe('1.0.0');
  });

  it('that fails keeps the old version, its data as it was, and says why', async () => {
    const { a } = host();
    await expect(a.enable(name)).rejects.toMatchObject({ code: 'MODULE_ERROR' });
    expect(await a.installation(name)).toMatchObject({
      status: 'restricted',
      status_reason: 'update(): the second half failed',
    });
    expect(await a.call(name, 'version')).toBe('1.0.0');
    expect(await a.call(name, 'columns')).toEqual(['text']);
  });

  it('shows what it newly asks for, and waits for that', async () => {
    const { a } = host();
    await a.update(name, versionIds['2.0.0'] ?? '');
    const { version, lines } = await a.consent(name);
    expect(version).toBe('2.0.0');
    expect(lines.filter((line) => line.added).map((line) => line.id)).toEqual([
      'http.hosts:new.example.com',
      'http.methods:GET',
      'http.per_minute',
    ]);
    await expect(a.enable(name)).rejects.toMatchObject({ code: 'NOT_GRANTED' });
    expect(await a.call(name, 'version')).toBe('1.0.0');
  });

  it('that is accepted runs update(fromVersion) and puts the new version in force', async () => {
    const { a } = host();
    await a.grant(name);
    await a.enable(name);
    expect(await a.installation(name)).toMatchObject({
      status: 'active',
      status_reason: null,
      version_id: versionIds['2.0.0'],
      pending_version_id: null,
    });
    expect(await a.call(name, 'version')).toBe('2.0.0');
    expect(await a.call(name, 'notes')).toEqual(['1.0.0 1.0.0']);
  });
});

describe('an update of a module that is switched off', () => {
  it('leaves it off, and enabling it then updates its data and activates it', async () => {
    const { a } = host();
    const name = `Off${randomBytes(4).toString('hex')}`;
    const members = `
      async note(text) { await this.db.insertInto('entries').values({ text }).execute(); }
      async entries() { return (await this.db.selectFrom('entries').selectAll().execute()).map((row) => row.text); }
      async activate() { ${CREATE} await this.note('activate ' + this.module_version); return 'success'; }
      async update(from) { await this.note('update ' + from); return 'success'; }`;
    await host().publish({ name, members, manifest: { permissions: DB } });
    await a.installed(name);
    await a.disable(name);
    const { versionId } = await host().publish({
      name,
      version: '2.0.0',
      members,
      manifest: { permissions: DB },
    });
    await a.update(name, versionId);
    expect(await a.installation(name)).toMatchObject({ status: 'inactive' });
    await expect(a.call(name, 'entries')).rejects.toMatchObject({ code: 'CONFLICT' });
    await a.enable(name);
    expect(await a.installation(name)).toMatchObject({ status: 'active', version_id: versionId });
    expect(await a.call(name, 'entries')).toEqual(['activate 1.0.0', 'update 1.0.0', 'activate 2.0.0']);
  });

  it('that was never enabled is a first activation', async () => {
    const { a } = host();
    const name = `Never${randomBytes(4).toString('hex')}`;
    const members = `activate() { return 'success'; } update() { return 'Error: there is nothing to update'; }`;
    await host().publish({ name, members });
    await a.install(name);
    const { versionId } = await host().publish({ name, version: '1.0.1', members });
    await a.update(name, versionId);
    await a.enable(name);
    expect(await a.installation(name)).toMatchObject({ status: 'active', version_id: versionId });
  });
});

describe('switching off', () => {
  const MEMBERS = `
    async activate() { ${CREATE} return 'success'; }
    async add(text) { await this.db.insertInto('entries').values({ text }).execute(); }
    async entries() { return (await this.db.selectFrom('entries').selectAll().execute()).map((row) => row.text); }`;

  it('keeps data and grants, refuses calls, and activates on kept data later', async () => {
    const { a } = host();
    const name = await published(MEMBERS);
    await a.installed(name);
    await a.call(name, 'add', 'kept');
    await a.disable(name);
    expect(await a.installation(name)).toMatchObject({ status: 'inactive', status_reason: null });
    expect((await a.tables(name)).map(({ table }) => table)).toEqual(['entries']);
    await expect(a.call(name, 'entries')).rejects.toMatchObject({ code: 'CONFLICT' });
    await a.enable(name);
    expect(await a.call(name, 'entries')).toEqual(['kept']);
  });

  it.each([
    ['returns an error', `return 'Error: still busy';`, 'deactivate(): still busy'],
    ['throws', `throw new Error('no');`, 'deactivate(): no'],
    ['loops for ever', `for (;;);`, expect.stringMatching(/^deactivate\(\): /)],
    [
      'drops its tables',
      `await this.db.schema.dropTable('entries').execute(); return 'success';`,
      expect.stringMatching(/^deactivate\(\): /),
    ],
  ])('is not stopped by a deactivate() that %s', async (_how, body, reason) => {
    const { a } = host();
    const name = await published(`${MEMBERS} async deactivate() { ${body} }`);
    await a.installed(name);
    await a.disable(name);
    expect(await a.installation(name)).toMatchObject({ status: 'inactive', status_reason: reason });
    expect((await a.tables(name)).map(({ table }) => table)).toEqual(['entries']);
  });

  it('comes before purge and uninstall; purge drops the data and its roles, uninstall what is left', async () => {
    const { a } = host();
    const name = await published(MEMBERS);
    await a.installed(name);
    const { catalog } = a.panel;
    const { id, schema_name: schema } = await a.installation(name);
    await expect(catalog.purge(id, a.adminId)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(catalog.uninstall(id, a.adminId)).rejects.toMatchObject({ code: 'CONFLICT' });
    await a.disable(name);
    await expect(catalog.uninstall(id, a.adminId)).rejects.toMatchObject({
      message: expect.stringMatching(/still has data/),
    });
    await catalog.purge(id, a.adminId);
    const { sql } = a.bulkhead.databases.modules;
    const left = await sql`
      select nspname::text as name from pg_namespace where nspname = ${schema}
      union all select rolname from pg_roles where rolname like ${`%${schema?.slice(2) ?? ''}%`}`;
    expect([...left]).toEqual([]);
    await catalog.uninstall(id, a.adminId);
    await expect(a.installation(name)).rejects.toThrow('no result');
  });

  it('lets purge() clean up elsewhere first, and purges whatever it says', async () => {
    const { a } = host();
    const name = await published(
      `${MEMBERS} purge() { this.logInfo('purge', 'cleaned elsewhere'); throw new Error('not all'); }`,
    );
    await a.installed(name);
    await a.disable(name);
    await a.panel.catalog.purge(await a.installationId(name), a.adminId);
    const logs = await a.logs(name);
    expect(logs).toContainEqual('module info purge cleaned elsewhere');
    expect(logs).toContainEqual(expect.stringMatching(/^host error purge: MODULE_ERROR not all/));
    expect(await a.installation(name)).toMatchObject({ schema_name: null });
  });

  it('keeps a module that sells something from being uninstalled', async () => {
    const { a } = host();
    const name = await published('');
    await a.installed(name, {}, { without: ['db.tables', 'db.storage_mb'] }).catch(() => undefined);
    await a.grant(name);
    await a.enable(name);
    await a.product(name, `Sold by ${name}`);
    await a.disable(name);
    await expect(a.panel.catalog.uninstall(await a.installationId(name), a.adminId)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/belongs to this module/),
    });
  });
});

describe('a version that is revoked', () => {
  it('stops at once wherever it runs, and cannot be enabled or taken up again', async () => {
    const { a, b } = host();
    const made = source('hello() { return 1; }');
    const { versionId } = await host().publish(made);
    await a.installed(made.name);
    await b.install(made.name);
    await b.grant(made.name);
    expect(await a.call(made.name, 'hello')).toBe(1);
    await a.panel.packages.review({
      versionId,
      decision: 'revoked',
      reason: 'it steals',
      accountId: a.adminId,
    });
    await expect(a.call(made.name, 'hello')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/revoked by the operator: it steals/),
    });
    await expect(b.enable(made.name)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(a.panel.catalog.unpause(await a.installationId(made.name), a.adminId)).rejects.toMatchObject(
      { code: 'CONFLICT' },
    );
    await expect(a.call(made.name, 'hello')).rejects.toMatchObject({ code: 'CONFLICT' });
    await a.disable(made.name);
    expect(await a.installation(made.name)).toMatchObject({ status: 'inactive' });
  });

  it('runs again once it is published again and the pause is ended', async () => {
    const { a } = host();
    const made = source('hello() { return 1; }');
    const { versionId } = await host().publish(made);
    await a.installed(made.name);
    const review = async (decision: 'revoked' | 'published'): Promise<void> =>
      a.panel.packages.review({ versionId, decision, reason: '', accountId: a.adminId });
    await review('revoked');
    await review('published');
    await a.panel.catalog.unpause(await a.installationId(made.name), a.adminId);
    expect(await a.call(made.name, 'hello')).toBe(1);
  });

  it('cannot be accepted as an update that waited', async () => {
    const { a } = host();
    const made = source('hello() { return this.module_version; }');
    await host().publish(made);
    await a.installed(made.name);
    const { versionId } = await host().publish({ ...made, version: '2.0.0' });
    await a.update(made.name, versionId);
    await a.panel.packages.review({ versionId, decision: 'revoked', reason: '', accountId: a.adminId });
    await expect(a.enable(made.name)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await a.call(made.name, 'hello')).toBe('1.0.0');
  });
});
