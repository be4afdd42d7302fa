import { describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const ADMIN = '/t/acme/admin';
const client = { name: 'New Client', email: 'new@client.test', password: 'a long password' };

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  return visitor;
}

describe('a request that changes state', () => {
  test('goes through from our own page with its token', async () => {
    const response = await (await admin()).post(`${ADMIN}/clients/new`, client);
    expect(response.status).toBe(303);
  });

  test.each([
    ['a foreign Origin', { origin: 'https://evil.test' }],
    ['Origin null, which a module frame sends', { origin: 'null' }],
    ['the same host on another port', { origin: 'http://127.0.0.1:1' }],
    ['Sec-Fetch-Site cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site same-site, another subdomain', { 'sec-fetch-site': 'same-site' }],
  ])('is refused from %s, token or not', async (_what, headers) => {
    const visitor = await admin();
    const response = await visitor.post(
      `${ADMIN}/clients/new`,
      { ...client, email: 'other@client.test' },
      headers,
    );
    expect(response.status).toBe(403);
  });

  test('is refused when it does not say where it comes from', async () => {
    const visitor = await admin();
    const cookie = [...visitor.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
    const body = new URLSearchParams({ ...client, _csrf: visitor.csrf });
    const response = await fetch(`${panel().origin}${ADMIN}/clients/new`, {
      method: 'POST',
      body,
      headers: { cookie },
    });
    expect(response.status).toBe(403);
  });

  test.each(['', 'wrong', 'another session’s'])('is refused with %j as its token', async (which) => {
    const visitor = await admin();
    const other = await admin();
    const token = which === 'another session’s' ? other.csrf : which;
    const response = await visitor.post(`${ADMIN}/clients/new`, {
      ...client,
      email: 'third@client.test',
      _csrf: token,
    });
    expect(response.status).toBe(403);
  });

  test('is refused without a session, and a page leads to the sign-in and back', async () => {
    const visitor = panel().visitor();
    expect((await visitor.post(`${ADMIN}/clients/new`, client)).status).toBe(403);
    const page = await visitor.get(`${ADMIN}/clients?q=x`);
    expect(page.headers.get('location')).toBe(
      `${ADMIN}/sign-in?next=${encodeURIComponent(`${ADMIN}/clients?q=x`)}`,
    );
  });
});

describe('sign-in', () => {
  test('sets a cookie that scripts and other paths do not see', async () => {
    const response = await panel().visitor().signIn('admin', 'olga@acme.test');
    const [cookie = ''] = response.headers.getSetCookie();
    expect(cookie).toMatch(/^bh_admin=/);
    expect(cookie).toContain('HttpOnly');
    expect(cookie).toContain('SameSite=Lax');
    expect(cookie).toContain('Path=/t/acme');
  });

  test.each([
    'https://evil.test/',
    '//evil.test',
    '/\\evil.test',
    '/t/globex/admin',
    '/t/acme/administrator',
    'javascript:alert(1)',
  ])('does not lead to %s afterwards', async (next) => {
    const visitor = panel().visitor();
    const response = await visitor.post(`${ADMIN}/sign-in`, {
      email: 'olga@acme.test',
      password: 'correct horse battery',
      next,
    });
    expect(response.headers.get('location')).toBe(ADMIN);
  });

  test('of one tenant is nobody to another tenant, nor to another area', async () => {
    const visitor = await admin();
    for (const path of ['/t/globex/admin/clients', '/t/acme/services', '/operator/tenants'])
      expect((await visitor.get(path)).headers.get('location')).toContain('/sign-in?');
  });

  test('cookie moved to another area’s name is nobody there', async () => {
    const token = (await admin()).cookies().get('bh_admin') ?? '';
    const moved = { cookie: `bh_client=${token}; bh_operator=${token}` };
    for (const path of ['/t/acme/services', '/operator/tenants'])
      expect((await fetch(panel().origin + path, { headers: moved, redirect: 'manual' })).status).toBe(303);
  });

  test('is over after the sign-out, for the token too', async () => {
    const visitor = await admin();
    const token = visitor.cookies().get('bh_admin') ?? '';
    await visitor.post(`${ADMIN}/sign-out`, {});
    expect(visitor.cookies().has('bh_admin')).toBe(false);
    const again = await fetch(`${panel().origin}${ADMIN}/clients`, {
      headers: { cookie: `bh_admin=${token}` },
      redirect: 'manual',
    });
    expect(again.status).toBe(303);
  });
});

describe('every page', () => {
  test('forbids inline scripts and styles, framing, sniffing and caching', async () => {
    const response = await (await admin()).get(`${ADMIN}/services/${panel().seeded.serviceId}`);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).not.toContain('unsafe-inline');
    for (const rule of [
      "default-src 'self'",
      "script-src 'self'",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ])
      expect(policy).toContain(rule);
    expect(policy).toContain(`frame-src ${panel().origin}/t/acme/m/;`);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('same-origin');
  });

  test('holds no inline script, style or handler', async () => {
    const visitor = await admin();
    for (const path of [
      '',
      '/modules',
      '/services',
      `/services/${panel().seeded.serviceId}`,
      '/logs',
      '/settings',
    ]) {
      const html = await (await visitor.get(ADMIN + path)).text();
      expect(html).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=/i);
    }
  });

  test('shows a module’s text as text', async () => {
    const html = await (await (await admin()).get(`${ADMIN}/logs`)).text();
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toContain('<script>alert(1)');
  });

  test('is there under known hosts only', async () => {
    const port = new URL(panel().origin).port;
    const ask = (host: string) =>
      import('node:http').then(
        ({ request }) =>
          new Promise<number>((resolve) => {
            request({ host: '127.0.0.1', port, path: '/operator/sign-in', headers: { host } }, (response) => {
              response.resume();
              resolve(response.statusCode ?? 0);
            }).end();
          }),
      );
    expect(await ask(`127.0.0.1:${port}`)).toBe(200);
    expect(await ask(`localhost:${port}`)).toBe(200);
    expect(await ask(`rebound.evil.test:${port}`)).toBe(404);
  });
});

describe('an error page', () => {
  test('names nothing of the cause and shows the number that was reported', async () => {
    const visitor = await admin();
    const { deps } = panel();
    const search = deps.catalog.search;
    Object.assign(deps.catalog, { search: () => Promise.reject(new Error('secret path /srv/x')) });
    const response = await visitor.get(`${ADMIN}/store`);
    Object.assign(deps.catalog, { search });
    const html = await response.text();
    expect(response.status).toBe(500);
    expect(html).not.toContain('/srv/x');
    expect(html).toMatch(/Error number <code>[\w-]{12}<\/code>/);
    expect(deps.reported.at(-1)).toMatchObject({ message: 'secret path /srv/x' });
  });

  test('is JSON for scripts', async () => {
    const response = await (await admin()).get(`${ADMIN}/nothing`, { accept: 'application/json' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });
});

test('a body beyond the limit is refused', async () => {
  const response = await (
    await admin()
  ).post(`${ADMIN}/clients/new`, { ...client, name: 'x'.repeat(1_100_000) });
  expect(response.status).toBe(413);
});
