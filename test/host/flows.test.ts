/** One thing is done with a module at a time, and the next start goes on with what was left (test/faults/ kills at each point of it). */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ground, openGround, seedTenant, startHost } from '../support/host.ts';
import { Tenant } from '../support/tenant.ts';

const MANIFEST = { permissions: { db: { tables: 3, storage_mb: 10 }, tasks: true } };
const MEMBERS = `
  async activate() {
    await this.db.schema.createTable('rows').ifNotExists().addColumn('text', 'text').execute();
    return 'success';
  }
  version() { return this.module_version; }`;

const freshName = (): string => `Flow${randomBytes(4).toString('hex')}`;

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
});
afterAll(async () => ground[Symbol.asyncDispose]());

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

  it('keeps an installation that is being enabled from being uninstalled', async () => {
    const release = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const name = freshName();
    await using host = await startHost(ground, {
      checkpoint: async (at) => {
        if (at !== 'enable.activate:before') return;
        reached.resolve();
        await release.promise;
      },
    });
    const a = await seedTenant(host.bulkhead);
    await host.publish({ name, members: MEMBERS, manifest: MANIFEST });
    await a.install(name);
    await a.grant(name);
    const enabling = a.enable(name);
    await reached.promise;
    const { id } = await a.installation(name);
    await expect(a.panel.catalog.uninstall(id, a.adminId)).rejects.toMatchObject({ code: 'CONFLICT' });
    release.resolve();
    await enabling;
    expect(await a.installation(name)).toMatchObject({ status: 'active' });
  });

  it.each(['purge.module:before', 'uninstall.delete:before'])(
    'that drops something looks again whether the module is off, at %s',
    async (checkpoint) => {
      const name = freshName();
      let id: string | undefined;
      await using host = await startHost(ground, {
        checkpoint: async (at) => {
          if (at === checkpoint && id !== undefined)
            await host.bulkhead.panel.db
              .updateTable('installations')
              .set({ status: 'active' })
              .where('id', '=', id)
              .execute();
        },
      });
      const a = await seedTenant(host.bulkhead);
      await host.publish({ name, members: MEMBERS, manifest: MANIFEST });
      await a.installed(name);
      await a.disable(name);
      ({ id } = await a.installation(name));
      const { catalog } = a.panel;
      const doing = checkpoint.startsWith('purge')
        ? catalog.purge(id, a.adminId)
        : catalog.uninstall(id, a.adminId);
      await expect(doing).rejects.toMatchObject({
        code: 'CONFLICT',
        message: 'Disable the module first; its data stays until you purge it.',
      });
      expect(await a.tables(name)).toMatchObject([{ table: 'rows' }]);
    },
  );

  it('that updates does not end with a version that was revoked meanwhile', async () => {
    const name = freshName();
    let newer: string | undefined;
    await using host = await startHost(ground, {
      checkpoint: async (at) => {
        if (at !== 'update.update:done' || newer === undefined) return;
        await host.bulkhead.panel.db
          .updateTable('module_versions')
          .set({ status: 'revoked' })
          .where('id', '=', newer)
          .execute();
      },
    });
    const a = await seedTenant(host.bulkhead);
    await host.publish({ name, members: MEMBERS, manifest: MANIFEST });
    await a.installed(name);
    ({ versionId: newer } = await host.publish({
      name,
      version: '2.0.0',
      members: MEMBERS,
      manifest: MANIFEST,
    }));
    const { id } = await a.installation(name);
    await a.panel.catalog.update({ installationId: id, versionId: newer, accountId: a.adminId });
    await expect(a.enable(name)).rejects.toMatchObject({ code: 'CONFLICT', message: /was revoked/u });
    expect(await a.installation(name)).toMatchObject({ status: 'restricted' });
    expect(await a.call(name, 'version')).toBe('1.0.0');
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
