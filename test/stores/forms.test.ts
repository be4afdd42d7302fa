/** The forms of stores, sent as a browser sends them: by the operator, by a tenant's admin, and by those who may not. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Bulkhead } from '../../src/host.ts';
import { fingerprint, readPrivateKey } from '../../src/store/package/keys.ts';
import { PASSWORD } from '../support/host.ts';
import { newPublisher, packSource } from '../support/modules.ts';
import { newTenant, openPages, openSite, type Pages, type Site } from './support.ts';

const AUTHOR = newPublisher('east-works');
const SEEN = fingerprint(readPrivateKey(AUTHOR.privateKey).publicKey);
const OPERATOR = 'operator@panel.test';
const STORES = '/stores';

const sites = new AsyncDisposableStack();
let store: Site;
let panel: Bulkhead;
let operator: Pages;
let admin: Pages;
let storeId = '';

beforeAll(async () => {
  store = sites.use(await openSite({ env: { BULKHEAD_STORE: 'open' } }));
  panel = sites.use(await openSite()).bulkhead;
  await store.bulkhead.publish(await packSource({ name: 'Gauge', type: 'Plugin' }, AUTHOR), {
    status: 'published',
  });
  await panel.panel.auth.createAccount({
    kind: 'operator',
    tenantId: null,
    name: 'Op',
    email: OPERATOR,
    password: PASSWORD,
  });
  const { tenantId } = await newTenant(panel);
  const { slug } = await panel.panel.db
    .selectFrom('tenants')
    .select('slug')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  operator = await openPages(panel, '/operator', OPERATOR);
  admin = await openPages(panel, `/t/${slug}/admin`, `admin@${slug}.test`);
});
afterAll(() => sites.disposeAsync());

/** Where a form leads, or its status where it leads nowhere. */
async function led(answer: Promise<Response>): Promise<string | number> {
  const { headers, status } = await answer;
  return headers.get('location') ?? status;
}

it('an operator names a store; what is no store is said at the form, with what was written', async () => {
  const form = { name: 'Market', url: store.url, policy: 'review' };
  expect((await operator.post(STORES, form, 'another token')).status).toBe(403);
  const wrong = await operator.post(STORES, { ...form, url: 'http://store.example.com' });
  expect(wrong.status).toBe(422);
  const page = await wrong.text();
  expect(page).toContain('Use https');
  expect(page).toContain('value="http://store.example.com"');
  expect((await operator.post(STORES, { ...form, policy: 'whatever' })).status).toBe(422);
  const added = await led(operator.post(STORES, form));
  storeId = /stores\/([0-9a-f-]{36})\?note=store-added/.exec(String(added))?.[1] ?? '';
  expect(storeId).not.toBe('');
  expect(await operator.get(`${STORES}/${storeId}`)).toContain(SEEN);
  expect((await operator.post(STORES, form)).status).toBe(422);
});

it('a key is trusted by whoever ticked that they compared it, and as they saw it', async () => {
  const form = { module: 'east-works/Plugin/Gauge', fingerprint: SEEN, compared: 'yes' };
  const at = `${STORES}/${storeId}/trust`;
  const { compared: _compared, ...unticked } = form;
  expect(await led(operator.post(at, unticked))).toBe(422);
  expect(await led(operator.post(at, { ...form, fingerprint: SEEN.replace(/\w/g, '0') }))).toBe(409);
  expect(await led(operator.post(at, { ...form, module: '../../x/y' }))).toBe(404);
  const bring = `/store/at/${storeId}/east-works/Plugin/Gauge`;
  expect(await led(admin.post(bring, { version: '1.0.0' }))).toBe(409);
  expect(await led(operator.post(at, form))).toContain('note=publisher-trusted');
});

it('an admin brings a version, which waits or is published as the operator said', async () => {
  const at = `/store/at/${storeId}/east-works/Plugin/Gauge`;
  expect(await admin.get(at)).toContain('1.0.0');
  expect((await admin.post(at, { version: '1.0.0' }, 'another token')).status).toBe(403);
  expect(await led(admin.post(at, { version: '9.9.9' }))).toBe(404);
  expect(await led(admin.post(at, { version: '1.0.0' }))).toContain('note=brought-review');
  expect(await led(operator.post(`${STORES}/${storeId}/policy`, { policy: 'neither' }))).toBe(422);
  expect(await led(operator.post(`${STORES}/${storeId}/policy`, { policy: 'publish' }))).toContain(
    'note=store-saved',
  );
  await store.bulkhead.publish(
    await packSource({ name: 'Gauge', type: 'Plugin', version: '1.1.0' }, AUTHOR),
    {
      status: 'published',
    },
  );
  expect(await led(admin.post(at, { version: '1.1.0' }))).toContain('note=brought');
});

it('an admin reaches no form of the operator’s, and a store that was removed is gone for both', async () => {
  const asAdmin = await admin.post(`/../../../operator${STORES}/${storeId}/remove`, {});
  expect([303, 403, 404]).toContain(asAdmin.status);
  expect(await panel.panel.stores.row(storeId)).toMatchObject({ name: 'Market' });
  expect(await led(operator.post(`${STORES}/${storeId}/remove`, {}))).toContain('note=store-removed');
  expect(await led(operator.post(`${STORES}/${storeId}/remove`, {}))).toBe(404);
  expect(await led(admin.post(`/store/at/${storeId}/east-works/Plugin/Gauge`, { version: '1.0.0' }))).toBe(
    404,
  );
});
