import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { InvocationFailed } from '../../src/catalog/invoke.ts';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const ADMIN = '/t/acme/admin';

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  panel().deps.called.length = 0;
  return visitor;
}

function found(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? '';
}

function lastCall(name: string): unknown {
  return panel().deps.called.findLast((call) => call.name === name)?.input;
}

describe('the consent page', () => {
  const path = () => `${ADMIN}/installations/${panel().seeded.installationId}/permissions`;

  test('says what was never used, and suggests taking it back', async () => {
    const html = await (await (await admin()).get(path())).text();
    expect(html).toContain('1 granted line was never used. You may take it back.');
    expect(html).toMatch(/tables of its own[\s\S]*?Never used so far/);
    expect(html).toMatch(/Used 1,?204 times, last/);
  });

  test('grants what is switched on, narrowed where it was narrowed, and nothing else', async () => {
    const response = await (
      await admin()
    ).post(path(), {
      'grant:http.hosts:*.example.com:8443': 'on',
      'item:http.hosts:*.example.com:8443': 'node1.example.com:8443',
      'grant:http.per_minute': 'on',
      'amount:http.per_minute': '30',
      'amount:db.tables': '3',
      'grant:unheard.of': 'on',
    });
    expect(response.status).toBe(303);
    expect(lastCall('grant')).toMatchObject({
      answers: {
        'http.hosts:*.example.com:8443': { granted: true, item: 'node1.example.com:8443' },
        'http.per_minute': { granted: true, amount: 30 },
        'db.tables': { granted: false },
        'secrets.names:api_key': { granted: false },
      },
    });
    expect(lastCall('grant')).not.toHaveProperty(['answers', 'unheard.of']);
  });

  test('does not enable unless asked to', async () => {
    const visitor = await admin();
    await visitor.post(path(), { 'grant:http.per_minute': 'on' });
    expect(lastCall('enable')).toBeUndefined();
    await visitor.post(path(), { 'grant:http.per_minute': 'on', after: 'enable' });
    expect(lastCall('enable')).toBe(panel().seeded.installationId);
  });

  test('sends the version that was shown along with the answers', async () => {
    const visitor = await admin();
    const version = found(await (await visitor.get(path())).text(), /name="version" value="([^"]+)"/);
    await visitor.post(path(), { version, 'grant:http.per_minute': 'on' });
    expect(lastCall('grant')).toMatchObject({ version });
    // A form without one names no version there is: the use case refuses it.
    await visitor.post(path(), { 'grant:http.per_minute': 'on' });
    expect(lastCall('grant')).toMatchObject({ version: '' });
  });

  test('shows a refused answer as it was given, with the reason', async () => {
    const response = await (
      await admin()
    ).post(path(), {
      'grant:http.hosts:*.example.com:8443': 'on',
      'item:http.hosts:*.example.com:8443': '*.com',
    });
    const html = await response.text();
    expect(response.status).toBe(422);
    expect(html).toContain('is wider than what the module asks for');
    expect(html).toContain('value="*.com"');
  });
});

describe('a product’s form', () => {
  const path = () => `${ADMIN}/products/${panel().seeded.productId}`;
  const form = {
    name: 'VPS S',
    f_region: 'fra1',
    f_size: 's-1',
    f_disk: '25',
    f_backups: 'on',
    'price:monthly': '12.50',
    'setup:monthly': '5',
  };

  test('hands over typed values and prices in minor units', async () => {
    expect((await (await admin()).post(path(), form)).status).toBe(303);
    expect(lastCall('saveProduct')).toMatchObject({
      data: { region: 'fra1', size: 's-1', disk: 25, backups: true },
      prices: [{ period: 'monthly', amountMinor: 1_250, setupMinor: 500 }],
      active: false,
    });
  });

  test('shows what the module refuses at its field and keeps what was typed', async () => {
    const response = await (await admin()).post(path(), { ...form, f_size: 'bad', name: 'Kept name' });
    const html = await response.text();
    expect(response.status).toBe(422);
    expect(html).toMatch(/name="f_size"[^>]*value="bad"[\s\S]{0,200}There is no such size\./);
    expect(html).toContain('value="Kept name"');
  });

  test.each(['12.505', '-1', '1e3', 'free', '99999999999'])('refuses %s as a price', async (price) => {
    const response = await (await admin()).post(path(), { ...form, 'price:monthly': price });
    expect(response.status).toBe(422);
    expect(lastCall('saveProduct')).toBeUndefined();
  });
});

describe('a module’s settings', () => {
  test('never show a secret, and keep it when its field stays empty', async () => {
    const visitor = await admin();
    const path = `${ADMIN}/installations/${panel().seeded.installationId}/settings`;
    const html = await (await visitor.get(path)).text();
    expect(html).toMatch(
      /name="f_api_key"[^>]*type="password"[^>]*placeholder="Set\. Leave empty to keep it"/,
    );
    await visitor.post(path, { f_region: 'fra1', f_size: 's', f_api_key: '' });
    expect(lastCall('saveSettings')).toMatchObject({ values: { api_key: '' } });
  });
});

