/**
 * The same thing as a library: the host mounted under /hosting of somebody else's app, which signs people in itself. The main path is walked over
 * HTTP, as a browser would: links of the pages, their forms and tokens, the frame's document and its assets.
 */
import { randomUUID } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { setCookie } from 'hono/cookie';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ExternalPerson, externalAuth } from '../../src/auth/external.ts';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { type Bulkhead, createBulkhead } from '../../src/host.ts';
import { openGround, PASSWORD } from '../support/host.ts';
import { packFolder, shippedFolder } from '../support/modules.ts';
import { until } from '../support/until.ts';

const PEOPLE: Readonly<Record<string, ExternalPerson>> = {
  ann: { kind: 'admin', tenant: 'acme', email: 'ann@acme.test', name: 'Ann' },
  bob: { kind: 'admin', tenant: 'acme', email: 'bob@acme.test', name: 'Bob', permissions: ['services.view'] },
  cid: { kind: 'client', tenant: 'acme', email: 'cid@client.test', name: 'Cid' },
  gus: { kind: 'admin', tenant: 'globex', email: 'gus@globex.test', name: 'Gus' },
  ola: { kind: 'operator', tenant: null, email: 'ola@host.test', name: 'Ola' },
};
const DELAYS = { provisioningMs: 100, actionMs: 100 };
const TOKEN = /name="csrf-token" content="([^"]+)"/;

let origin: string;
let bulkhead: Bulkhead;
let cloud: FakeCloud;
let undo: AsyncDisposableStack | undefined;

/** Somebody else's app, with sessions of its own and a page at '/'. */
function foreignApp(panel: (request: Request) => Response | Promise<Response>) {
  const sessions = new Map<string, string>();
  const app = new Hono()
    .get('/', (c) => c.text('the foreign app'))
    .post('/login/:who', (c) => {
      const session = randomBytes(16).toString('hex');
      sessions.set(session, c.req.param('who'));
      setCookie(c, 'foreign', session, { path: '/', httpOnly: true, sameSite: 'Lax' });
      return c.text('signed in');
    })
    .mount('/hosting', panel);
  const identify = (request: Request): ExternalPerson | undefined => {
    const session = /(?:^|; )foreign=([0-9a-f]+)/.exec(request.headers.get('cookie') ?? '')?.[1];
    return PEOPLE[sessions.get(session ?? '') ?? ''];
  };
  return { app, identify };
}

beforeAll(async () => {
  await using opening = new AsyncDisposableStack();
  cloud = opening.use(await spawnFakeCloud(DELAYS));
  const ground = opening.use(await openGround());
  const { app, identify } = foreignApp((request) => bulkhead.app.fetch(request));
  const { port } = await new Promise<AddressInfo>((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, resolve);
    opening.defer(() => new Promise((done) => void server.close(() => done())));
  });
  origin = `http://127.0.0.1:${port}`;
  bulkhead = await createBulkhead({
    dataDir: ground.dataDir,
    publicUrl: `${origin}/hosting`,
    databaseUrl: formatEndpoint(ground.host.endpoint),
    modulesDatabaseUrl: formatEndpoint(ground.modules.endpoint),
    env: {},
    auth: externalAuth({
      identify,
      signInUrl: (returnTo) => `/login?next=${encodeURIComponent(returnTo)}`,
      signOutUrl: '/logout',
    }),
  });
  opening.defer(() => bulkhead.close());
  await bulkhead.startWorker({ timing: { pollMs: 50 } });
  await bulkhead.publish(await packFolder(shippedFolder('Product/VPSHosting')), { status: 'published' });
  for (const slug of ['acme', 'globex']) await createTenant(slug);
  undo = opening.move();
});
afterAll(async () => undo?.disposeAsync());

async function createTenant(slug: string): Promise<void> {
  const { tenants } = bulkhead.panel;
  const admin = { name: 'First', email: `first@${slug}.test`, password: PASSWORD };
  const created = await tenants.create({ slug, name: slug, currency: 'USD', timezone: 'UTC', admin });
  if (!created.ok) throw new Error(JSON.stringify(created));
  const allow = [{ cidr: '127.0.0.1/32', port: Number(new URL(cloud.cloud).port) }];
  await tenants.allowEgress({ tenantId: created.tenantId, allow, accountId: created.tenantId });
}

