/**
 * `npm run demo:store`: what a store has to keep: who published what, that nothing was changed on the way, that nobody takes another's name,
 * that an update asks before it gets more, that a version which was revoked stops everywhere, and that another panel brings a module from here
 * once its operator trusts the publisher. Real parts, step by step, with timings.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Demo, startDemo } from '../../src/cli/demo/start.ts';
import type { Bulkhead } from '../../src/host.ts';
import { startServer } from '../../src/main.ts';
import { type ModuleSource, newPublisher, packSource } from '../support/modules.ts';
import { refusal, Tenant } from '../support/tenant.ts';
import { begin, expect, step, summary } from './steps.ts';

const NAME = 'Greeter';
const AUTHOR = newPublisher('honest-house');
/** The same name, another key. */
const IMPOSTOR = newPublisher('honest-house');

function greeter(version: string, permissions: object): ModuleSource {
  return {
    name: NAME,
    type: 'Plugin',
    version,
    manifest: { title: 'Greeter', permissions },
    members: `greet() { return 'hello from ' + this.module_version; }`,
  };
}
const FIRST = greeter('1.0.0', {});
const GREEDIER = greeter('1.1.0', {
  http: { hosts: ['api.example.com'], methods: ['GET'], per_minute: 10 },
});

const text = (value: string): string => value;
// Other panels may read this store, as the operator would let them.
process.env['BULKHEAD_STORE'] = 'open';
const dataDir = await mkdtemp(join(tmpdir(), 'bulkhead-demo-'));
let demo: Demo | undefined;
const startedAt = performance.now();
try {
  begin('1. Start');
  demo = await step('a host with a store of its own and two tenants', () =>
    startDemo({
      dataDir,
      host: '127.0.0.1',
      port: 0,
      roles: { serve: true, work: true },
      log: () => undefined,
    }),
  );
  const { bulkhead } = demo.server;
  const acme = await Tenant.find(bulkhead, 'acme');
  const first = await arrive(bulkhead, acme);
  await defend(bulkhead);
  await update(bulkhead, acme);
  await revoke(acme, first);
  await elsewhere(demo);
  begin('Done');
  console.log(
    `  ${summary().length} steps held in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s.`,
  );
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await demo?.close();
  await rm(dataDir, { recursive: true, force: true });
}

/** @returns the first version */
async function arrive(bulkhead: Bulkhead, acme: Tenant): Promise<string> {
  begin('2. A package arrives');
  const bytes = await step(
    'packed and signed on the author’s machine',
    () => packSource(FIRST, AUTHOR),
    (packed) => `${packed.length} bytes, signed by ${AUTHOR.publisher}`,
  );
  const { versionId } = await step(
    'uploaded: it waits for the operator’s review',
    () => acme.panel.packages.upload({ bytes, accountId: acme.adminId }),
    ({ versionId: id }) => id,
  );
  await step(
    'until then no tenant can install it',
    () =>
      refusal(() => acme.panel.catalog.install({ tenantId: acme.id, versionId, accountId: acme.adminId })),
    text,
  );
  await step('published; Acme installs and enables it', async () => {
    await review(acme, versionId, 'published', '');
    await acme.installed(NAME);
    expect((await acme.call(NAME, 'greet')) === 'hello from 1.0.0', 'it does not run');
  });
  await step(
    'the same bytes again change nothing',
    () => bulkhead.publish(bytes, { status: 'published' }),
    ({ added }) => (added ? 'added' : 'already there'),
  );
  return versionId;
}

async function defend(bulkhead: Bulkhead): Promise<void> {
  begin('3. What the store refuses');
  const publish = (bytes: Uint8Array) => refusal(() => bulkhead.publish(bytes, { status: 'published' }));
  await step(
    'one byte changed on the way',
    async () => {
      const bytes = await packSource(GREEDIER, AUTHOR);
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      return publish(bytes);
    },
    text,
  );
  await step(
    'the publisher’s name with another key',
    async () => publish(await packSource(GREEDIER, IMPOSTOR)),
    text,
  );
  await step(
    'other contents under a version that was published',
    async () =>
      publish(await packSource({ ...FIRST, prelude: '// changed\nconst more = 1; void more;' }, AUTHOR)),
    text,
  );
  await step(
    'a version that goes back',
    async () => publish(await packSource(greeter('0.9.0', {}), AUTHOR)),
    text,
  );
}

