/** VPS Hosting against the fake cloud: what is ordered is what happens there, once, whatever is lost on the way. */
import { beforeEach, describe, expect, it } from 'vitest';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { wordsOf } from '../../sandbox/contract/grant.ts';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { packShipped, until, useInstalled } from './support.ts';

const NAME = 'Product/VPSHosting';
const PRODUCT = {
  cpu_cores: 1,
  ram_mb: 1024,
  disk_gb: 25,
  bandwidth_gb: 1000,
  location: 'us-east-1',
  backup_enabled: false,
};
const ORDER = { hostname: 'web.example.com', image_id: 'debian-12', ssh_keys: 'aa:bb\ncc:dd' };

const installed = useInstalled(NAME, (cloud) => ({
  api_url: cloud.cloud,
  api_key: cloud.cloudToken,
  status_check_delay: 0.2,
  status_check_limit: 2,
  retry_delay: 1,
}));

let products = 0;

async function saveProduct(data: Readonly<Record<string, unknown>>) {
  const { bulkhead, tenantId, installationId, adminId } = installed();
  return bulkhead.panel.catalog.saveProduct({
    tenantId,
    installationId,
    productId: null,
    name: `VPS ${++products}`,
    description: '',
    active: true,
    data,
    prices: [{ period: 'monthly', setupMinor: 0, amountMinor: 500 }],
    accountId: adminId,
  });
}

async function productId(data: Readonly<Record<string, unknown>> = PRODUCT): Promise<string> {
  const saved = await saveProduct(data);
  if (!saved.ok) throw new Error(JSON.stringify(saved.errors));
  return saved.productId;
}

async function order(data: Readonly<Record<string, unknown>> = ORDER, product?: string) {
  const { bulkhead, clientId } = installed();
  return bulkhead.panel.billing.order({
    clientId,
    productId: product ?? (await productId()),
    period: 'monthly',
    data,
    accountId: clientId,
  });
}

async function serviceId(): Promise<string> {
  const ordered = await order();
  if (!ordered.ok) throw new Error(JSON.stringify(ordered.errors));
  return ordered.serviceId;
}

async function service(id: string) {
  return installed()
    .bulkhead.panel.db.selectFrom('services')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
}

async function provisioned(id: string, status: string) {
  return until(`service ${status}`, async () => {
    const row = await service(id);
    return row.provision_status === status && row;
  });
}

async function active(): Promise<string> {
  const id = await serviceId();
  await provisioned(id, 'completed');
  return id;
}

async function tasksOf(id: string) {
  return installed()
    .bulkhead.panel.db.selectFrom('tasks')
    .selectAll()
    .where('service_id', '=', id)
    .orderBy('created_at')
    .execute();
}

/** The last task of a service that has this method, once it has ended. */
async function ended(id: string, method: string) {
  return until(`${method} ended`, async () => {
    const task = (await tasksOf(id)).findLast((candidate) => candidate.method === method);
    return task?.finished_at != null && task;
  });
}

async function act(
  id: string,
  action: 'suspend' | 'unsuspend' | 'termination' | 'change_package',
  to?: string,
) {
  const { bulkhead, adminId } = installed();
  const target = to === undefined ? {} : { productId: to };
  await bulkhead.panel.billing.serviceAction({ serviceId: id, action, accountId: adminId, ...target });
}

async function tab(id: string, name: string): Promise<string> {
  const { bulkhead, client } = installed();
  const shown = await bulkhead.panel.modules.clientTab({ serviceId: id, tab: name, account: client });
  return shown.kind === 'html' ? shown.html : JSON.stringify(shown);
}

async function call(id: string, name: string, method: 'GET' | 'POST' | 'DELETE', body: unknown = {}) {
  const { bulkhead, client } = installed();
  return bulkhead.panel.modules.clientCall({
    serviceId: id,
    tab: name,
    account: client,
    request: {
      method,
      url: `http://127.0.0.1:4300/services/${id}/${name}`,
      headers: [['content-type', 'application/json']],
      body: { text: method === 'GET' ? '' : JSON.stringify(body) },
      params: {},
    },
  });
}