interface Visitor {
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Sends a form with the token of the page it stands on. */
  post(
    page: string,
    form: Readonly<Record<string, string>>,
    options?: { action?: string; headers?: Readonly<Record<string, string>> },
  ): Promise<Response>;
}

async function visitor(who?: string): Promise<Visitor> {
  const signedIn = who === undefined ? undefined : await fetch(`${origin}/login/${who}`, { method: 'POST' });
  const cookie = signedIn?.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const get: Visitor['get'] = (path, headers = {}) =>
    fetch(origin + path, { headers: { cookie, ...headers }, redirect: 'manual' });
  return {
    get,
    async post(page, form, { action = page, headers = {} } = {}) {
      const token = TOKEN.exec(await (await get(page)).text())?.[1] ?? '';
      return fetch(origin + action, {
        method: 'POST',
        body: new URLSearchParams({ _csrf: token, ...form }),
        headers: { cookie, origin, ...headers },
        redirect: 'manual',
      });
    },
  };
}

const ADMIN = '/hosting/t/acme/admin';
const CLIENT = '/hosting/t/acme';
const found = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? `no ${pattern.source}`;
const place = (response: Response): string => (response.headers.get('location') ?? '').replace(/\?.*/, '');

test('the foreign app stays what it is, and sends strangers to its own sign-in', async () => {
  const nobody = await visitor();
  expect(await (await nobody.get('/')).text()).toBe('the foreign app');
  for (const path of [ADMIN, CLIENT, '/hosting/operator']) {
    const response = await nobody.get(`${path}/profile?x=1`);
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe(`/login?next=${encodeURIComponent(`${path}/profile?x=1`)}`);
    expect((await nobody.get(`${path}/sign-in`)).headers.get('location')).toMatch(/^\/login\?next=/);
  }
});

test('a person is who the foreign app says, in their own area and tenant only', async () => {
  const ann = await visitor('ann');
  const page = await (await ann.get(`${ADMIN}/profile`)).text();
  expect(page).toContain('ann@acme.test');
  expect(page).not.toContain('type="password"');
  for (const [who, path] of [
    ['ann', '/hosting/t/globex/admin'],
    ['gus', ADMIN],
    ['cid', ADMIN],
    ['ann', CLIENT],
    ['ann', '/hosting/operator/tenants'],
    ['gus', '/hosting/t/acme/m/service/00000000-0000-4000-8000-000000000000/page'],
  ] as const) {
    const response = await (await visitor(who)).get(path);
    expect(response.ok).toBe(false);
  }
  expect((await (await visitor('ola')).get('/hosting/operator/tenants')).status).toBe(200);
  const bob = await visitor('bob');
  expect((await bob.get(`${ADMIN}/services`)).status).toBe(200);
  expect((await bob.get(`${ADMIN}/store`)).status).toBe(403);
});

