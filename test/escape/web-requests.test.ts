/** A visitor without an account, and one who is signed in, against the panel's own request handling: floods, odd texts, places to be led to. */
import { afterEach, describe, expect, it } from 'vitest';
import { WEB_LIMITS } from '../../src/web/limits.ts';
import { PASSWORD, useTestHost } from '../support/host.ts';
import { until } from '../support/until.ts';
import { SITE, useSite, type Got } from './web-site.ts';

const host = useTestHost();
const site = useSite(host);
const FORM = 'application/x-www-form-urlencoded';
const ORIGIN = `http://${SITE}`;

const signInPath = (): string => `/t/${host().a.slug}/sign-in`;
const postForm = (body: string, contentType = FORM): Promise<Got> =>
  site().send({
    method: 'POST',
    path: signInPath(),
    headers: { 'content-type': contentType, origin: ORIGIN },
    body,
  });
const adminOf = (which: 'a' | 'b') =>
  site().signIn('admin', host()[which].slug, `admin@${host()[which].slug}.example`);
const clientOf = (which: 'a' | 'b') =>
  site().signIn('client', host()[which].slug, `client@${host()[which].slug}.example`);

/** Nothing an attacker sends is an error of ours. */
afterEach(() => {
  expect(site().reported.splice(0)).toEqual([]);
});

describe('a form from nobody', () => {
  it('with more fields than any page has is refused before they are sorted', async () => {
    const names = Array.from({ length: 150_000 }, (_, index) => index.toString(36));
    const answer = await postForm(names.map((name) => `${name}=`).join('&'));
    expect(answer.status).toBe(422);
  });

  it.each([
    ['multipart without a boundary', 'multipart/form-data', 'x'],
    ['multipart that ends early', 'multipart/form-data; boundary=b', '--b\r\ncontent-disposition: form-data'],
    ['JSON', 'application/json', '{"email":"a","password":"b"}'],
  ])('that is %s is the sender’s mistake', async (_what, contentType, body) => {
    const { status } = await postForm(body, contentType);
    expect(status).toBe(422);
  });

  it.each([
    ['in an e-mail', 'email=a%00%40b.example&password=x'],
    ['in a password', 'email=a%40b.example&password=%00'],
    ['in a field’s name', 'email=a&password=b&%00=c'],
  ])('with a NUL %s never reaches the database', async (_where, body) => {
    expect((await postForm(body)).status).toBe(422);
  });

  it('of 40 MB towards the package upload is not collected for whoever is not signed in', async () => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      const piece = new Uint8Array(64 * 1024);
      for (let count = 0; count < 640; count++) {
        yield piece;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const answer = await site()
      .send({
        method: 'POST',
        path: '/operator/packages',
        headers: { 'content-type': 'application/octet-stream', origin: ORIGIN },
        body: pieces(),
      })
      .catch((error: NodeJS.ErrnoException) => error.code);
    // Refused with an answer, or the connection is closed while it still talks.
    expect(typeof answer === 'object' ? answer.status : answer).toSatisfy((told) =>
      [413, 'EPIPE', 'ECONNRESET'].includes(told),
    );
  });
});

describe('a NUL in an address', () => {
  it.each(['/t/%00/sign-in', '/t/%00', '/t/acme%00/admin'])(
    'is an address that does not exist: %s',
    async (path) => {
      expect((await site().send({ path })).status).toBe(404);
    },
  );

  it('is refused in a filter of one’s own', async () => {
    const admin = await adminOf('a');
    expect((await admin.get(`/t/${host().a.slug}/admin/logs?q=%00`)).status).toBe(404);
  });
});

describe('what a sign-in leads to', () => {
  it.each([
    '/.//evil.example',
    '//evil.example',
    '/\\evil.example',
    '/%09/evil.example',
    'https://evil.example/',
  ])('is never another site: %s', async (next) => {
    const { slug } = host().a;
    const body = new URLSearchParams({ email: `client@${slug}.example`, password: PASSWORD, next });
    const answer = await site().send({
      method: 'POST',
      path: '/sign-in',
      host: `${slug}.${SITE}`,
      headers: { 'content-type': FORM, origin: `http://${slug}.${SITE}` },
      body: body.toString(),
    });
    expect(answer.status).toBe(303);
    const target = new URL(answer.headers.location ?? '', `http://${slug}.${SITE}/sign-in`);
    expect(target.host).toBe(`${slug}.${SITE}`);
  });
});

describe('a Host that is not ours', () => {
  it.each(['evil.example', `${SITE}.evil.example`, `x@${SITE}`, `a.b.${SITE}`, `${SITE}:81`])(
    'gets nothing, not even a redirect: %s',
    async (name) => {
      const answer = await site().send({ path: '/', host: name });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.headers.location).toBeUndefined();
    },
  );

  it('named in X-Forwarded-Host changes no address of an answer', async () => {
    const answer = await site().send({
      path: `/t/${host().a.slug}/admin`,
      headers: {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        forwarded: 'host=evil.example',
      },
    });
    expect(answer.headers.location).toMatch(new RegExp(`^/t/${host().a.slug}/admin/sign-in\\?`));
  });
});