async function adminPage(
  path: string,
  method: 'GET' | 'POST' = 'GET',
  permissions: readonly string[] = ['*'],
) {
  const { bulkhead, installationId, admin } = installed();
  return bulkhead.panel.modules.adminPage({
    installationId,
    path,
    account: { ...admin, permissions },
    request: {
      method,
      url: `http://127.0.0.1:4300/${path}`,
      headers: [],
      body: { text: '' },
      params: {},
    },
  });
}

beforeEach(async () => {
  await installed().cloud.control.reset();
});

describe('the package', () => {
  it('reads strictly, and its manifest asks for no more than the README says', async () => {
    const contents = await readPackage(await packShipped(NAME));
    const manifest = parseManifest(contents.manifest);
    expect(contents.name).toBe(NAME);
    expect(manifest.asks.filter((ask) => ask.optional).map((ask) => ask.id)).toEqual([
      'http.hosts:api.digitalocean.com',
      'redirect.hosts:{settings.api_url}',
    ]);
    expect([...new Set(manifest.asks.map((ask) => ask.capability))]).toEqual([
      'db',
      'http',
      'secrets',
      'redirect',
      'tasks',
    ]);
    for (const ask of manifest.asks) expect(wordsOf(ask, capabilities).text).not.toBe('');
  });

  it('translates every text into every language', async () => {
    const { lang, views } = await readPackage(await packShipped(NAME));
    const keys = Object.keys(lang['en'] ?? {});
    expect(Object.keys(lang['pl'] ?? {})).toEqual(keys);
    const used = Object.values(views).flatMap((view) =>
      [...view.matchAll(/\{\{\s*'([^']+)'\s*\|\s*t\b/g)].map((match) => match[1]),
    );
    expect(used.length).toBeGreaterThan(30);
    expect(used.filter((key) => !keys.includes(key ?? ''))).toEqual([]);
  });

  it('declares its routes, tabs and jobs without a warning', async () => {
    const { bulkhead } = installed();
    const row = await bulkhead.panel.db
      .selectFrom('module_versions')
      .select('declaration')
      .executeTakeFirstOrThrow();
    expect(row.declaration).toMatchObject({
      warnings: [],
      tabs: [
        { key: 'general', name: 'Overview', template: 'client_area.overview' },
        { key: 'console', name: 'Console', template: 'client_area.console' },
        { key: 'snapshots', name: 'Snapshots', template: 'client_area.snapshots' },
        { key: 'monitoring', name: 'Monitoring', template: 'client_area.monitoring' },
      ],
    });
  });
});

describe('a product', () => {
  it.each([
    ['cpu_cores', 0],
    ['cpu_cores', 33],
    ['ram_mb', 511],
    ['ram_mb', 65_537],
    ['disk_gb', 9],
    ['disk_gb', 1_001],
    ['bandwidth_gb', 99],
    ['location', 'mars-1'],
  ])('is refused with %s = %s', async (field, value) => {
    const saved = await saveProduct({ ...PRODUCT, [field]: value });
    expect(saved.ok ? [] : Object.keys(saved.errors)).toEqual([field]);
  });

  it('begins with the guide’s defaults', async () => {
    const { bulkhead, installationId } = installed();
    const form = await bulkhead.panel.catalog.productForm(installationId, null);
    expect(form).toMatchObject({ kind: 'fields', values: PRODUCT });
  });
});

describe('an order', () => {
  it.each([
    ['hostname', 'not a host'],
    ['image_id', 'templeos'],
    ['root_password', 'short'],
  ])('is refused with %s = %s', async (field, value) => {
    const ordered = await order({ ...ORDER, [field]: value });
    expect(ordered.ok ? [] : Object.keys(ordered.errors)).toEqual([field]);
    expect(await installed().cloud.control.droplets()).toEqual([]);
  });

  it('creates the server that was ordered and is active when the server is', async () => {
    const { cloud, bulkhead } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const id = await serviceId();
    await ended(id, 'createJob');
    expect(await service(id)).toMatchObject({ status: 'pending', provision_status: 'processing' });
    expect(await tab(id, 'general')).toContain('Being created');
    await cloud.control.setDelays({ provisioningMs: 0, actionMs: 0 });
    const done = await provisioned(id, 'completed');
    expect(done.status).toBe('active');
    const [droplet] = await cloud.control.droplets();
    expect(droplet).toMatchObject({
      name: 'web.example.com',
      size_slug: 's-1vcpu-1gb',
      region: { slug: 'us-east-1' },
      image: { slug: 'debian-12' },
      tags: [`service:${id}`],
    });
    expect(done.data).toMatchObject({ ssh_keys: ['aa:bb', 'cc:dd'] });
    expect(await tab(id, 'general')).toContain('203.0.113.1');
    const checks = (await tasksOf(id)).filter((task) => task.method === 'statusCheckJob');
    expect(checks[0]).toMatchObject({
      tags: ['status_check', 'vps'],
      tries: 2,
      backoff_s: 30,
      timeout_s: 120,
      max_exceptions: 1,
    });
    expect(JSON.stringify(await bulkhead.panel.db.selectFrom('logs').selectAll().execute())).not.toContain(
      cloud.cloudToken,
    );
  });

  it('keeps one root password, encrypted in the module’s table, and shows it to its client only when asked', async () => {
    const id = await active();
    const { data } = await service(id);
    const password: unknown = Reflect.get(Object(data), 'root_password');
    expect(password).toMatch(/^[A-Za-z0-9]{20}$/);
    const row = (await installed().stored('vps_servers')).find((each) => each['service_uuid'] === id);
    expect(row).toMatchObject({ status: 'active', hostname: 'web.example.com', server_specs: PRODUCT });
    expect(row?.['root_password']).not.toContain(password);
    expect(await tab(id, 'general')).not.toContain(password);
    expect(await call(id, 'general', 'POST', { action: 'reveal_password' })).toMatchObject({
      kind: 'json',
      status: 200,
      body: { success: true, data: { root_password: password } },
    });
  });
});

describe('a server is created once', () => {
  it('when the answer to the request is lost: it is found by its tag and not asked for again', async () => {
    const { cloud } = installed();
    await cloud.control.addPreset('create-answer-lost');
    await provisioned(await serviceId(), 'completed');
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
    const asked = await cloud.control.requests();
    expect(asked.filter(({ method, path }) => method === 'POST' && path === '/v2/droplets')).toHaveLength(1);
  });

  it('when the connection is cut before the provider has the request', async () => {
    const { cloud } = installed();
    await cloud.control.addPreset('create-cut');
    await provisioned(await serviceId(), 'completed');
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  it('when the row could not be written and an admin runs the task again', async () => {
    const { bulkhead, cloud, adminId } = installed();
    await cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'garbage',
      when: 'after',
    });
    const id = await serviceId();
    const task = await ended(id, 'createJob');
    expect(task.status).toBe('failed');
    expect(await service(id)).toMatchObject({ status: 'pending', provision_status: 'failed' });
    await bulkhead.panel.billing.serviceAction({ serviceId: id, action: 'create', accountId: adminId });
    await provisioned(id, 'completed');
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });
});

describe('a server that does not come up', () => {
  it('is given up after the configured number of checks', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const id = await serviceId();
    await provisioned(id, 'failed');
    const checks = (await tasksOf(id)).filter((task) => task.method === 'statusCheckJob');
    expect(checks.map((task) => task.params)).toEqual([
      expect.objectContaining({ check: 1 }),
      expect.objectContaining({ check: 2 }),
    ]);
    expect((await service(id)).status).toBe('pending');
  });

  it('is looked at again when the provider did not answer', async () => {
    const { cloud } = installed();
    await cloud.control.addFault({
      match: { method: 'GET', path: '/v2/droplets/*' },
      kind: 'status',
      status: 503,
    });
    await provisioned(await serviceId(), 'completed');
    const looks = (await cloud.control.requests()).filter((entry) => /\/v2\/droplets\/\d+$/.test(entry.path));
    expect(looks).toHaveLength(2);
  });

  it('is not_found when the provider has it no more', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const id = await serviceId();
    await ended(id, 'createJob');
    const [droplet] = await cloud.control.droplets();
    await cloud.control.destroyDroplet(Number(droplet?.['id']));
    expect((await provisioned(id, 'not_found')).status).toBe('pending');
  });

  it('is looked at no more once its service was terminated', async () => {
    const { cloud } = installed();
    await cloud.control.setDelays({ provisioningMs: 3_600_000, actionMs: 0 });
    const id = await serviceId();
    await ended(id, 'createJob');
    await act(id, 'termination');
    await provisioned(id, 'terminated');
    const check = await ended(id, 'statusCheckJob');
    expect(check).toMatchObject({ status: 'completed', error: null });
    expect(await service(id)).toMatchObject({ status: 'terminated', provision_status: 'terminated' });
  });

  it('is tried again while the provider is out of order, and creates one server', async () => {
    const { cloud } = installed();
    await cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 503,
      times: 2,
    });
    const id = await serviceId();
    expect((await provisioned(id, 'completed')).status).toBe('active');
    expect(await ended(id, 'createJob')).toMatchObject({ status: 'completed', attempts: 3 });
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  it('fails with the provider’s words after its last try, and is mended by a retry', async () => {
    const { cloud, bulkhead, adminId } = installed();
    await cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 500,
      times: 3,
    });
    const id = await serviceId();
    await provisioned(id, 'failed');
    const task = await ended(id, 'createJob');
    expect(task).toMatchObject({ status: 'failed', attempts: 3 });
    expect(JSON.stringify(task.error)).toContain('API Error: 500');
    await cloud.control.clearFaults();
    await bulkhead.panel.jobs.retry(task.id, adminId);
    expect((await provisioned(id, 'completed')).status).toBe('active');
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  it('says why in the task and not more than that to anybody when the provider refuses', async () => {
    const { cloud } = installed();
    await cloud.control.addPreset('cloud-401');
    const id = await serviceId();
    const task = await ended(id, 'createJob');
    expect(task).toMatchObject({ status: 'failed', error: { message: 'VPS creation failed' } });
    expect(await service(id)).toMatchObject({ provision_status: 'failed', status: 'pending' });
  });
});

