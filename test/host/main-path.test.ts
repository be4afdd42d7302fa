/**
 * The main job, on the module that ships: published, found, granted narrowly, enabled, configured, ordered, provisioned, managed,
 * ended; and the other tenant, who sees nothing of it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectHost } from '../../src/database/connect.ts';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import { allowPorts, useTestHost } from '../support/host.ts';
import { packFolder, shippedFolder } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const NAME = 'VPSHosting';
const SMALL = {
  cpu_cores: 1,
  ram_mb: 1024,
  disk_gb: 25,
  bandwidth_gb: 1000,
  location: 'us-east-1',
  backup_enabled: false,
};
const LARGE = { ...SMALL, cpu_cores: 2, ram_mb: 2048 };
const ORDER = { hostname: 'web.example.com', image_id: 'ubuntu-20.04' };

const host = useTestHost({ worker: true });
let cloud: FakeCloud;

beforeAll(async () => {
  cloud = await spawnFakeCloud({ provisioningMs: 300, actionMs: 0 });
  const port = Number(new URL(cloud.cloud).port);
  await allowPorts(host().a, [port]);
  await host().publishFolder(shippedFolder(`Product/${NAME}`));
});
afterAll(async () => cloud.stop());

async function statuses(serviceId: string, field: string): Promise<string[]> {
  const rows = await host()
    .bulkhead.panel.db.selectFrom('service_changes')
    .select(['field', 'new_value'])
    .where('service_id', '=', serviceId)
    .orderBy('id')
    .execute();
  return rows.filter((row) => row.field === field).map((row) => row.new_value);
}

describe('the store', () => {
  it('refuses a package of which any byte was changed', async () => {
    const bytes = await packFolder(shippedFolder(`Product/${NAME}`));
    for (const at of [20, Math.floor(bytes.length / 2), bytes.length - 3]) {
      const tampered = Uint8Array.from(bytes);
      tampered[at] = (tampered[at] ?? 0) ^ 1;
      await expect(host().bulkhead.publish(tampered, { status: 'published' })).rejects.toMatchObject({
        code: 'BAD_INPUT',
      });
    }
  });

  it('gives the module to the tenant who installs it, and to no other', async () => {
    const { a, b } = host();
    expect((await a.install(NAME)).found).toBe('VPS Hosting 1.0.0 by test-house');
    await expect(b.installation(NAME)).rejects.toThrow('no result');
  });

  it('says in plain words what the module asks for', async () => {
    const { lines, missing } = await host().a.consent(NAME);
    const texts = lines.map((line) => line.text);
    expect(texts).toContain('Send requests to the address in its setting “api_url”.');
    expect(texts).toContain('Store up to 50 MB.');
    expect(texts).toContain(
      'Use “API key”, sent only to the address in its setting “api_url” and api.digitalocean.com. It never sees the value.',
    );
    expect(lines.every((line) => !line.granted)).toBe(true);
    expect(missing).not.toContain('http.hosts:api.digitalocean.com');
  });

  it('enables it with less than it asks for', async () => {
    const { a } = host();
    await a.grant(NAME, {
      without: ['http.hosts:api.digitalocean.com'],
      amounts: { 'http.per_minute': 120, 'db.storage_mb': 20 },
    });
    await a.saveSettings(NAME, {
      api_url: cloud.cloud,
      api_key: cloud.cloudToken,
      status_check_delay: 0.2,
      retry_delay: 1,
    });
    await a.enable(NAME);
    const { status, grants } = await a.installation(NAME);
    expect(status).toBe('active');
    expect(grants).toMatchObject({
      http: { hosts: ['{settings.api_url}'], per_minute: 120 },
      db: { storage_mb: 20 },
    });
  });

  it('lets activate() make its tables in a schema of its own, under two roles', async () => {
    const { a, ground } = host();
    const tables = await a.tables(NAME);
    expect(tables.map(({ table }) => table)).toEqual(['vps_images', 'vps_servers']);
    const { schema, owner } = tables[0] ?? { schema: '', owner: '' };
    expect(schema).toMatch(/^m_[0-9a-f]{32}$/);
    await using superuser = connectHost(ground.modules.admin, { max: 1 });
    const roles = await superuser.sql<
      { role: string; makes: boolean; writes: boolean; elsewhere: boolean }[]
    >`
      select right(rolname, 4) as role,
        has_schema_privilege(rolname, ${schema}, 'create') as makes,
        has_table_privilege(rolname, ${`${schema}.vps_servers`}, 'insert') as writes,
        has_schema_privilege(rolname, 'public', 'create') as elsewhere
      from pg_roles where rolname like ${`${owner.slice(0, -'own'.length)}%`} order by 1`;
    expect([...roles]).toEqual([
      { role: '_own', makes: true, writes: true, elsewhere: false },
      { role: '_use', makes: false, writes: true, elsewhere: false },
    ]);
  });
});

describe('a service', () => {
  let serviceId = '';

  it('has a product whose wrong value is told at its field', async () => {
    const refused = await host().a.saveProduct(NAME, 'VPS X', { ...SMALL, cpu_cores: 99 });
    expect(refused).toMatchObject({ ok: false, errors: { cpu_cores: ['At most 32.'] } });
    await host().a.product(NAME, 'VPS S', SMALL);
    await host().a.product(NAME, 'VPS M', LARGE);
  });

  it('is pending while the server is being made, and active only then', async () => {
    const { a } = host();
    serviceId = await a.order(await a.productNamed('VPS S'), ORDER);
    await a.ended(serviceId, 'createJob');
    expect(await a.service(serviceId)).toMatchObject({
      status: 'pending',
      provision_status: 'processing',
      activated_at: null,
    });
    const service = await a.reached(serviceId, 'completed', 'active');
    expect(service.activated_at).toBeInstanceOf(Date);
    expect(service.provision_data).toMatchObject({ ip_address: expect.stringMatching(/^[\d.]+$/) });
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  it('created its server inside a step whose answer is on record', async () => {
    const { a } = host();
    const task = (await a.tasks(serviceId)).find(({ method }) => method === 'createJob');
    const { db } = a.panel;
    const steps = await db
      .selectFrom('steps')
      .selectAll()
      .where('task_id', '=', task?.id ?? '')
      .execute();
    expect(steps).toMatchObject([{ status: 'done', value: expect.anything() }]);
    const requests = await db
      .selectFrom('step_requests')
      .selectAll()
      .where('task_id', '=', task?.id ?? '')
      .execute();
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.every((request) => request.answered_at !== null)).toBe(true);
  });

  it('is suspended, resumed, and moved to another product', async () => {
    const { a } = host();
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    await a.action(serviceId, 'unsuspend');
    await a.reached(serviceId, 'completed', 'active');
    await a.action(serviceId, 'change_package', await a.productNamed('VPS M'));
    await a.reached(serviceId, 'completed', 'active');
    expect(await a.ended(serviceId, 'change_packageJob')).toMatchObject({ status: 'completed', error: null });
    const [server] = await cloud.control.droplets();
    expect(server).toMatchObject({ size_slug: 's-2vcpu-2gb', status: 'active' });
  });

  it('cannot be suspended twice nor moved to the product it has', async () => {
    const { a } = host();
    expect(await refusal(() => a.action(serviceId, 'unsuspend'))).toBe(
      'CONFLICT: A service that is active cannot be resumed.',
    );
    const own = await a.productNamed('VPS M');
    expect(await refusal(() => a.action(serviceId, 'change_package', own))).toMatch(/^BAD_INPUT/);
  });

  it('shows every step in its timeline: states, attempts, processor time, log lines, requests', async () => {
    const lines = await host().a.timeline(serviceId);
    for (const wanted of [
      /^Provisioning: Pending → Processing · by create$/,
      /^createJob queued · [\d.]+ ms CPU · completed/,
      /^createJob: attempt 1 began/,
      /^createJob: attempt 1 completed · \d+ ms · [\d.]+ ms CPU$/,
      /^POST http:\/\/127\.0\.0\.1:\d+\/v2\/droplets · 202 · \d+ ms$/,
      /^GET http:\/\/127\.0\.0\.1:\d+\/v2\/droplets\/\d+ · 200 · \d+ ms$/,
      /^Status: Pending → Active · by statusCheckJob$/,
      /^statusCheckJob(?! queued|:)/,
      /^Status: Active → Suspended · by suspendJob$/,
      /^Product: /,
    ]) {
      expect(lines).toContainEqual(expect.stringMatching(wanted));
    }
  });

  it('is terminated with its server, exactly once', async () => {
    const { a } = host();
    await a.action(serviceId, 'termination');
    const service = await a.reached(serviceId, 'terminated', 'terminated');
    expect(service.terminated_at).toBeInstanceOf(Date);
    expect(await cloud.control.effects('droplet.deleted')).toHaveLength(1);
    expect(await statuses(serviceId, 'status')).toEqual(['active', 'suspended', 'active', 'terminated']);
    expect(await refusal(() => a.action(serviceId, 'termination'))).toMatch(/^CONFLICT/);
  });
});

describe('the other tenant', () => {
  it('has none of it and cannot order it', async () => {
    const { a, b } = host();
    const { db } = b.panel;
    for (const table of ['installations', 'products', 'services', 'tasks'] as const) {
      const rows = await db.selectFrom(table).select('id').where('tenant_id', '=', b.id).execute();
      expect(rows).toEqual([]);
    }
    const productId = await a.productNamed('VPS S');
    await expect(b.tryOrder(productId, ORDER)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a cloud that answers 500', () => {
  it('is asked as often as the job has tries; the reason stands in the timeline, and Retry mends it', async () => {
    const { a } = host();
    const before = (await cloud.control.effects('droplet.created')).length;
    await cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 500,
      times: 3,
    });
    const serviceId = await a.order(await a.productNamed('VPS S'), ORDER);
    await a.reached(serviceId, 'failed', 'pending');
    const task = await a.ended(serviceId, 'createJob');
    expect(task).toMatchObject({ status: 'failed', attempts: 3 });
    expect(await a.failure(serviceId)).toMatch(/^createJob: MODULE_ERROR: API Error: 500/);
    const lines = await a.timeline(serviceId);
    expect(lines.filter((line) => /^POST .*\/v2\/droplets · 500 · \d+ ms$/.test(line))).toHaveLength(3);
    expect(lines).toContainEqual(expect.stringMatching(/^createJob: attempt 3 failed .*API Error: 500/));
    await a.panel.jobs.retry(task.id, a.adminId);
    await until('the retried service', async () => (await a.service(serviceId)).status === 'active');
    expect(await cloud.control.effects('droplet.created')).toHaveLength(before + 1);
  });
});
