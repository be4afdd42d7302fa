/** The guide's VPS Hosting module and its API client, item by item, on modules/Product/VPSHosting as it ships. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allowPorts, seedTenant } from '../support/host.ts';
import { until, useInstalled } from '../modules/support.ts';
import { recordingProxy, type RecordingApi } from './guide-api.ts';
import {
  callModule,
  htmlOf,
  ID,
  NULLABLE_STRING,
  requestOf,
  STRING,
  tableShape,
  TIMESTAMPS,
  type Values,
} from './guide-support.ts';

const PRODUCT = {
  cpu_cores: 1,
  ram_mb: 1024,
  disk_gb: 25,
  bandwidth_gb: 1000,
  location: 'us-east-1',
  backup_enabled: false,
};
const ORDER = { hostname: 'web.example.com', image_id: 'debian-12', ssh_keys: 'aa:bb\ncc:dd' };

const SETTINGS = { status_check_delay: 0.2, status_check_limit: 3, retry_delay: 1 };

const installed = useInstalled('Product/VPSHosting', (cloud) => ({
  ...SETTINGS,
  api_url: cloud.cloud,
  api_key: cloud.cloudToken,
}));

async function call(method: string, ...args: unknown[]): Promise<unknown> {
  return callModule(installed().bulkhead, installed().installationId, method, ...args);
}

async function shape(table: string) {
  return tableShape(installed().bulkhead, installed().installationId, table);
}

async function order(product: Values = PRODUCT, data: Values = ORDER): Promise<string> {
  const { bulkhead, tenantId, installationId, adminId, clientId } = installed();
  const saved = await bulkhead.panel.catalog.saveProduct({
    tenantId,
    installationId,
    productId: null,
    name: `VPS ${randomBytes(4).toString('hex')}`,
    description: '',
    active: true,
    data: product,
    prices: [{ period: 'monthly', setupMinor: 0, amountMinor: 500 }],
    accountId: adminId,
  });
  if (!saved.ok) throw new Error(JSON.stringify(saved.errors));
  const ordered = await bulkhead.panel.billing.order({
    clientId,
    productId: saved.productId,
    period: 'monthly',
    data,
    accountId: clientId,
  });
  if (!ordered.ok) throw new Error(JSON.stringify(ordered.errors));
  return ordered.serviceId;
}

async function reached(serviceId: string, status: string) {
  return until(`service ${status}`, async () => {
    const row = await installed()
      .bulkhead.panel.db.selectFrom('services')
      .selectAll()
      .where('id', '=', serviceId)
      .executeTakeFirstOrThrow();
    return row.provision_status === status && row;
  });
}

async function tasks(serviceId: string, method: string) {
  return installed()
    .bulkhead.panel.db.selectFrom('tasks')
    .selectAll()
    .where('service_id', '=', serviceId)
    .where('method', '=', method)
    .orderBy('created_at')
    .execute();
}

async function finished(serviceId: string, method: string) {
  return until(`${method} to end`, async () => {
    const task = (await tasks(serviceId, method)).at(-1);
    return task?.finished_at != null && task;
  });
}

/** Log lines of a service, oldest first, as 'level action request'. */
async function logs(serviceId: string): Promise<string[]> {
  const { bulkhead } = installed();
  await bulkhead.recorder.flush();
  const rows = await bulkhead.panel.db
    .selectFrom('logs')
    .selectAll()
    .where('service_id', '=', serviceId)
    .where('source', '=', 'module')
    .orderBy('id')
    .execute();
  return rows.map((row) => `${row.level} ${row.action} ${String(row.request)}`);
}

async function row(serviceId: string): Promise<Record<string, unknown> | undefined> {
  return (await installed().stored('vps_servers')).find((each) => each['service_uuid'] === serviceId);
}

/** Takes the service's row away, as a fault in the module would. */
async function dropRow(serviceId: string): Promise<void> {
  const { bulkhead, installationId } = installed();
  const { schema_name: schema } = await bulkhead.panel.db
    .selectFrom('installations')
    .select('schema_name')
    .where('id', '=', installationId)
    .executeTakeFirstOrThrow();
  await installed().asSuperuser(
    (sql) => sql`delete from ${sql(schema ?? '')}.vps_servers where service_uuid = ${serviceId}`,
  );
}

