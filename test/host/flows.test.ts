/**
 * What a host was doing with a module when it died with -9 is finished by the next start, wherever it died; and one thing is done with a
 * module at a time.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { type Ground, openGround, seedTenant, startHost } from '../support/host.ts';
import { Tenant } from '../support/tenant.ts';

const MANIFEST = { permissions: { db: { tables: 3, storage_mb: 10 }, tasks: true } };
const MEMBERS = `
  async activate() {
    await this.db.schema.createTable('rows').ifNotExists().addColumn('text', 'text').execute();
    return 'success';
  }
  async update() {
    await this.db.schema.createTable('more').ifNotExists().addColumn('text', 'text').execute();
    return 'success';
  }
  version() { return this.module_version; }`;

const freshName = (): string => `Flow${randomBytes(4).toString('hex')}`;

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
});
afterAll(async () => ground[Symbol.asyncDispose]());

type Action = 'enable' | 'disable' | 'purge';

/** Does it in another process, which kills itself at the checkpoint. @returns the signal that ended it, and what it said */
async function dieIn(a: Tenant, name: string, action: Action, dieAt: string): Promise<unknown> {
  const script = fileURLToPath(new URL('../support/host-child.ts', import.meta.url));
  const order = {
    dataDir: ground.dataDir,
    databaseUrl: formatEndpoint(ground.host.endpoint),
    modulesDatabaseUrl: formatEndpoint(ground.modules.endpoint),
    installationId: await a.installationId(name),
    accountId: a.adminId,
    action,
    dieAt,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [script, JSON.stringify(order)], (error, stdout, stderr) =>
      resolve({ signal: error?.signal, said: stdout + stderr }),
    );
  });
}

const KILLED = { signal: 'SIGKILL', said: '' };

describe('a host that was killed with -9', () => {
  it('in the middle of enabling, updating and purging has done it after the next start', async () => {
    const names = {
      schema: freshName(),
      done: freshName(),
      update: freshName(),
      off: freshName(),
    };
    let slug: string;
    {
      await using first = await startHost(ground);
      const a = await seedTenant(first.bulkhead);
      slug = a.slug;
      for (const name of Object.values(names)) {
        await first.publish({ name, members: MEMBERS, manifest: MANIFEST });
        await a.install(name);
        await a.grant(name);
      }
      await a.enable(names.update);
      await a.enable(names.off);
      await a.disable(names.off);
      const next = { name: names.update, version: '2.0.0', members: MEMBERS, manifest: MANIFEST };
      await a.update(names.update, (await first.publish(next)).versionId);
      expect(await dieIn(a, names.schema, 'enable', 'enable.schema:done')).toEqual(KILLED);
      expect(await dieIn(a, names.done, 'enable', 'enable.activate:done')).toEqual(KILLED);
      expect(await dieIn(a, names.update, 'enable', 'update.update:done')).toEqual(KILLED);
      expect(await dieIn(a, names.off, 'purge', 'purge.drop:done')).toEqual(KILLED);
    }
    await using last = await startHost(ground);
    const a = await Tenant.find(last.bulkhead, slug);
    for (const name of [names.schema, names.done]) {
      expect(await a.installation(name)).toMatchObject({ status: 'active', status_reason: null });
      expect((await a.tables(name)).map(({ table }) => table)).toEqual(['rows']);
      expect(await a.call(name, 'version')).toBe('1.0.0');
    }
    expect(await a.installation(names.update)).toMatchObject({ status: 'active', pending_version_id: null });
    expect((await a.tables(names.update)).map(({ table }) => table)).toEqual(['more', 'rows']);
    expect(await a.call(names.update, 'version')).toBe('2.0.0');
    expect(await a.installation(names.off)).toMatchObject({ status: 'inactive', schema_name: null });
    const { db } = a.panel;
    const left = await db.selectFrom('flows').select('kind').where('status', '<>', 'done').execute();
    expect(left).toEqual([]);
    expect(last.faults).toEqual([]);
  });
});

describe('a flow', () => {
  it('refuses another of the same module until it has ended, and of no other', async () => {
    const release = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const slow = freshName();
    const other = freshName();
    let held = false;
    await using host = await startHost(ground, {
      checkpoint: async (name) => {
        if (name !== 'enable.activate:before' || held) return;
        held = true;
        reached.resolve();
        await release.promise;
      },
    });
    const a = await seedTenant(host.bulkhead);
    for (const name of [slow, other]) {
      await host.publish({ name, members: MEMBERS, manifest: MANIFEST });
      await a.install(name);
      await a.grant(name);
    }
    const enabling = a.enable(slow);
    await reached.promise;
    await expect(a.enable(slow)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'Something is being done with this already; wait until it has ended.',
    });
    await expect(a.disable(slow)).rejects.toMatchObject({ code: 'CONFLICT' });
    await a.enable(other);
    release.resolve();
    await enabling;
    await a.disable(slow);
    expect(await a.installation(slow)).toMatchObject({ status: 'inactive' });
  });

  it('that a start cannot go on with is told to the operator and keeps neither the start nor the others', async () => {
    const name = freshName();
    let slug: string;
    {
      await using first = await startHost(ground);
      const a = await seedTenant(first.bulkhead);
      slug = a.slug;
      await first.publish({ name, members: MEMBERS, manifest: MANIFEST });
      await a.install(name);
      await a.grant(name);
      const { db } = a.panel;
      const at = { tenant_id: a.id, state: {} };
      await db
        .insertInto('flows')
        .values({ ...at, kind: 'of-another-version', subject: 'some:thing' })
        .execute();
      const { id: installationId } = await a.installation(name);
      const subject = `installation:${installationId}`;
      await db
        .insertInto('flows')
        .values({ ...at, kind: 'enable', subject, state: { installationId } })
        .execute();
    }
    await using second = await startHost(ground);
    const a = await Tenant.find(second.bulkhead, slug);
    expect(await a.installation(name)).toMatchObject({ status: 'active' });
    expect(second.faults.join('\n')).toContain('There is no flow of-another-version');
    await a.panel.db.deleteFrom('flows').where('subject', '=', 'some:thing').execute();
  });
});
