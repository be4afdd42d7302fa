/**
 * Types are data: a type that this project does not have (DnsServer; the real panel has one) is one declaration, given to createBulkhead,
 * and nothing else knows of it. A module of it is published, installed, enabled and called.
 */
import * as v from 'valibot';
import { expect, it } from 'vitest';
import { kind, method } from '../../sandbox/contract/op.ts';
import { moduleMethods } from '../../sandbox/contract/kinds/module.ts';
import { openGround, seedTenant, startHost } from '../support/host.ts';
import { packFolder, packSource } from '../support/modules.ts';
import { withFolder } from '../store/package/fixture.ts';
import { refusal } from '../support/tenant.ts';

const Zone = v.tuple([v.object({ name: v.string() })]);

const dnsServer = kind({
  type: 'DnsServer',
  doc: 'Keeps zones on a name server.',
  instances: true,
  families: [],
  methods: {
    ...moduleMethods,
    createZone: method('Makes a zone.', Zone, v.object({ status: v.string() }), { required: true }),
  },
});

const files = (members: string): Record<string, string> => ({
  'module.json': JSON.stringify({
    name: 'PowerDns',
    type: 'DnsServer',
    title: 'PowerDNS',
    version: '1.0.0',
    permissions: { db: { tables: 1 } },
    settings: [{ key: 'server', type: 'text', title: 'Server' }],
  }),
  'PowerDns.ts': `import { Module } from 'bulkhead';
    export default class PowerDns extends Module {
      async activate() {
        await this.db.schema.createTable('zones').ifNotExists().addColumn('name', 'text', (c) => c.primaryKey()).execute();
        return 'success';
      }
      ${members}
    }`,
});

const CREATE = `
  async createZone({ name }) {
    await this.db.insertInto('zones').values({ name }).execute();
    return { status: 'success', server: this.config('server'), zones: (await this.db.selectFrom('zones').selectAll().execute()).length };
  }`;

it('a fifth type is one declaration: a module of it is published, installed, enabled and called', async () => {
  await using ground = await openGround();
  await using host = await startHost(ground, { kinds: [dnsServer] });
  const tenant = await seedTenant(host.bulkhead);
  await withFolder(files(''), async (folder) => {
    const publish = async () => host.bulkhead.publish(await packFolder(folder), { status: 'published' });
    expect(await refusal(publish)).toContain('A DnsServer module must have the method createZone().');
  });
  await withFolder(files(CREATE), async (folder) => {
    await host.bulkhead.publish(await packFolder(folder), { status: 'published' });
  });
  const instanceId = await tenant.installedWithInstance('PowerDns', { server: 'ns1.example.com' });
  const { results } = await host.bulkhead.invoker.invoke({
    installationId: await tenant.installationId('PowerDns'),
    instanceId,
    purpose: 'request',
    calls: [{ target: { on: 'module' }, method: 'createZone', args: [{ name: 'example.com' }] }],
  });
  expect(results.at(-1)).toEqual({ value: { status: 'success', server: 'ns1.example.com', zones: 1 } });
});

it('a type that the host knows cannot be given again, and one that nobody gave is refused by name', async () => {
  await using ground = await openGround();
  expect(
    await refusal(async () => startHost(ground, { kinds: [{ ...dnsServer, type: 'Product' }] })),
  ).toContain('There is a module type Product already');
  await using host = await startHost(ground);
  const publish = async () =>
    host.bulkhead.publish(await packSource({ name: 'Odd', manifest: { type: 'CertificateAuthority' } }), {
      status: 'published',
    });
  expect(await refusal(publish)).toContain('one of Product, Plugin, Payment, Notification');
});
