/**
 * `npm run demo`: the main job from an empty folder to a running service and back, through the real parts, step by step with timings.
 * Exits 0 when every step held, non-zero at the first that did not.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { moduleFolders } from '../../src/cli/demo/seed.ts';
import { type Demo, startDemo } from '../../src/cli/demo/start.ts';
import { earn } from './money.ts';
import { Walk } from './walk.ts';
import { begin, expect, step, summary } from './steps.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const FIXTURE = new URL('../fixtures/Product/Troublemaker', import.meta.url).pathname;

/** A cloud that is quicker than the real ones, so that the demo is too. */
const CLOUD = { provisioningMs: 1_500, actionMs: 300 };
/** What the first product sells. */
const VPS_SMALL = {
  cpu_cores: 1,
  ram_mb: 1024,
  disk_gb: 25,
  bandwidth_gb: 1000,
  location: 'us-east-1',
  backup_enabled: false,
};

const dataDir = await mkdtemp(join(tmpdir(), 'bulkhead-demo-'));
let demo: Demo | undefined;
const startedAt = performance.now();
try {
  begin('1. Start');
  demo = await step(
    'embedded PostgreSQL, migrations, two tenants, fake cloud, store',
    () =>
      startDemo(
        {
          dataDir,
          host: '127.0.0.1',
          port: 0,
          roles: { serve: true, work: true },
          log: (level, message, detail) => {
            if (level === 'error' || level === 'warning')
              console.log(`      [${level}] ${message}`, detail ?? '');
          },
        },
        CLOUD,
      ),
    (running) => `pid ${process.pid}, panel ${running.server.url}, fake cloud ${running.cloud.cloud}`,
  );
  const walk = await Walk.open(demo);
  await install(walk, demo);
  const serviceId = await provision(walk);
  await lifecycle(walk, serviceId);
  await earn(walk, demo);
  await isolation(walk, serviceId);
  await breakThings(walk, demo, serviceId);
  begin('Done');
  console.log(
    `  ${summary().length} steps held in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s; the server’s pid is still ${process.pid}.`,
  );
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await demo?.close();
  await rm(dataDir, { recursive: true, force: true });
}

async function install(walk: Walk, running: Demo): Promise<void> {
  begin('2. Store, consent, enabling');
  await step(
    'a package with one changed byte is refused',
    async () => {
      const folder = (await moduleFolders()).find((path) => path.endsWith('Product/VPSHosting')) ?? '';
      const bytes = await walk.packed(folder);
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      return refusal(() => running.server.bulkhead.publish(bytes, { status: 'published' }));
    },
    (text) => text,
  );
  await step(
    'tenant Acme finds VPS Hosting and installs it',
    () => walk.acme.install('VPSHosting'),
    ({ found }) => found,
  );
  await step(
    'what it asks for, in plain words',
    () => walk.consentText('VPSHosting'),
    (lines) => lines.join('\n'),
  );
  await step(
    'enabling before the grant is refused',
    () => refusal(() => walk.acme.enable('VPSHosting')),
    (text) => text,
  );
  await step('less is granted than asked: only the fake cloud, 120 requests a minute', () =>
    walk.acme.grant('VPSHosting', {
      without: ['http.hosts:api.digitalocean.com'],
      amounts: { 'http.per_minute': 120 },
    }),
  );
  await step('settings: the cloud’s address and its key, which the module never sees', () =>
    walk.acme.saveSettings('VPSHosting', {
      api_url: running.cloud.cloud,
      api_key: running.state.cloud.token,
      status_check_delay: 1,
      retry_delay: 1,
    }),
  );
  await step(
    'enabled: activate() made its tables in a schema of its own',
    async () => {
      await walk.acme.enable('VPSHosting');
      return walk.tables('VPSHosting');
    },
    (tables) => tables.join(', '),
  );
}