async function update(bulkhead: Bulkhead, acme: Tenant): Promise<void> {
  begin('4. An update that asks for more');
  const { versionId } = await step('published', async () =>
    bulkhead.publish(await packSource(GREEDIER, AUTHOR), { status: 'published' }),
  );
  await step(
    'the old version goes on until the new permission is accepted',
    async () => {
      await acme.update(NAME, versionId);
      const { status } = await acme.installation(NAME);
      expect(status === 'restricted', `the module is ${status}`);
      return String(await acme.call(NAME, 'greet'));
    },
    text,
  );
  await step(
    'only what is new is asked',
    async () => {
      const { lines } = await acme.consent(NAME);
      return lines.filter((line) => line.added).map((line) => line.text);
    },
    (lines) => lines.join('\n'),
  );
  await step(
    'accepted: the new version runs',
    async () => {
      await acme.grant(NAME);
      await acme.enable(NAME);
      return String(await acme.call(NAME, 'greet'));
    },
    text,
  );
}

async function revoke(acme: Tenant, first: string): Promise<void> {
  begin('5. Revoked');
  const { version_id: running } = await acme.installation(NAME);
  expect(running !== first, 'the update is not in force');
  await step(
    'the operator revokes the version that runs: it stops at once, everywhere, and its data stays',
    async () => {
      await review(acme, running, 'revoked', 'it phones home');
      return refusal(() => acme.call(NAME, 'greet'));
    },
    text,
  );
}

/** A second host with databases of its own. */
async function elsewhere({ server }: Demo): Promise<void> {
  begin('6. Another panel brings a module from this store');
  await server.bulkhead.publish(await packSource({ ...FIRST, name: 'Waver' }, AUTHOR), {
    status: 'published',
  });
  const panel = await step('a second host starts', () =>
    startServer({
      dataDir: join(dataDir, 'panel'),
      host: '127.0.0.1',
      port: 0,
      roles: { serve: true, work: false },
      log: () => undefined,
    }),
  );
  try {
    const { stores, packages, tenants, catalog, db } = panel.bulkhead.panel;
    const admin = { email: 'admin@panel.example', name: 'Admin', password: 'A long password 1' };
    const made = await tenants.create({
      slug: 'panel',
      name: 'Panel',
      currency: 'EUR',
      timezone: 'UTC',
      admin,
    });
    expect(made.ok, 'no tenant');
    const { id: accountId, tenant_id: tenantId } = await db
      .selectFrom('accounts')
      .select(['id', 'tenant_id'])
      .executeTakeFirstOrThrow();
    const name = { publisher: AUTHOR.publisher, type: 'Plugin', name: 'Waver' };
    const added = await stores.add({
      name: 'First store',
      url: server.url ?? '',
      policy: 'review',
      accountId,
    });
    expect(added.ok && tenantId !== null, 'the store is not added');
    if (!added.ok || tenantId === null) return;
    const { storeId } = added;
    const bring = () => stores.bring({ storeId, name, version: '1.0.0' });
    await step('its key is unknown there: refused', () => refusal(bring), text);
    await step(
      'the operator compares the fingerprint and trusts it',
      async () => {
        const { fingerprint } = await stores.module({ storeId, name });
        await stores.trust({ storeId, name, fingerprint });
        return fingerprint;
      },
      text,
    );
    const { versionId } = await step(
      'brought: hash, signature and contents are checked, and it waits in review',
      bring,
    );
    await step('published, installed and enabled there', async () => {
      await packages.review({ versionId, decision: 'published', reason: '', accountId });
      const { installationId } = await catalog.install({ tenantId, versionId, accountId });
      await catalog.enable(installationId, accountId);
    });
  } finally {
    await panel.close();
  }
}

async function review(
  acme: Tenant,
  versionId: string,
  decision: 'published' | 'revoked',
  reason: string,
): Promise<void> {
  await acme.panel.packages.review({ versionId, decision, reason, accountId: acme.adminId });
}
