import { describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';

const panel = usePanel();

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  panel().deps.called.length = 0;
  panel().deps.answer = {
    kind: 'html',
    status: 200,
    html: '<h1>Hi</h1><script src="/-assets-/js/app.js"></script>',
  };
  return visitor;
}
const frames = () => `/t/acme/m/${panel().seeded.installationId}`;

describe('a module’s frame', () => {
  test('says what went wrong in the language of who sees it, as a page and as data', async () => {
    const { db } = panel();
    const visitor = await admin();
    const locale = (value: string | null) =>
      db.updateTable('accounts').set({ locale: value }).where('email', '=', 'olga@acme.test').execute();
    await locale('pl');
    const polish = panel().visitor();
    await polish.signIn('admin', 'olga@acme.test');
    await locale(null);
    const nowhere = `/t/acme/m/service/${panel().seeded.installationId}`;
    const ask = async (who: typeof visitor) => {
      const data = await who.get(`${nowhere}/tab/call`, { 'x-csrf-token': who.csrf });
      return [await (await who.get(`${nowhere}/tab`)).text(), await data.text()];
    };
    const [page, data] = await ask(polish);
    expect(page).toContain('Nie udało się pokazać tej strony');
    expect(page).toContain('Nie ma takiej usługi.');
    expect(data).toContain('"code":"NOT_FOUND","message":"Nie ma takiej usługi."');
    expect((await ask(visitor))[1]).toContain('There is no such service.');
  });

  test('may load its own version’s assets and our kit, and reach nothing', async () => {
    const response = await (await admin()).get(`${frames()}/page/servers`);
    const { origin, seeded } = panel();
    const policy = response.headers.get('content-security-policy') ?? '';
    const assets = `${origin}/m/${seeded.versionId}/assets/`;
    expect(policy.split('; ')).toEqual([
      'sandbox allow-scripts allow-forms',
      "default-src 'none'",
      expect.stringMatching(
        new RegExp(`^script-src ${assets} ${origin}/static/[0-9a-f]{12}/frame-kit\\.js$`),
      ),
      `style-src ${assets} ${origin}/static/`,
      `img-src ${assets} data:`,
      `font-src ${assets} ${origin}/static/`,
      "connect-src 'none'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'self'",
    ]);
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('x-dns-prefetch-control')).toBe('off');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  test('begins with our kit, whatever the module’s HTML is', async () => {
    const visitor = await admin();
    panel().deps.answer = {
      kind: 'html',
      status: 200,
      html: '<!DOCTYPE html><html><head><script>first()</script></head><body>x</body></html>',
    };
    const html = await (await visitor.get(`${frames()}/page/servers`)).text();
    expect(html.indexOf('frame-kit.js')).toBeLessThan(html.indexOf('first()'));
    expect(html.match(/<!doctype/gi)).toHaveLength(1);
  });

  test('gets its assets by the version’s address', async () => {
    const html = await (await (await admin()).get(`${frames()}/page/servers`)).text();
    expect(html).toContain(`src="/m/${panel().seeded.versionId}/assets/js/app.js"`);
  });

  test('turns what is no HTML into text', async () => {
    const visitor = await admin();
    panel().deps.answer = { kind: 'text', status: 200, text: '<img src=x>' };
    expect(await (await visitor.get(`${frames()}/page/servers`)).text()).toContain('&lt;img src=x&gt;');
  });

  test.each([
    'https://evil.test/',
    'servers/2',
    '/servers/2',
    '../../../operator',
    'javascript:alert(1)',
    '//evil.test',
  ])('is never redirected out of the module: %s', async (to) => {
    const visitor = await admin();
    panel().deps.answer = { kind: 'redirect', status: 302, to };
    const response = await visitor.get(`${frames()}/page/servers`);
    const location = response.headers.get('location') ?? `${frames()}/page/`;
    expect([200, 303, 502]).toContain(response.status);
    expect(new URL(location, panel().origin).href).toMatch(new RegExp(`^${panel().origin}${frames()}/page/`));
  });

  test('shows an error as a notice that may be framed, without its cause', async () => {
    const visitor = await admin();
    const { modules } = panel().deps;
    const { adminPage } = modules;
    Object.assign(modules, { adminPage: () => Promise.reject(new Error('at /srv/secret.ts')) });
    const response = await visitor.get(`${frames()}/page/servers`);
    Object.assign(modules, { adminPage });
    expect(response.status).toBe(502);
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'self'");
    expect(await response.text()).not.toContain('/srv/');
  });

  test('is for the tenant’s own installation, enabled, and a session', async () => {
    const visitor = await admin();
    const { seeded, deps } = panel();
    expect((await visitor.get(`/t/acme/m/${seeded.otherInstallationId}/page/servers`)).status).toBe(502);
    expect((await panel().visitor().get(`${frames()}/page/servers`)).status).toBe(502);
    await panel()
      .db.updateTable('installations')
      .set({ status: 'inactive' })
      .where('id', '=', seeded.installationId)
      .execute();
    expect((await visitor.get(`${frames()}/page/servers`)).status).toBe(502);
    await panel()
      .db.updateTable('installations')
      .set({ status: 'active' })
      .where('id', '=', seeded.installationId)
      .execute();
    expect(deps.called).toEqual([]);
  });
});

describe('a call of the bridge', () => {
  test('hands the module the request without our cookies and tokens', async () => {
    const visitor = await admin();
    panel().deps.answer = { kind: 'json', status: 422, body: { success: false } };
    const response = await visitor.post(
      `${frames()}/call/servers/1/reboot?x=1`,
      { hard: '1' },
      { 'x-csrf-token': visitor.csrf, authorization: 'Bearer x' },
    );
    expect(await response.json()).toEqual({ kind: 'json', status: 422, body: { success: false } });
    const input = panel().deps.called.at(-1)?.input;
    expect(input).toMatchObject({
      path: 'servers/1/reboot',
      request: {
        method: 'POST',
        url: `${panel().origin}/admin/modules/Product/VPSHosting/servers/1/reboot?x=1`,
      },
      account: { kind: 'admin', permissions: ['*'] },
    });
    const headers = JSON.stringify((input as { request: { headers: unknown } }).request.headers);
    expect(headers).toContain('content-type');
    for (const name of ['cookie', 'x-csrf-token', 'authorization', 'origin'])
      expect(headers).not.toContain(`"${name}"`);
  });

  test.each(['GET', 'POST'])('is refused without the page’s token: %s', async (method) => {
    const visitor = await admin();
    const path = `${frames()}/call/servers`;
    const response =
      method === 'GET' ? await visitor.get(path) : await visitor.post(path, {}, { 'x-csrf-token': 'wrong' });
    expect(response.status).not.toBe(200);
    expect(panel().deps.called).toEqual([]);
  });

  test('answers HTML as data, never as a page of ours', async () => {
    const visitor = await admin();
    const response = await visitor.get(`${frames()}/call/servers`, { 'x-csrf-token': visitor.csrf });
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toMatchObject({ kind: 'html' });
  });

  test('asks the host before a person is sent elsewhere', async () => {
    const visitor = await admin();
    const ask = async (url: string) => {
      const headers = {
        'x-csrf-token': visitor.csrf,
        origin: panel().origin,
        'content-type': 'application/json',
        cookie: `bh_admin=${visitor.cookies().get('bh_admin')}`,
      };
      return (
        await fetch(`${panel().origin}${frames()}/leave`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ url }),
        })
      ).json();
    };
    expect(await ask('https://checkout.stripe.com/pay/1')).toEqual({ allowed: true });
    for (const url of ['https://evil.test/', 'javascript:alert(1)', 'data:text/html,x', 'https://'])
      expect(await ask(url)).toEqual({ allowed: false });
  });
});

