import { describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const GLOBEX = '/t/globex/admin';

describe('another tenant’s row', () => {
  test('is not found under any address an admin can name', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'hank@globex.test', { tenant: 'globex' });
    const { seeded } = panel();
    const paths = [
      `/services/${seeded.serviceId}`,
      `/services/${seeded.serviceId}/timeline`,
      `/services/${seeded.serviceId}/events`,
      `/tasks/${seeded.taskId}`,
      `/tasks/${seeded.taskId}/events`,
      `/clients/${seeded.clientId}`,
      `/products/${seeded.productId}`,
      `/installations/${seeded.installationId}`,
      `/installations/${seeded.installationId}/permissions`,
      `/installations/${seeded.installationId}/settings`,
      `/installations/${seeded.installationId}/logs`,
      `/installations/${seeded.installationId}/export`,
    ];
    for (const path of paths) expect([path, (await visitor.get(GLOBEX + path)).status]).toEqual([path, 404]);
  });

  test('cannot be changed', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'hank@globex.test', { tenant: 'globex' });
    const { seeded, deps } = panel();
    deps.called.length = 0;
    const posts: readonly (readonly [string, Record<string, string>])[] = [
      [`/services/${seeded.serviceId}/action`, { action: 'termination' }],
      [`/tasks/${seeded.taskId}/retry`, {}],
      [`/installations/${seeded.installationId}/enable`, {}],
      [`/installations/${seeded.installationId}/permissions`, { 'grant:db.tables': 'on' }],
      [`/installations/${seeded.installationId}/settings`, {}],
      [`/products/${seeded.productId}`, { name: 'x' }],
    ];
    for (const [path, form] of posts)
      expect([path, (await visitor.post(GLOBEX + path, form)).status]).toEqual([path, 404]);
    expect(deps.called).toEqual([]);
  });

  test('does not show in lists', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'hank@globex.test', { tenant: 'globex' });
    for (const path of ['/services', '/clients', '/products', '/tasks', '/logs', '']) {
      const html = await (await visitor.get(GLOBEX + path)).text();
      expect(html).not.toMatch(/VPS S|Carl Client|createJob|Creating droplet/);
    }
  });
});

test('a client sees the own services only', async () => {
  const visitor = panel().visitor();
  await visitor.signIn('client', 'carl@client.test');
  const { seeded } = panel();
  expect((await visitor.get(`/t/acme/services/${seeded.serviceId}`)).status).toBe(200);
  expect((await visitor.get(`/t/acme/services/${seeded.otherServiceId}`)).status).toBe(404);
  expect((await visitor.get(`/t/acme/m/client/${seeded.otherServiceId}/general`)).status).toBe(502);
  expect(await (await visitor.get('/t/acme/services')).text()).not.toContain('#1043');
});