async function provision(walk: Walk): Promise<string> {
  begin('3. A product, an order, a server');
  await step(
    'a product with a wrong value is refused at the field',
    () => walk.acme.saveProduct('VPSHosting', 'VPS S', { ...VPS_SMALL, cpu_cores: 99 }),
    (answer) => {
      expect(!answer.ok, 'the bad product was saved');
      return JSON.stringify(answer.errors);
    },
  );
  const small = await step(
    'product VPS S',
    () => walk.acme.product('VPSHosting', 'VPS S', VPS_SMALL),
    (id) => id,
  );
  await step(
    'product VPS M',
    () => walk.acme.product('VPSHosting', 'VPS M', { ...VPS_SMALL, cpu_cores: 2, ram_mb: 2048 }),
    (id) => id,
  );
  const serviceId = await step(
    'a client orders; createJob runs in the sandbox',
    () => walk.acme.order(small, { hostname: 'first.example.com', image_id: 'ubuntu-20.04' }),
    (id) => id,
  );
  await step('pending until the server exists: nothing is billed before', async () => {
    const service = await walk.acme.service(serviceId);
    expect(service.status === 'pending', `the service is ${service.status}`);
  });
  await step(
    'statusCheckJob requeues itself until the cloud says active',
    () => walk.acme.reached(serviceId, 'completed', 'active'),
    (service) => `service ${service.status}, provisioning ${service.provision_status}`,
  );
  await step(
    'the timeline tells all of it',
    () => walk.timeline(serviceId),
    (lines) => lines.join('\n'),
  );
  return serviceId;
}

async function lifecycle(walk: Walk, serviceId: string): Promise<void> {
  begin('4. Suspend, resume, change package');
  for (const [action, provision, status] of [
    ['suspend', 'suspended', 'suspended'],
    ['unsuspend', 'completed', 'active'],
  ] as const) {
    await step(`${action} → ${status}`, async () => {
      await walk.acme.action(serviceId, action);
      await walk.acme.reached(serviceId, provision, status);
    });
  }
  await step(
    'change package to VPS M',
    async () => {
      await walk.acme.action(serviceId, 'change_package', await walk.acme.productNamed('VPS M'));
      await walk.acme.reached(serviceId, 'completed', 'active');
      return walk.cloudSize();
    },
    (size) => `the server’s size at the cloud: ${size}`,
  );
}

async function isolation(walk: Walk, serviceId: string): Promise<void> {
  begin('6. Tenant Globex sees nothing of it');
  await step(
    'no installation, no product, no service; calling and ordering are refused',
    () => walk.foreignTenant(serviceId),
    (lines) => lines.join('\n'),
  );
}

async function breakThings(walk: Walk, running: Demo, serviceId: string): Promise<void> {
  begin('7. Broken on purpose');
  await step(
    'the cloud answers 500: the job fails with the reason, Retry mends it',
    () => walk.cloudFailure(running.cloud.control),
    (text) => text,
  );
  await step('publish and enable a troublemaker', () => walk.publishFixture(FIXTURE));
  for (const mischief of ['throw', 'loop', 'memory', 'native', 'flood']) {
    await step(
      `a job that does “${mischief}”`,
      () => walk.mischief(mischief),
      (text) => text,
    );
  }
  await step(
    'terminate: the server is deleted at the cloud, exactly once',
    async () => {
      await walk.acme.action(serviceId, 'termination');
      await walk.acme.reached(serviceId, 'terminated', 'terminated');
      await sleep(50);
      return walk.cloudEffects('droplet.deleted');
    },
    (count) => `deleted at the cloud: ${count}`,
  );
  await step(
    'switch the module off: its data stays',
    async () => {
      await walk.acme.disable('VPSHosting');
      return walk.tables('VPSHosting');
    },
    (tables) => tables.join(', '),
  );
  await step('the other tenant’s page still answers', async () => {
    await until('the page', () => walk.pageAnswers('globex'));
  });
}