async function tab(serviceId: string, name: string) {
  const { bulkhead, client } = installed();
  return bulkhead.panel.modules.clientTab({ serviceId, tab: name, account: client });
}

async function clientCall(serviceId: string, name: string) {
  const { bulkhead, client } = installed();
  const request = requestOf('GET', `services/${serviceId}/${name}`);
  return bulkhead.panel.modules.clientCall({ serviceId, tab: name, account: client, request });
}

let api: RecordingApi;

beforeAll(async () => {
  const { bulkhead, cloud, tenantId, adminId, installationId } = installed();
  api = await recordingProxy(cloud.cloud);
  await bulkhead.panel.tenants.allowEgress({
    tenantId,
    allow: [{ cidr: '127.0.0.1/32', port: api.port }],
    accountId: adminId,
  });
  const values = { ...SETTINGS, api_url: api.origin, api_key: cloud.cloudToken };
  await bulkhead.panel.catalog.saveSettings({ installationId, values, accountId: adminId });
});
afterAll(async () => api[Symbol.asyncDispose]());

beforeEach(async () => {
  await installed().cloud.control.reset();
  api.asked.length = 0;
});

describe('activate()', () => {
  it('makes vps_servers with every column and its index, and no key to the host’s services [VPS-01 VPS-04..VPS-15]', async () => {
    const servers = await shape('vps_servers');
    expect(servers.columns).toEqual({
      id: ID,
      service_uuid: 'uuid not null',
      server_id: NULLABLE_STRING,
      ip_address: 'inet',
      hostname: STRING,
      root_password: STRING,
      status: 'text not null',
      server_specs: 'jsonb not null',
      ...TIMESTAMPS,
    });
    expect(servers.primary).toBe('id');
    expect(servers.indexes).toContain('service_uuid, status');
    expect(servers.references).toEqual([]);
  });

  it('makes vps_images and seeds it, and may run again [VPS-04 VPS-16..VPS-23]', async () => {
    const { bulkhead, installationId, adminId, stored } = installed();
    expect((await shape('vps_images')).columns).toEqual({
      id: ID,
      image_id: STRING,
      name: STRING,
      os_family: STRING,
      version: STRING,
      active: 'boolean not null default true',
      ...TIMESTAMPS,
    });
    const seeded = await stored('vps_images');
    expect(seeded).toContainEqual(
      expect.objectContaining({
        image_id: 'ubuntu-20.04',
        name: 'Ubuntu 20.04 LTS',
        os_family: 'Ubuntu',
        version: '20.04',
        active: true,
      }),
    );
    await bulkhead.panel.catalog.disable(installationId, adminId);
    await bulkhead.panel.catalog.enable(installationId, adminId);
    expect((await stored('vps_images')).map((image) => image['image_id'])).toEqual(
      seeded.map((image) => image['image_id']),
    );
  });

  it('that cannot make its tables answers “Error: …”, and the module stays off with that text [VPS-24 BM-04]', async () => {
    const { bulkhead, cloud } = installed();
    const tenant = await seedTenant(bulkhead);
    await allowPorts(tenant, [Number(new URL(cloud.cloud).port)]);
    await tenant.install('VPSHosting');
    await tenant.grant('VPSHosting', { amounts: { 'db.tables': 1 } });
    await tenant.saveSettings('VPSHosting', { api_url: cloud.cloud, api_key: cloud.cloudToken });
    await expect(tenant.enable('VPSHosting')).rejects.toMatchObject({ code: 'MODULE_ERROR' });
    const { status, status_reason: reason } = await tenant.installation('VPSHosting');
    expect(status).toBe('error');
    expect(reason).toMatch(/^activate\(\): (?!Error:).*table/);
    expect(await tenant.logs('VPSHosting')).toContainEqual(
      expect.stringMatching(/^module error activate .*table/),
    );
  });
});