describe('a role', () => {
  const support = async () => {
    const { deps, db, seeded } = panel();
    const role = await db
      .selectFrom('roles')
      .select('id')
      .where('name', '=', 'Support')
      .executeTakeFirstOrThrow();
    await deps.auth
      .createAccount({
        kind: 'admin',
        tenantId: seeded.tenantId,
        roleId: role.id,
        email: 'sue@acme.test',
        name: 'Sue',
        password: 'correct horse battery',
      })
      .catch(() => undefined);
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'sue@acme.test');
    return visitor;
  };

  test('opens its pages and no other', async () => {
    const visitor = await support();
    const { seeded } = panel();
    const statusOf = async (path: string) => (await visitor.get(`/t/acme/admin${path}`)).status;
    for (const path of ['', '/services', '/tasks', '/logs', `/services/${seeded.serviceId}`])
      expect([path, await statusOf(path)]).toEqual([path, 200]);
    for (const path of [
      '/clients',
      '/products',
      '/store',
      '/modules',
      '/settings',
      `/installations/${seeded.installationId}/permissions`,
      `/installations/${seeded.installationId}/export`,
      '/modules/Product/VPSHosting/servers',
    ])
      expect([path, await statusOf(path)]).toEqual([path, 403]);
  });

  test('sees on the dashboard what its pages would show, and no more', async () => {
    const { db, seeded, deps } = panel();
    const role = await db
      .insertInto('roles')
      .values({ tenant_id: seeded.tenantId, name: 'Settings only', permissions: ['settings.manage'] })
      .returning('id')
      .executeTakeFirstOrThrow();
    await deps.auth.createAccount({
      kind: 'admin',
      tenantId: seeded.tenantId,
      roleId: role.id,
      email: 'nil@acme.test',
      name: 'Nil',
      password: 'correct horse battery',
    });
    const nobody = panel().visitor();
    await nobody.signIn('admin', 'nil@acme.test');
    const bare = await (await nobody.get('/t/acme/admin')).text();
    expect(bare).not.toMatch(/createJob|VPS S|active service|Install from store|bh-stat|bh-chart/);
    const some = await (await (await support()).get('/t/acme/admin')).text();
    expect(some).toMatch(/createJob/);
    expect(some).toMatch(/active service/);
    expect(some).not.toMatch(/Install from store|bh-chart|\d clients?</);
  });

  test('that may see clients sees their services only with the permission for services', async () => {
    const { db, seeded, deps } = panel();
    const role = await db
      .insertInto('roles')
      .values({ tenant_id: seeded.tenantId, name: 'Clients', permissions: ['clients.manage'] })
      .returning('id')
      .executeTakeFirstOrThrow();
    await deps.auth.createAccount({
      kind: 'admin',
      tenantId: seeded.tenantId,
      roleId: role.id,
      email: 'cleo@acme.test',
      name: 'Cleo',
      password: 'correct horse battery',
    });
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'cleo@acme.test');
    const page = await (await visitor.get(`/t/acme/admin/clients/${seeded.clientId}`)).text();
    expect(page).toContain('Carl Client');
    expect(page).not.toMatch(/VPS S|New service/);
    const olga = panel().visitor();
    await olga.signIn('admin', 'olga@acme.test');
    expect(await (await olga.get(`/t/acme/admin/clients/${seeded.clientId}`)).text()).toMatch(/VPS S/);
  });

  test('cannot take the name of another: said on the page', async () => {
    const { db, seeded } = panel();
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'olga@acme.test');
    const role = await db
      .selectFrom('roles')
      .select('id')
      .where('name', '=', 'Support')
      .where('tenant_id', '=', seeded.tenantId)
      .executeTakeFirstOrThrow();
    for (const id of [role.id, 'new']) {
      const answer = await visitor.post(`/t/acme/admin/settings/roles/${id}`, { name: 'Owner' });
      expect([id, answer.status]).toEqual([id, 422]);
      expect(await answer.text()).toContain('There is a role of this name already.');
    }
  });

  test('cannot act beyond its permissions', async () => {
    const visitor = await support();
    const { seeded, deps } = panel();
    deps.called.length = 0;
    for (const path of [
      `/services/${seeded.serviceId}/action`,
      `/tasks/${seeded.taskId}/retry`,
      `/installations/${seeded.installationId}/disable`,
      '/settings/roles/new',
      '/settings/admins',
    ])
      expect([path, (await visitor.post(`/t/acme/admin${path}`, { action: 'suspend' })).status]).toEqual([
        path,
        403,
      ]);
    expect(deps.called).toEqual([]);
  });

  test('that may manage settings cannot hand out more than it holds', async () => {
    const { db, seeded, deps } = panel();
    const role = await db
      .insertInto('roles')
      .values({ tenant_id: seeded.tenantId, name: 'Settings', permissions: ['settings.manage'] })
      .returning('id')
      .executeTakeFirstOrThrow();
    await deps.auth.createAccount({
      kind: 'admin',
      tenantId: seeded.tenantId,
      roleId: role.id,
      email: 'sam@acme.test',
      name: 'Sam',
      password: 'correct horse battery',
    });
    const owner = await db
      .selectFrom('roles')
      .select('id')
      .where('name', '=', 'Owner')
      .where('tenant_id', '=', seeded.tenantId)
      .executeTakeFirstOrThrow();
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'sam@acme.test');
    const posts: readonly (readonly [string, Record<string, string>])[] = [
      ['/settings/roles/new', { name: 'Mine', permission: '*' }],
      [`/settings/roles/${role.id}`, { name: 'Settings', permission: 'services.manage' }],
      [`/settings/roles/${owner.id}`, { name: 'Owner', permission: 'settings.manage' }],
      [
        '/settings/admins',
        { name: 'Two', email: 'two@acme.test', password: 'a long password', role: owner.id },
      ],
    ];
    for (const [path, form] of posts)
      expect([path, (await visitor.post(`/t/acme/admin${path}`, form)).status]).toEqual([path, 403]);
  });

  test('takes effect on sessions that are open', async () => {
    const visitor = await support();
    const { db, seeded } = panel();
    const role = await db
      .selectFrom('roles')
      .select('id')
      .where('name', '=', 'Support')
      .executeTakeFirstOrThrow();
    const olga = panel().visitor();
    await olga.signIn('admin', 'olga@acme.test');
    expect((await visitor.get('/t/acme/admin/logs')).status).toBe(200);
    await olga.post(`/t/acme/admin/settings/roles/${role.id}`, {
      name: 'Support',
      permission: 'services.view',
    });
    expect((await visitor.get('/t/acme/admin/logs')).status).toBe(403);
    expect((await visitor.get(`/t/acme/admin/services/${seeded.serviceId}`)).status).toBe(200);
  });
});

test('a tenant found by its own host has addresses without its name, and no operator there', async () => {
  const { siteAt } = await import('../../src/web/site.ts');
  const site = siteAt('https://panel.example.com/hosting');
  const pathOf = (url: string) => site.routePath(new URL(url));
  expect(pathOf('https://acme.panel.example.com/hosting/admin/services')).toBe('/t/acme/admin/services');
  expect(pathOf('https://acme.panel.example.com/hosting/operator')).toBe('/t/acme/operator');
  expect(pathOf('https://acme.panel.example.com/hosting/static/1/panel.css')).toBe('/static/1/panel.css');
  expect(pathOf('https://acme.panel.example.com/hosting/m/1/assets/a.js')).toBe('/m/1/assets/a.js');
  expect(pathOf('https://acme.panel.example.com/hosting/m/1/page/servers')).toBe('/t/acme/m/1/page/servers');
  expect(pathOf('https://acme.panel.example.com/hosting/m/client/1/general')).toBe(
    '/t/acme/m/client/1/general',
  );
  expect(pathOf('https://acme.panel.example.com/hosting/language/pl')).toBe('/language/pl');
  expect(pathOf('https://panel.example.com/hosting/operator')).toBe('/operator');
  expect(site.originOf('acme.panel.example.com')).toBe('https://acme.panel.example.com');
  for (const host of [
    'evilpanel.example.com',
    'a.b.panel.example.com',
    'example.com',
    'panel.example.com.evil.test',
    '-x.panel.example.com',
  ])
    expect([host, site.originOf(host)]).toEqual([host, undefined]);
});