describe('the life of a service', () => {
  it('goes through suspension, resumption and termination with its server', async () => {
    const { cloud } = installed();
    const id = await active();
    await act(id, 'suspend');
    expect((await provisioned(id, 'suspended')).status).toBe('suspended');
    expect(await cloud.control.droplets()).toMatchObject([{ status: 'off' }]);
    await act(id, 'unsuspend');
    expect((await provisioned(id, 'completed')).status).toBe('active');
    expect(await cloud.control.droplets()).toMatchObject([{ status: 'active' }]);
    await act(id, 'termination');
    expect((await provisioned(id, 'terminated')).status).toBe('terminated');
    expect(await cloud.control.droplets()).toEqual([]);
  });

  it('resizes the server with the product and leaves it switched on', async () => {
    const { cloud } = installed();
    const id = await active();
    await act(id, 'change_package', await productId({ ...PRODUCT, cpu_cores: 4, ram_mb: 8_192 }));
    expect((await ended(id, 'change_packageJob')).status).toBe('completed');
    expect(await cloud.control.droplets()).toMatchObject([{ size_slug: 's-4vcpu-8gb', status: 'active' }]);
    expect(await service(id)).toMatchObject({ status: 'active', provision_status: 'completed' });
  });

  it('goes on as before when the provider refuses to resize, with the server switched on', async () => {
    const { cloud } = installed();
    const id = await active();
    const before = (await service(id)).product_id;
    // The first action, switching off, works; the second, resizing, is refused.
    const match = { method: 'POST', path: '/v2/droplets/*/actions' };
    await cloud.control.addFault({ match, kind: 'delay', delayMs: 0 });
    await cloud.control.addFault({ match, kind: 'status', status: 503 });
    await act(id, 'change_package', await productId({ ...PRODUCT, cpu_cores: 2, ram_mb: 2_048 }));
    expect((await ended(id, 'change_packageJob')).status).toBe('failed');
    expect(await cloud.control.droplets()).toMatchObject([{ size_slug: 's-1vcpu-1gb', status: 'active' }]);
    expect(await service(id)).toMatchObject({
      status: 'active',
      provision_status: 'completed',
      product_id: before,
    });
  });

  it('ends with the server deleted even if its row was never written', async () => {
    const { cloud } = installed();
    await cloud.control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'garbage',
      when: 'after',
    });
    const id = await serviceId();
    await ended(id, 'createJob');
    expect(await cloud.control.droplets()).toHaveLength(1);
    await act(id, 'termination');
    await provisioned(id, 'terminated');
    expect(await cloud.control.droplets()).toEqual([]);
  });

  it('ends for a server that is gone already', async () => {
    const { cloud } = installed();
    const id = await active();
    const [droplet] = await cloud.control.droplets();
    await cloud.control.destroyDroplet(Number(droplet?.['id']));
    await act(id, 'termination');
    expect((await provisioned(id, 'terminated')).status).toBe('terminated');
  });
});