describe('a session', () => {
  it('of one tenant’s admin opens nothing of another tenant, whatever the path looks like', async () => {
    const admin = await adminOf('b');
    const { slug } = host().a;
    for (const path of [
      `/t/${slug}/admin`,
      `/t/${host().b.slug}/../${slug}/admin`,
      `/t/${host().b.slug}/%2e%2e/${slug}/admin/settings`,
      `/t/${encodeURIComponent(slug).replace('t', '%74')}/admin/settings`,
    ]) {
      const { status, headers } = await admin.get(path);
      expect(status === 404 || headers.location?.includes('/sign-in'), path).toBe(true);
    }
  });

  it('of a client is nobody in the admin’s area, and an admin’s is nobody in the operator’s', async () => {
    const { slug } = host().a;
    const client = await clientOf('a');
    const asAdmin = { cookie: client.cookie.replace('bh_client', 'bh_admin') };
    expect((await site().send({ path: `/t/${slug}/admin/settings`, headers: asAdmin })).status).toBe(303);
    const admin = await adminOf('a');
    const asOperator = { cookie: admin.cookie.replace('bh_admin', 'bh_operator') };
    expect((await site().send({ path: '/operator/tenants', headers: asOperator })).status).toBe(303);
  });

  it('is another one after each sign-in: none can be fixed beforehand', async () => {
    const [first, second] = [await clientOf('a'), await clientOf('a')];
    expect(first.cookie).not.toBe(second.cookie);
    expect(first.csrf).not.toBe(second.csrf);
  });

  it('does not guess its own password as fast as it likes', async () => {
    const { slug } = host().b;
    const client = await clientOf('b');
    const form = { current: 'not this one', password: 'Another long one 2', again: 'Another long one 2' };
    const statuses: number[] = [];
    for (let count = 0; count < 12; count++)
      statuses.push((await client.post(`/t/${slug}/profile/password`, form)).status);
    expect(statuses.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 422));
    expect(statuses.slice(8)).toEqual([429, 429, 429, 429]);
  });

  it('that only asks with HEAD holds no live stream', async () => {
    const { a } = host();
    const admin = await adminOf('a');
    const serviceId = await makeService();
    const path = `/t/${a.slug}/admin/services/${serviceId}/events`;
    const head = { cookie: admin.cookie };
    for (let count = 0; count < 12; count++)
      expect((await site().send({ method: 'HEAD', path, headers: head })).status).toBe(200);
  });
});

describe('a person who opens page after page', () => {
  it('holds so many live streams and no more, and may open another when one has ended', async () => {
    const { a } = host();
    const admin = await adminOf('a');
    const path = `/t/${a.slug}/admin/services/${await makeService()}/events`;
    const opened = [];
    for (let count = 0; count < WEB_LIMITS.liveStreamsPerAccount; count++)
      opened.push(await site().open(path, admin.cookie));
    expect(opened.map(({ status }) => status)).toEqual(opened.map(() => 200));
    const beyond = await site().open(path, admin.cookie);
    expect(beyond.status).toBe(429);
    for (const stream of [...opened, beyond]) stream.close();
    await until('an ended stream to make room', async () => {
      const again = await site().open(path, admin.cookie);
      again.close();
      return again.status === 200;
    });
  });
});

describe('the address of a module’s page', () => {
  const PAGE = `import { Controller, response } from 'bulkhead';
    export default class PageController extends Controller { show(request) { return response(request.input('id')); } }`;
  const members = `
    adminPermissions() { return [{ name: 'View', key: 'view' }]; }
    adminSidebar() { return [{ title: 'Pages', link: 'show' }]; }
    adminWebRoutes() { return [{ method: 'get', uri: 'items/{id}', permission: 'view', name: 'show', controller: 'PageController@show' }]; }`;

  it('that cannot be decoded is an address like any other', async () => {
    const { a } = host();
    const files = { 'controllers/PageController.ts': PAGE };
    await host().publish({ name: 'Paged', type: 'Plugin', members, files });
    const installationId = await a.installed('Paged');
    const admin = await adminOf('a');
    const outer = await admin.get(`/t/${a.slug}/admin/modules/Plugin/Paged/items/%zz`);
    expect(outer.status).toBe(200);
    const called = await admin.call('GET', `/t/${a.slug}/m/${installationId}/call/items/%zz`);
    expect(JSON.parse(called.text)).toMatchObject({ text: '%zz' });
  });
});

let madeService: Promise<string> | undefined;

/** A service of a module, only for its page's address: one is enough. */
function makeService(): Promise<string> {
  return (madeService ??= insertService());
}

async function insertService(): Promise<string> {
  const { a } = host();
  await host().publish({ name: 'Plain', manifest: { permissions: {} } });
  await a.installed('Plain');
  return a.panel.db
    .insertInto('services')
    .values({
      tenant_id: a.id,
      client_id: a.clientId,
      product_id: await a.product('Plain', 'Plain'),
      installation_id: await a.installationId('Plain'),
      name: 'Plain',
      period: 'monthly',
      amount_minor: 1,
      currency: 'USD',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
    .then(({ id }) => id);
}