describe('product data', () => {
  it('has the guide’s defaults [VPS-25..VPS-31]', async () => {
    expect(await call('getProductData', {})).toEqual(PRODUCT);
    expect(await call('getProductData', { cpu_cores: 4 })).toEqual({ ...PRODUCT, cpu_cores: 4 });
  });

  it('that keeps the rules is answered with itself and 200 [VPS-32..VPS-38]', async () => {
    for (const edge of [
      { cpu_cores: 32, ram_mb: 65_536, disk_gb: 1_000, bandwidth_gb: 100, location: 'eu-west-1' },
      { cpu_cores: '1', ram_mb: '512', disk_gb: '10', location: 'us-west-1', backup_enabled: true },
    ]) {
      const answer = await call('saveProductData', { ...PRODUCT, ...edge });
      const numbers = Object.entries(edge).map(([key, value]) => [
        key,
        key === 'location' || typeof value === 'boolean' ? value : Number(value),
      ]);
      expect(answer).toEqual({
        status: 'success',
        code: 200,
        data: { ...PRODUCT, ...Object.fromEntries(numbers) },
      });
    }
  });

  it.each([
    ['cpu_cores', [0, 33, 1.5, 'two', '']],
    ['ram_mb', [511, 65_537]],
    ['disk_gb', [9, 1_001]],
    ['bandwidth_gb', [99]],
    ['location', ['mars-1', '']],
  ])('with another %s is answered with 422 at that field [VPS-32..VPS-37]', async (field, values) => {
    for (const value of values)
      expect(await call('saveProductData', { ...PRODUCT, [field]: value })).toMatchObject({
        status: 'error',
        code: 422,
        message: { [field]: expect.arrayContaining([expect.any(String)]) },
      });
  });
});

describe('service data', () => {
  it('has the guide’s defaults and a password of its own [VPS-39..VPS-43]', async () => {
    expect(await call('getServiceData', {})).toEqual({
      hostname: '',
      image_id: 'ubuntu-20.04',
      ssh_keys: [],
      root_password: expect.stringMatching(/^[A-Za-z0-9]{20}$/),
    });
    const given = { hostname: 'a.example', image_id: 'debian-12', ssh_keys: ['k'], root_password: 'Given 1' };
    expect(await call('getServiceData', given)).toEqual(given);
  });

  it('is checked before it is stored: name, image, keys, password [VPS-44]', async () => {
    expect(await call('saveServiceData', ORDER)).toMatchObject({
      status: 'success',
      data: { hostname: 'web.example.com', image_id: 'debian-12', ssh_keys: ['aa:bb', 'cc:dd'] },
    });
    for (const [field, value] of [
      ['hostname', 'no host'],
      ['image_id', 'templeos'],
      ['root_password', 'short'],
    ])
      expect(await call('saveServiceData', { ...ORDER, [field ?? '']: value })).toMatchObject({
        status: 'error',
        code: 422,
        errors: { [field ?? '']: expect.arrayContaining([expect.any(String)]) },
      });
  });
});