describe('the client', () => {
  it('opens the console of a server that runs', async () => {
    const { cloud } = installed();
    const answer = await call(await active(), 'console', 'GET');
    expect(answer).toMatchObject({ kind: 'json', status: 200, body: { success: true } });
    const url = answer.kind === 'json' ? String(Reflect.get(Object(answer.body), 'console_url')) : '';
    expect(url.startsWith(`${cloud.cloud}/console/`)).toBe(true);
  });

  it('is told only that the console is unavailable when the provider fails', async () => {
    const id = await active();
    await installed().cloud.control.addPreset('cloud-401');
    expect(await call(id, 'console', 'GET')).toEqual({
      kind: 'json',
      status: 500,
      body: { error: 'Console unavailable' },
    });
  });

  it('finds no console for a service without a server', async () => {
    await installed().cloud.control.addPreset('cloud-401');
    const id = await serviceId();
    await provisioned(id, 'failed');
    expect(await call(id, 'console', 'GET')).toEqual({
      kind: 'json',
      status: 404,
      body: { error: 'Server not found' },
    });
  });

  it('cannot use a suspended server: the host answers for the module', async () => {
    const { cloud } = installed();
    const id = await active();
    await act(id, 'suspend');
    await provisioned(id, 'suspended');
    for (const [name, method, body] of [
      ['general', 'POST', { action: 'power_on' }],
      ['general', 'POST', { action: 'reveal_password' }],
      ['console', 'GET', {}],
      ['snapshots', 'POST', { name: 'mine' }],
      ['snapshots', 'DELETE', { id: '1' }],
    ] as const)
      await expect(call(id, name, method, body)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await cloud.control.droplets()).toMatchObject([{ status: 'off' }]);
  });

  it('cannot do what is no action', async () => {
    const id = await active();
    for (const action of ['resize', 'power_off', 'constructor', '', null])
      expect(await call(id, 'general', 'POST', { action })).toMatchObject({ status: 422 });
  });

  it('takes, lists and deletes snapshots of its own server only', async () => {
    const { cloud } = installed();
    const mine = await active();
    const other = await active();
    expect(await call(mine, 'snapshots', 'POST', { name: '' })).toMatchObject({ status: 422 });
    expect(await call(mine, 'snapshots', 'POST', { name: 'before <b>update' })).toMatchObject({
      status: 200,
    });
    const listed = await call(mine, 'snapshots', 'GET');
    expect(listed).toMatchObject({ body: { success: true, data: [{ name: 'before <b>update' }] } });
    expect(await tab(mine, 'snapshots')).toContain('before &lt;b&gt;update');
    const body: unknown = listed.kind === 'json' ? listed.body : null;
    const data: unknown = Reflect.get(Object(body), 'data');
    const id: unknown = Reflect.get(Object(Array.isArray(data) ? data[0] : null), 'id');
    expect(await call(other, 'snapshots', 'DELETE', { id })).toMatchObject({ status: 404 });
    expect(await cloud.control.effects('snapshot.deleted')).toHaveLength(0);
    expect(await call(mine, 'snapshots', 'DELETE', { id })).toMatchObject({ status: 200 });
    expect(await call(mine, 'snapshots', 'GET')).toMatchObject({ body: { data: [] } });
  });

  it('sees charts, and a notice when the provider does not answer', async () => {
    const id = await active();
    expect(await tab(id, 'monitoring')).toMatch(/data-vps-chart="cpu"[\s\S]*<polyline points="0\.0,/);
    expect(await call(id, 'monitoring', 'GET')).toMatchObject({
      body: { success: true, data: [{ key: 'cpu', unit: '%' }, {}, {}, {}] },
    });
    await installed().cloud.control.addPreset('cloud-401');
    expect(await tab(id, 'monitoring')).toContain('Monitoring is not available at the moment.');
    expect(await tab(id, 'snapshots')).toContain('cannot be shown at the moment');
    expect(await tab(id, 'console')).toContain('Open the console');
  });
});

describe('the admin', () => {
  it('sees the servers, all or those of a status', async () => {
    const id = await active();
    const shown = await adminPage('servers');
    expect(shown.kind === 'html' ? shown.html : '').toContain(id);
    const none = await adminPage('servers?status=creating');
    expect(none.kind === 'html' ? none.html : '').not.toContain(id);
  });

  it('switches an image off, so that it can be ordered no more, and activating again leaves it off', async () => {
    const { bulkhead, installationId, adminId } = installed();
    const page = await adminPage('images');
    const html = page.kind === 'html' ? page.html : '';
    const toggle = /Rocky Linux 9[\s\S]*?action="(images\/\d+\/toggle)"/.exec(html)?.[1] ?? '';
    expect(await adminPage(toggle, 'POST')).toMatchObject({
      status: 200,
      body: { data: { image_id: 'rocky-9', active: false } },
    });
    const refused = await order({ ...ORDER, image_id: 'rocky-9' });
    expect(refused.ok ? {} : refused.errors).toEqual({ image_id: [expect.not.stringContaining('rocky-9')] });
    await bulkhead.panel.catalog.disable(installationId, adminId);
    await bulkhead.panel.catalog.enable(installationId, adminId);
    const again = await order({ ...ORDER, image_id: 'rocky-9' });
    expect(again.ok).toBe(false);
    expect(await adminPage(toggle, 'POST')).toMatchObject({ body: { data: { active: true } } });
  });

  it('needs the module’s permissions for its pages', async () => {
    const view = ['Product-VPSHosting-view-images'];
    const page = await adminPage('images', 'GET', view);
    expect(page.kind === 'html' ? page.html : '').not.toContain('<form');
    await expect(adminPage('images/1/toggle', 'POST', view)).rejects.toMatchObject({ code: 'NOT_GRANTED' });
    await expect(adminPage('servers', 'GET', view)).rejects.toMatchObject({ code: 'NOT_GRANTED' });
  });
});

describe('beside the lifecycle', () => {
  const as = (serviceId: string, account: 'admin' | 'client') => {
    const at = installed();
    return { tenantId: at.tenantId, serviceId, account: at[account] };
  };

  it('the connection is tested with the settings, and a wrong key is told', async () => {
    const { bulkhead, tenantId, installationId, admin, cloud } = installed();
    const test = { tenantId, installationId, account: admin };
    expect(await bulkhead.panel.care.testConnection(test)).toMatchObject({ ok: true });
    await cloud.control.addPreset('cloud-401');
    const failed = await bulkhead.panel.care.testConnection(test);
    expect(failed).toMatchObject({ ok: false, message: expect.stringContaining('401') });
  });

  it('a new root password reaches the server, and the row keeps it encrypted', async () => {
    const { bulkhead, stored, cloud } = installed();
    const { care } = bulkhead.panel;
    const id = await active();
    const made = await care.changePassword({ ...as(id, 'client'), password: null });
    expect(made).toMatchObject({ ok: true, password: expect.stringMatching(/^.{20}$/) });
    const shown = await call(id, 'general', 'POST', { action: 'reveal_password' });
    expect(shown).toMatchObject({ body: { data: { root_password: made.password } } });
    expect(JSON.stringify(await stored('vps_servers'))).not.toContain(made.password);
    await cloud.control.addPreset('cloud-401');
    expect(await care.changePassword({ ...as(id, 'admin'), password: 'Another one 7' })).toMatchObject({
      ok: false,
      password: null,
    });
  });

  it('signing on opens the console at the provider', async () => {
    const { bulkhead, cloud } = installed();
    const { url } = await bulkhead.panel.care.signOn(as(await active(), 'client'));
    expect(url).toMatch(new RegExp(`^${cloud.cloud}/console/con_`));
    expect(await (await fetch(url)).text()).toContain('web.example.com');
  });

  it('usage comes from the provider, against what the product promises', async () => {
    const { bulkhead } = installed();
    const id = await active();
    const { results } = await bulkhead.invoker.invoke({
      installationId: installed().installationId,
      serviceId: id,
      purpose: 'request',
      calls: [
        { target: { on: 'module' }, method: 'getProductData', args: [PRODUCT] },
        { target: { on: 'module' }, method: 'usageUpdate', args: [] },
      ],
    });
    expect(results.at(-1)).toMatchObject({
      value: { disk: { limit: 25, unit: 'GB' }, bandwidth: { limit: 1000, unit: 'GB' } },
    });
  });

  it('a comparison is in sync at first, and misses a server that was destroyed behind its back', async () => {
    const { bulkhead, cloud, stored } = installed();
    const { care } = bulkhead.panel;
    const id = await active();
    await care.reconcile(as(id, 'admin'));
    expect((await care.view(as(id, 'admin'))).report).toMatchObject({ status: 'in_sync' });
    const row = (await stored('vps_servers')).find(({ service_uuid: uuid }) => uuid === id);
    const address = `${cloud.cloud}/v2/droplets/${String(row?.['server_id'])}`;
    const headers = { authorization: `Bearer ${cloud.cloudToken}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ type: 'power_off' });
    expect((await fetch(`${address}/actions`, { method: 'POST', headers, body })).status).toBe(201);
    await until('it is off', async () =>
      (await (await fetch(address, { headers })).text()).includes('"off"'),
    );
    await care.reconcile(as(id, 'admin'));
    expect((await care.view(as(id, 'admin'))).report).toMatchObject({
      status: 'different',
      differences: [{ field: 'status', local: 'active', remote: 'off', mended: false }],
    });
    expect((await fetch(address, { method: 'DELETE', headers })).status).toBe(204);
    await care.reconcile(as(id, 'admin'));
    expect((await care.view(as(id, 'admin'))).report).toMatchObject({ status: 'missing' });
    await care.markNotFound(as(id, 'admin'));
    expect(await service(id)).toMatchObject({ provision_status: 'not_found' });
  });

  it('staff and client restart the server by a button', async () => {
    const { bulkhead, cloud } = installed();
    const { care } = bulkhead.panel;
    const id = await active();
    const before = (await cloud.control.effects('action.started')).length;
    for (const account of ['admin', 'client'] as const)
      expect(await care.press({ ...as(id, account), button: 'reboot' })).toMatchObject({ ok: true });
    expect(await cloud.control.effects('action.started')).toHaveLength(before + 2);
  });
});