describe('what a module answers', () => {
  const HEADERS = [
    'cache-control',
    'content-security-policy',
    'cross-origin-opener-policy',
    'cross-origin-resource-policy',
    'permissions-policy',
    'referrer-policy',
    'x-content-type-options',
  ];

  test('has every header that a page of the panel has, as a frame, as data and to a webhook', async () => {
    const visitor = await admin();
    const token = { 'x-csrf-token': visitor.csrf };
    panel().deps.answer = { kind: 'html', status: 200, html: '<p>1</p>' };
    const answers = {
      page: await visitor.get('/t/acme/admin'),
      frame: await visitor.get(`${frames()}/page/servers`),
      data: await visitor.get(`${frames()}/call/servers`, token),
      failed: await visitor.get(`${frames()}/call/..%2f`, { 'x-csrf-token': 'x' }),
      webhook: await fetch(`${panel().origin}/hooks/${'h'.repeat(32)}`, { method: 'POST', body: '{}' }),
    };
    for (const [name, { headers }] of Object.entries(answers))
      expect([name, HEADERS.filter((header) => !headers.has(header))]).toEqual([name, []]);
  });
});

describe('a client’s tab', () => {
  test('is one the module declared, of the client’s own service', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('client', 'carl@client.test');
    const { seeded, deps } = panel();
    deps.called.length = 0;
    const statusOf = async (tab: string) =>
      (await visitor.get(`/t/acme/m/client/${seeded.serviceId}/${tab}`)).status;
    expect(await statusOf('general')).toBe(200);
    deps.called.length = 0;
    for (const tab of ['constructor', '__proto__', 'createJob', 'page'])
      expect([tab, await statusOf(tab)]).toEqual([tab, 502]);
    expect((await visitor.get(`/t/acme/m/service/${seeded.serviceId}/general`)).status).toBe(502);
    expect((await visitor.get(`/t/acme/m/client/${seeded.otherServiceId}/general`)).status).toBe(502);
    expect(deps.called).toEqual([]);
  });
});