describe('a password field', () => {
  test('is never filled in with what is stored', async () => {
    const { deps, seeded } = panel();
    const { settings } = deps.catalog;
    const field = { key: 'pin', title: 'PIN', type: 'password', help: '', required: false } as const;
    Object.assign(deps.catalog, {
      settings: async () => ({ fields: [field], values: { pin: 'stored-pin' }, secretsSet: [] }),
    });
    const page = await (await admin()).get(`${ADMIN}/installations/${seeded.installationId}/settings`);
    Object.assign(deps.catalog, { settings });
    const html = await page.text();
    expect(html).toMatch(/name="f_pin"[^>]*type="password"/);
    expect(html).not.toContain('stored-pin');
  });
});

describe('exporting a module’s data', () => {
  test('gives a file of lines to who manages modules', async () => {
    const path = `${ADMIN}/installations/${panel().seeded.installationId}/export`;
    const answer = await (await admin()).get(path);
    expect(answer.headers.get('content-disposition')).toMatch(
      /^attachment; filename="VPSHosting-\d{4}-\d\d-\d\d\.ndjson"$/,
    );
    expect((await answer.text()).trimEnd().split('\n')).toHaveLength(2);
    const danger = await (await admin()).get(path.replace(/export$/, 'danger'));
    expect(await danger.text()).toContain(
      `href="/t/acme/admin/installations/${panel().seeded.installationId}/export"`,
    );
  });
});

describe('uninstalling', () => {
  test('asks for the module’s name', async () => {
    const visitor = await admin();
    const path = `${ADMIN}/installations/${panel().seeded.installationId}/uninstall`;
    expect((await visitor.post(path, { name: 'vpshosting' })).status).toBe(422);
    expect(lastCall('uninstall')).toBeUndefined();
    expect((await visitor.post(path, { name: 'VPSHosting' })).status).toBe(303);
    expect(lastCall('uninstall')).toBe(panel().seeded.installationId);
  });
});