describe('createJob()', () => {
  it('sends name, image, size, region and keys with the key by handle, stores the row, queues the check and succeeds while the server is being made [VPS-02 VPS-03 VPS-45..VPS-53 VPS-60 VPS-61 VAC-01 VAC-02 VAC-04]', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const serviceId = await order();
    expect(await finished(serviceId, 'createJob')).toMatchObject({ status: 'completed', error: null });
    expect(await reached(serviceId, 'processing')).toMatchObject({ status: 'pending' });
    const asked = api.asked.filter(({ method, path }) => method === 'POST' && path === '/v2/droplets');
    expect(asked).toMatchObject([
      {
        headers: { authorization: `Bearer ${cloud.cloudToken}`, 'content-type': 'application/json' },
        body: {
          name: 'web.example.com',
          image: 'debian-12',
          size: 's-1vcpu-1gb',
          region: 'us-east-1',
          ssh_keys: ['aa:bb', 'cc:dd'],
        },
      },
    ]);
    const [droplet] = await cloud.control.droplets();
    const stored = await row(serviceId);
    expect(stored).toMatchObject({
      server_id: String(droplet?.['id']),
      hostname: 'web.example.com',
      status: 'creating',
      server_specs: PRODUCT,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    });
    // Encrypted: longer than the password, and nothing of it.
    expect(String(stored?.['root_password']).length).toBeGreaterThan(40);
    const [check] = await tasks(serviceId, 'statusCheckJob');
    expect(check).toMatchObject({
      params: { server_id: String(droplet?.['id']) },
      tags: ['status_check', 'vps'],
      tries: 2,
      backoff_s: 30,
      timeout_s: 120,
      max_exceptions: 1,
    });
    expect(await logs(serviceId)).toContain('info createJob VPS creation initiated');
  });

  it('has the check wait 30 seconds unless the settings say otherwise [VPS-59]', async () => {
    const { bulkhead, cloud, installationId, adminId } = installed();
    const { catalog } = bulkhead.panel;
    const known = { api_url: api.origin, api_key: cloud.cloudToken };
    const save = async (values: Values) =>
      catalog.saveSettings({ installationId, values: { ...known, ...values }, accountId: adminId });
    await save({ ...SETTINGS, status_check_delay: '' });
    const serviceId = await order();
    await finished(serviceId, 'createJob');
    await save(SETTINGS);
    const [check] = await tasks(serviceId, 'statusCheckJob');
    const waitMs = Number(check?.run_at) - Number(check?.created_at);
    expect(Math.round(waitMs / 1_000)).toBe(30);
  });

  it('that the API refuses fails the service with the API’s text in task and log [VPS-53 VAC-05]', async () => {
    await installed().cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 422,
    });
    const serviceId = await order();
    await reached(serviceId, 'failed');
    const task = await finished(serviceId, 'createJob');
    expect(task).toMatchObject({
      status: 'failed',
      error: { message: expect.stringMatching(/^API Error: /) },
    });
    expect(await logs(serviceId)).toContain('error createJob VPS creation failed');
  });

  it('that throws fails the service with a text that tells nothing, and the log has the rest [VPS-53]', async () => {
    await installed().cloud.control.addPreset('cloud-401');
    const serviceId = await order();
    await reached(serviceId, 'failed');
    expect(await finished(serviceId, 'createJob')).toMatchObject({
      status: 'failed',
      error: { message: 'VPS creation failed' },
    });
    expect(await logs(serviceId)).toContainEqual(
      expect.stringMatching(/^error createJob Exception in VPS creation/),
    );
  });

  it.each([
    [1, 1024, 's-1vcpu-1gb'],
    [2, 2048, 's-2vcpu-2gb'],
    [4, 8192, 's-4vcpu-8gb'],
    [1, 2048, 'custom'],
    [8, 8192, 'custom'],
  ])('asks for the size of %i cores and %i MB: %s [VPS-54..VPS-58]', async (cpu, ram, size) => {
    const serviceId = await order({ ...PRODUCT, cpu_cores: cpu, ram_mb: ram });
    await finished(serviceId, 'createJob');
    expect(api.asked.find(({ method, path }) => method === 'POST' && path === '/v2/droplets')).toMatchObject({
      body: { size },
    });
  });
});