describe('an asset', () => {
  test('is cached for ever, readable from an opaque origin, and runs nothing by itself', async () => {
    const response = await panel().visitor().get(`/m/${panel().seeded.versionId}/assets/js/app.js`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/javascript');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect(response.headers.get('cache-control')).toContain('immutable');
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
  });

  test.each(['..%2f..%2fmodule.json', 'js/../../x.js', '.env', 'js/.hidden', 'nothing.js'])(
    'is not found by %s',
    async (path) => {
      expect((await panel().visitor().get(`/m/${panel().seeded.versionId}/assets/${path}`)).status).toBe(404);
    },
  );
});

describe('a webhook', () => {
  const HOOK = 'h'.repeat(32);
  const deliver = (body: string | Uint8Array<ArrayBuffer>, hook = HOOK, headers = {}) =>
    fetch(`${panel().origin}/hooks/${hook}`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'stripe-signature': 't=1,v1=x',
        cookie: 'bh_admin=x',
        ...headers,
      },
    });

  test('reaches the module with the very bytes that were signed', async () => {
    panel().deps.answer = { kind: 'json', status: 202, body: { received: true } };
    const text = '{ "a" :\t1,  "ł": "\\u0000" }';
    const response = await deliver(text);
    expect([response.status, await response.json()]).toEqual([202, { received: true }]);
    const input = panel().deps.called.at(-1)?.input;
    expect(input).toMatchObject({ hookId: HOOK, request: { body: { text } } });
    expect(JSON.stringify(input)).toContain('stripe-signature');
    expect(JSON.stringify(input)).not.toContain('bh_admin');
    const bytes = new Uint8Array([0xff, 0xfe, 0x00, 0x80]);
    await deliver(bytes);
    expect(panel().deps.called.at(-1)?.input).toMatchObject({
      request: { body: { base64: Buffer.from(bytes).toString('base64') } },
    });
  });

  test('sends HTML without any right, and no cookie', async () => {
    panel().deps.answer = { kind: 'html', status: 200, html: '<script>1</script>' };
    const response = await deliver('{}');
    expect(response.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'");
    expect(response.headers.getSetCookie()).toEqual([]);
  });

  test('is refused when too large, at a short address, and beyond the rate', async () => {
    const { WEB_LIMITS } = await import('../../src/web/limits.ts');
    panel().deps.called.length = 0;
    expect((await deliver('x'.repeat(WEB_LIMITS.bodyBytes + 1))).status).toBe(413);
    expect((await deliver('{}', 'short')).status).toBe(404);
    expect(panel().deps.called).toEqual([]);
    panel().advance(60_000);
    const statuses: number[] = [];
    for (let i = 0; i <= WEB_LIMITS.hooksPerMinute; i++)
      statuses.push((await deliver('{}', 'r'.repeat(32))).status);
    expect(statuses.at(-2)).toBe(200);
    expect(statuses.at(-1)).toBe(429);
    panel().advance(60_000);
    expect((await deliver('{}', 'r'.repeat(32))).status).toBe(200);
  });
});