describe('a service', () => {
  test('refuses an action outside the closed set', async () => {
    const visitor = await admin();
    const path = `${ADMIN}/services/${panel().seeded.serviceId}/action`;
    for (const action of ['createJob', '__proto__', 'purge', ''])
      expect([action, (await visitor.post(path, { action })).status]).toEqual([action, 422]);
    expect(lastCall('serviceAction')).toBeUndefined();
    expect((await visitor.post(path, { action: 'suspend', product: '' })).status).toBe(303);
    expect(lastCall('serviceAction')).toMatchObject({
      action: 'suspend',
      serviceId: panel().seeded.serviceId,
    });
  });

  test('tells its history in order, newest first, from all five tables', async () => {
    const html = await (
      await (await admin()).get(`${ADMIN}/services/${panel().seeded.serviceId}/timeline`)
    ).text();
    const order = [
      'statusCheckJob queued',
      'Status: Pending → Active',
      'createJob: attempt 2 completed',
      'Creating droplet',
      'attempt 1 error',
      'POST api.digitalocean.com/v2/droplets',
      'createJob queued',
    ];
    const places = order.map((text) => html.lastIndexOf(text));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(html).toContain('202');
    expect(html).toContain('184 ms');
    expect(html).toContain('12.3 ms CPU');
  });

  test('says so live when something happens to it, and only then', async () => {
    const visitor = await admin();
    const { db, seeded } = panel();
    const response = await visitor.get(`${ADMIN}/services/${seeded.otherServiceId}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = response.body?.getReader();
    const next = async (): Promise<string> => new TextDecoder().decode((await reader?.read())?.value);
    expect(await next()).toContain('event: ready');
    const change = { field: 'status', old_value: 'suspended', new_value: 'active', actor: 'admin' } as const;
    await db
      .insertInto('service_changes')
      .values({ ...change, service_id: seeded.serviceId })
      .execute();
    const told = next();
    const quiet = await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 1_600, 'quiet'))]);
    expect(quiet).toBe('quiet');
    await db
      .insertInto('service_changes')
      .values({ ...change, service_id: seeded.otherServiceId })
      .execute();
    expect(await told).toContain('event: changed');
    await reader?.cancel();
  });
});

describe('tasks', () => {
  test('are filtered by status and by tag', async () => {
    const visitor = await admin();
    const listed = async (query: string) =>
      (await (await visitor.get(`${ADMIN}/tasks?${query}`)).text()).match(
        /createJob|snapshotJob|statusCheckJob/g,
      );
    expect(await listed('status=failed')).toEqual(['snapshotJob']);
    expect(await listed('tag=create')).toEqual(['createJob']);
    expect(await listed('status=nonsense')).toHaveLength(3);
  });

  test('in doubt offer both ways on', async () => {
    const visitor = await admin();
    const task = await panel()
      .db.selectFrom('tasks')
      .select('id')
      .where('method', '=', 'snapshotJob')
      .executeTakeFirstOrThrow();
    const html = await (await visitor.get(`${ADMIN}/tasks/${task.id}`)).text();
    expect(html).toContain('k-2');
    await visitor.post(`${ADMIN}/tasks/${task.id}/step-done`, { step: 'snapshot', value: '{"id": 7}' });
    expect(lastCall('markStepDone')).toMatchObject({ taskId: task.id, step: 'snapshot', value: { id: 7 } });
    await visitor.post(`${ADMIN}/tasks/${task.id}/resume`, { step: 'snapshot' });
    expect(lastCall('resume')).toEqual({ id: task.id, step: 'snapshot' });
  });
});

describe('logs', () => {
  test('are found by level and by text, taken literally', async () => {
    const visitor = await admin();
    const has = async (query: string, text: string) =>
      (await (await visitor.get(`${ADMIN}/logs?${query}`)).text()).includes(text);
    expect(await has('q=droplet', 'Creating droplet')).toBe(true);
    expect(await has('q=dr_plet', 'Creating droplet')).toBe(false);
    expect(await has('q=%25', 'Creating droplet')).toBe(false);
    expect(await has('level=warning', 'Creating droplet')).toBe(false);
    expect(await has('level=warning', 'evil.test is not granted')).toBe(true);
  });

  test('that cannot be searched in time are given up, and the page says so', async () => {
    const visitor = await admin();
    const { db } = panel();
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = db.transaction().execute(async (trx) => {
      await sql`lock table logs in access exclusive mode`.execute(trx);
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const answer = await visitor.get(`${ADMIN}/logs?q=slow`);
    release.resolve();
    await holding;
    expect(answer.status).toBe(504);
    expect(await answer.text()).toContain('This search takes too long.');
  });
});

describe('a client', () => {
  test('orders a product on sale, for nobody but itself', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('client', 'carl@client.test');
    const { seeded, db } = panel();
    const form = {
      period: 'monthly',
      token: randomUUID(),
      f_region: 'ams3',
      f_size: 's-1',
      clientId: seeded.otherClientId,
      client: seeded.otherClientId,
    };
    expect((await visitor.post(`/t/acme/order/${seeded.productId}`, form)).status).toBe(303);
    expect(lastCall('order')).toMatchObject({
      token: form.token,
      clientId: seeded.clientId,
      accountId: seeded.clientId,
      period: 'monthly',
      data: { region: 'ams3' },
    });
    const { token: _left, ...tokenless } = form;
    const without = await visitor.post(`/t/acme/order/${seeded.productId}`, tokenless);
    expect(without.status).toBe(422);
    expect(await without.text()).toContain('send it again');
    const unpriced = await db
      .selectFrom('products')
      .select('id')
      .where('name', '=', 'VPS M')
      .executeTakeFirstOrThrow();
    expect((await visitor.post(`/t/acme/order/${unpriced.id}`, form)).status).toBe(404);
  });

  test('learns that the module failed, and not how', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('client', 'carl@client.test');
    const { seeded, deps } = panel();
    const { order, orderForm } = deps.billing;
    const fail = async (): Promise<never> => {
      throw new InvocationFailed(
        { code: 'MODULE_ERROR', message: 'token sk_live_1 refused by 10.0.0.7' },
        { cpuUs: 0, entries: 0, calls: 0, wallMs: 0 },
      );
    };
    const form = { period: 'monthly', token: randomUUID(), f_region: 'ams3', f_size: 's-1' };
    Object.assign(deps.billing, { order: fail });
    const refused = await visitor.post(`/t/acme/order/${seeded.productId}`, form);
    Object.assign(deps.billing, { orderForm: fail });
    const page = await visitor.get(`/t/acme/order/${seeded.productId}`);
    Object.assign(deps.billing, { order, orderForm });
    expect([refused.status, page.status]).toEqual([422, 502]);
    for (const answer of [refused, page]) {
      const html = await answer.text();
      expect(html).toContain('This did not work. Please try again later, or contact us.');
      expect(html).not.toMatch(/sk_live_1|10\.0\.0\.7/);
    }
  });

  test('orders what is on sale while a newer version of its module waits for consent', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('client', 'carl@client.test');
    const { seeded, db } = panel();
    const statusWith = async (status: 'restricted' | 'inactive' | 'active') => {
      await db.updateTable('installations').set({ status }).where('id', '=', seeded.installationId).execute();
      return (await visitor.get(`/t/acme/order/${seeded.productId}`)).status;
    };
    expect(await statusWith('restricted')).toBe(200);
    expect((await visitor.get(`/t/acme/m/client/${seeded.serviceId}/general`)).status).toBe(200);
    expect(await statusWith('inactive')).toBe(404);
    expect(await statusWith('active')).toBe(200);
  });
});

describe('the operator', () => {
  const operator = async () => {
    const visitor = panel().visitor();
    await visitor.signIn('operator', 'root@panel.test');
    return visitor;
  };

  test('sees every page of the area', async () => {
    const visitor = await operator();
    const { seeded } = panel();
    for (const path of [
      '/tenants',
      `/tenants/${seeded.tenantId}`,
      '/tenants/new',
      '/packages',
      '/stores',
      '/stores/5d3b7c1e-0000-4000-8000-000000000001',
      `/packages/${seeded.versionId}`,
      '/runners',
      '/profile',
    ])
      expect([path, (await visitor.get(`/operator${path}`)).status]).toEqual([path, 200]);
  });

  test('allows addresses by range and port only', async () => {
    const visitor = await operator();
    const path = `/operator/tenants/${panel().seeded.tenantId}/egress`;
    expect((await visitor.post(path, { egress: '10.0.0.0/24' })).status).toBe(422);
    expect((await visitor.post(path, { egress: '10.0.0.0/24 8443\n\n10.1.0.1/32 22' })).status).toBe(303);
    expect(lastCall('allowEgress')).toMatchObject({
      allow: [
        { cidr: '10.0.0.0/24', port: 8_443 },
        { cidr: '10.1.0.1/32', port: 22 },
      ],
    });
  });
});

test('every admin page answers', async () => {
  const visitor = await admin();
  const { seeded } = panel();
  const paths = [
    '',
    '/services',
    '/services/new',
    `/services/new?product=${seeded.productId}`,
    `/services/${seeded.serviceId}`,
    '/clients',
    '/clients/new',
    `/clients/${seeded.clientId}`,
    '/products',
    '/products/new',
    `/products/new?module=${seeded.installationId}`,
    '/modules',
    `/installations/${seeded.installationId}/tasks`,
    `/installations/${seeded.installationId}/danger`,
    '/store',
    '/store?q=vps',
    `/store/${seeded.moduleId}`,
    '/store/at/5d3b7c1e-0000-4000-8000-000000000001/north-works/Plugin/Uptime',
    '/tasks',
    `/tasks/${seeded.taskId}`,
    '/logs',
    '/settings',
    '/profile',
    '/modules/Product/VPSHosting/servers/1',
  ];
  for (const path of paths) expect([path, (await visitor.get(ADMIN + path)).status]).toEqual([path, 200]);
  for (const path of [
    '/services/1',
    '/services/%00',
    '/tasks/x',
    '/modules/Product/VPSHosting/undeclared',
    '/modules/Product/Other/servers',
    '/nothing',
  ])
    expect([path, (await visitor.get(ADMIN + path)).status]).toEqual([path, 404]);
});

test('the store’s page of a module lists what can be set before it is installed', async () => {
  const page = await (await admin()).get(`${ADMIN}/store/${panel().seeded.moduleId}`);
  const card = (await page.text()).split('What can be set')[1] ?? '';
  expect(card).toMatch(
    /API &lt;b&gt;key&lt;\/b&gt; <span class="badge">Required<[\s\S]*From your account\.[\s\S]*Secret, kept/,
  );
  expect(card).toMatch(/Region<\/div>[\s\S]*Choice/);
});

describe('mounted in a foreign app', () => {
  const mounted = usePanel({ base: '/hosting' });

  test('keeps every address below its base path', async () => {
    const { Hono } = await import('hono');
    const { createApp } = await import('../../src/web/app.ts');
    const foreign = new Hono()
      .get('/', (c) => c.text('foreign'))
      .mount('/hosting', createApp(mounted().deps).fetch);
    const visitor = mounted().visitor();
    const response = await visitor.signIn('admin', 'olga@acme.test');
    expect(response.headers.get('location')).toBe('/hosting/t/acme/admin');
    expect(response.headers.getSetCookie()[0]).toContain('Path=/hosting/t/acme');
    const cookie = [...visitor.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
    const page = await foreign.request(`${mounted().origin}/hosting/t/acme/admin`, { headers: { cookie } });
    const html = await page.text();
    expect(page.status).toBe(200);
    const addresses = [...html.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, address = '']) => address);
    expect(addresses.length).toBeGreaterThan(20);
    expect(addresses.filter((address) => !address.startsWith('/hosting/'))).toEqual([]);
    const style = addresses.find((address) => address.includes('panel.css')) ?? '';
    expect((await foreign.request(mounted().origin + style)).status).toBe(200);
    expect(await (await foreign.request(`${mounted().origin}/`)).text()).toBe('foreign');
  });
});