describe('statusCheckJob()', () => {
  it('asks again from its own run while the server is new, then completes the service and stores the address [VPS-62..VPS-66 VAC-06 VAC-07]', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const serviceId = await order();
    await until('a second check', async () => (await tasks(serviceId, 'statusCheckJob')).length > 1);
    await cloud.control.setDelays({ provisioningMs: 0, actionMs: 0 });
    expect(await reached(serviceId, 'completed')).toMatchObject({ status: 'active' });
    const checks = await tasks(serviceId, 'statusCheckJob');
    expect(checks.map(({ status }) => status)).not.toContain('duplicate');
    expect(new Set(checks.map(({ tags }) => JSON.stringify(tags)))).toEqual(
      new Set(['["status_check","vps"]']),
    );
    const stored = await row(serviceId);
    expect(stored).toMatchObject({ status: 'active', ip_address: expect.stringMatching(/^203\.0\.113\./) });
    expect(Number(stored?.['updated_at'])).toBeGreaterThan(Number(stored?.['created_at']));
    expect(api.asked.filter(({ path }) => /^\/v2\/droplets\/\d+$/.test(path)).length).toBeGreaterThan(1);
    expect(await logs(serviceId)).toEqual(
      expect.arrayContaining([
        'info statusCheckJob VPS still provisioning',
        'info statusCheckJob VPS is now active',
      ]),
    );
  });

  it('without a row is an error that is logged [VPS-63]', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const serviceId = await order();
    await finished(serviceId, 'createJob');
    await dropRow(serviceId);
    const task = await until('the check that found no row', async () =>
      (await tasks(serviceId, 'statusCheckJob')).find(({ status }) => status === 'failed'),
    );
    expect(task).toMatchObject({ error: { message: 'VPS server record not found' } });
    expect(await logs(serviceId)).toContain('error statusCheckJob VPS server record not found');
  });

  it('asks again when the API does not answer, and gives up after the limit [VPS-67]', async () => {
    const { cloud } = installed();
    await cloud.control.addFault({
      match: { method: 'GET', path: '/v2/droplets/*' },
      kind: 'status',
      status: 503,
      times: 50,
    });
    const serviceId = await order();
    expect(await reached(serviceId, 'failed')).toMatchObject({ status: 'pending' });
    expect(await tasks(serviceId, 'statusCheckJob')).toHaveLength(SETTINGS.status_check_limit);
  });

  it('that throws logs the reason, and the task says only that the check failed [VPS-68]', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const serviceId = await order();
    await finished(serviceId, 'createJob');
    await installed().asSuperuser(async (sql) => {
      const [found] = await sql<{ schema: string }[]>`
        select schemaname as schema from pg_tables where tablename = 'vps_servers' order by 1 limit 1`;
      await sql`alter table ${sql(found?.schema ?? '')}.vps_servers rename to vps_away`;
      try {
        const task = await until('the check that threw', async () =>
          (await tasks(serviceId, 'statusCheckJob')).find(({ error }) => error !== null),
        );
        expect(task).toMatchObject({ error: { message: 'Status check failed' } });
      } finally {
        await sql`alter table ${sql(found?.schema ?? '')}.vps_away rename to vps_servers`;
      }
    });
    expect(await logs(serviceId)).toContainEqual(
      expect.stringMatching(/^error statusCheckJob Status check failed/),
    );
  });
});

describe('the client’s tabs', () => {
  it('are Overview, Console, Snapshots and Monitoring, each with its template [VPS-69..VPS-72]', async () => {
    expect(await call('getClientAreaMenuConfig')).toEqual({
      general: { name: 'Overview', template: 'client_area.overview' },
      console: { name: 'Console', template: 'client_area.console' },
      snapshots: { name: 'Snapshots', template: 'client_area.snapshots' },
      monitoring: { name: 'Monitoring', template: 'client_area.monitoring' },
    });
    const serviceId = await order();
    await reached(serviceId, 'completed');
    for (const name of ['general', 'console', 'snapshots', 'monitoring'])
      expect(htmlOf(await tab(serviceId, name)).length).toBeGreaterThan(100);
  });

  it('give the console’s address, or that there is no server, or that it is unavailable [VPS-73..VPS-76 VAC-09]', async () => {
    const { cloud } = installed();
    const serviceId = await order();
    await reached(serviceId, 'completed');
    expect(await clientCall(serviceId, 'console')).toEqual({
      kind: 'json',
      status: 200,
      body: { success: true, console_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/console\//) },
    });
    await cloud.control.addFault({
      match: { method: 'GET', path: '/v2/droplets/*/console' },
      kind: 'status',
      status: 500,
    });
    expect(await clientCall(serviceId, 'console')).toEqual({
      kind: 'json',
      status: 500,
      body: { error: 'Console unavailable' },
    });
    await dropRow(serviceId);
    expect(await clientCall(serviceId, 'console')).toEqual({
      kind: 'json',
      status: 404,
      body: { error: 'Server not found' },
    });
  });
});

describe('powerAction()', () => {
  it('posts the action to the server [VAC-08]', async () => {
    const { bulkhead, adminId } = installed();
    const serviceId = await order();
    await reached(serviceId, 'completed');
    await bulkhead.panel.billing.serviceAction({ serviceId, action: 'suspend', accountId: adminId });
    await reached(serviceId, 'suspended');
    const serverId = String((await row(serviceId))?.['server_id']);
    expect(api.asked.filter(({ method }) => method === 'POST').at(-1)).toMatchObject({
      path: `/v2/droplets/${serverId}/actions`,
      body: { action: 'power_off' },
    });
  });
});