test('a disabled account stays out, and no password opens anything', async () => {
  const { db } = bulkhead.panel;
  const gone = await visitor('gus');
  expect((await gone.get('/hosting/t/globex/admin')).status).toBe(200);
  await db
    .updateTable('accounts')
    .set({ disabled_at: new Date() })
    .where('email', '=', 'gus@globex.test')
    .execute();
  // Let in for a few seconds more, as a session is that another process revoked.
  await until(
    'the account to be known as disabled',
    async () => (await gone.get('/hosting/t/globex/admin')).status === 303,
  );
  const response = await fetch(`${origin}${ADMIN}/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ email: 'first@acme.test', password: PASSWORD }),
    headers: { origin },
  });
  expect(response.status).toBe(401);
  expect(response.headers.getSetCookie()).toEqual([]);
});

test('the path: install, enable, order, active, all below the base path', async () => {
  const ann = await visitor('ann');
  const cid = await visitor('cid');
  const store = await (await ann.get(`${ADMIN}/store`)).text();
  const modulePath = found(store, /href="(\/hosting\/t\/acme\/admin\/store\/[0-9a-f-]{36})"/);
  const modulePage = await (await ann.get(modulePath)).text();
  const version = found(modulePage, /name="version" value="([^"]+)"/);
  const installed = await ann.post(modulePath, { version }, { action: `${ADMIN}/store/install` });
  const permissions = place(installed);
  expect(permissions).toMatch(/^\/hosting\/t\/acme\/admin\/installations\/[0-9a-f-]{36}\/permissions$/);

  const consent = await (await ann.get(permissions)).text();
  const grants = [...consent.matchAll(/name="(grant:[^"]+)"[^>]*data-required/g)].map((match) => [
    match[1] ?? '',
    'on',
  ]);
  const enabled = await ann.post(permissions, {
    ...Object.fromEntries(grants),
    version: found(consent, /name="version" value="([^"]+)"/),
    after: 'enable',
  });
  expect(enabled.status).toBe(303);
  const home = permissions.replace('/permissions', '');
  const settings = { f_api_url: cloud.cloud, f_api_key: cloud.cloudToken, f_status_check_delay: '0.2' };
  const saved = await ann.post(`${home}/settings`, settings);
  expect(place(saved)).toBe(`${home}/settings`);

  const installation = home.split('/').at(-1) ?? '';
  const product = {
    name: 'VPS S',
    active: 'on',
    'price:monthly': '5.00',
    f_cpu_cores: '1',
    f_ram_mb: '1024',
    f_disk_gb: '25',
    f_bandwidth_gb: '1000',
    f_location: 'us-east-1',
  };
  const made = await ann.post(`${ADMIN}/products/new?module=${installation}`, product);
  expect(place(made)).toMatch(/^\/hosting\/t\/acme\/admin\/products\//);

  const orderPath = found(
    await (await cid.get(`${CLIENT}/order`)).text(),
    /href="(\/hosting\/t\/acme\/order\/[0-9a-f-]{36})"/,
  );
  const ordered = await cid.post(orderPath, {
    period: 'monthly',
    token: randomUUID(),
    f_hostname: 'one.example.com',
    f_image_id: 'ubuntu-20.04',
  });
  const service = place(ordered);
  expect(service).toMatch(/^\/hosting\/t\/acme\/services\//);
  const page = await until('the service to be active', async () => {
    const text = await (await cid.get(service)).text();
    return text.includes('>Active</span>') && text.includes('data-module-frame') && text;
  });

  const frame = await cid.get(found(page, /<iframe[^>]* src="([^"]+)"/));
  const html = await frame.text();
  expect(html).toContain('one.example.com');
  expect(frame.headers.get('content-security-policy')).toContain(`script-src ${origin}/hosting/m/`);
  for (const asset of [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css))"/g)].map(
    (match) => match[1] ?? '',
  )) {
    expect(asset).toMatch(/^\/hosting\/(?:m|static)\//);
    expect((await cid.get(asset)).status).toBe(200);
  }
});

test('forms need our own page and its token, here as well', async () => {
  const ann = await visitor('ann');
  const cid = await visitor('cid');
  const products = `${ADMIN}/clients/new`;
  const form = { name: 'X', email: 'x@client.test', password: PASSWORD };
  expect((await ann.post(products, { ...form, _csrf: '' })).status).toBe(403);
  expect((await ann.post(products, form, { headers: { origin: 'https://evil.test' } })).status).toBe(403);
  expect((await ann.post(products, form, { headers: { origin: 'null' } })).status).toBe(403);
  const token = TOKEN.exec(await (await cid.get(`${CLIENT}/services`)).text())?.[1] ?? '';
  expect((await ann.post(products, { ...form, _csrf: token })).status).toBe(403);
  expect((await ann.post(products, form)).status).toBe(303);
});

test('what identify() gives is checked', async () => {
  const find = externalAuth({
    identify: () => ({ kind: 'admin', tenant: 'acme', email: 'no address', name: 'X' }),
    signInUrl: () => '/login',
    signOutUrl: '/logout',
  })(bulkhead.panel.db).external?.find;
  await expect(find?.(new Request(origin), { kind: 'admin', tenantId: null })).rejects.toThrow(
    /identify\(\)/,
  );
});
