/** The guide's admin interface and client area, through the real panel: the reference's examples in test/fixtures/Product/MyHostingService. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import { openBrowser, type Browser } from '../support/browser.ts';
import { allowPorts, PASSWORD, useTestHost } from '../support/host.ts';
import { fixtureFolder } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { recordingApi, type RecordingApi } from './guide-api.ts';
import { htmlOf, requestOf, type Values } from './guide-support.ts';

const host = useTestHost({ worker: true });
const NAME = 'MyHostingService';
const PRODUCT = { server_location: 'US-East', plan_type: 'premium', disk_space: 100, bandwidth: 1000 };

let api: RecordingApi;
let installationId = '';
let serviceId = '';
let browser: Browser;
let admin = '';

beforeAll(async () => {
  api = await recordingApi(() => ({ status: 200, body: { id: 'a1' } }));
  const { a } = host();
  await allowPorts(a, [api.port]);
  await host().publishFolder(fixtureFolder(`Product/${NAME}`));
  installationId = await a.installed(NAME, { api_url: api.origin, api_key: 'key-of-the-hosting-api-1' });
  serviceId = await a.order(await a.product(NAME, 'Hosting', PRODUCT), {
    domain: 'example.com',
    username: 'alice',
  });
  await a.reached(serviceId, 'completed', 'active');
  browser = visitor();
  admin = `/t/${a.slug}/admin`;
  await browser.signIn(admin, { email: `admin@${a.slug}.example`, password: PASSWORD });
});
afterAll(async () => api[Symbol.asyncDispose]());

function visitor(): Browser {
  return openBrowser('http://127.0.0.1:4300', (request) => host().bulkhead.app.fetch(request));
}

const PREFIX = `Product-${NAME}`;
const ALL = ['view-servers', 'manage-servers', 'view-server-groups'].map((key) => `${PREFIX}-${key}`);

async function page(
  path: string,
  how: { method?: ModuleRequest['method']; body?: Values; permissions?: readonly string[] } = {},
): Promise<ModuleResponse> {
  const { a, bulkhead } = host();
  return bulkhead.panel.modules.adminPage({
    installationId,
    path,
    account: { id: a.adminId, kind: 'admin', permissions: how.permissions ?? ALL },
    request: requestOf(how.method ?? 'GET', path, how.body),
  });
}

async function clientCall(
  tab: string,
  method: ModuleRequest['method'],
  body?: Values,
): Promise<ModuleResponse> {
  const { a, bulkhead } = host();
  return bulkhead.panel.modules.clientCall({
    serviceId,
    tab,
    account: { id: a.clientId, kind: 'client', permissions: [] },
    request: requestOf(method, tab, body),
  });
}

async function clientTab(tab: string): Promise<string> {
  const { a, bulkhead } = host();
  const account = { id: a.clientId, kind: 'client', permissions: [] } as const;
  return htmlOf(await bulkhead.panel.modules.clientTab({ serviceId, tab, account }));
}

/** Publishes a module with these members and says what the store refuses it for. */
async function refusedModule(members: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const name = `Wrong${randomBytes(4).toString('hex')}`;
  return refusal(() => host().publish({ name, members, files }));
}

describe('adminPermissions()', () => {
  it('names each permission with its key and description, and a role may have them [AI-01..AI-05]', async () => {
    const settings = await (await browser.get(`${admin}/settings`)).text();
    for (const [name, key, description] of [
      ['View Servers', 'view-servers', 'View hosting servers'],
      ['Manage Servers', 'manage-servers', 'Create and manage hosting servers'],
    ]) {
      expect(settings).toContain(name);
      expect(settings).toContain(`${PREFIX}-${key ?? ''}`);
      expect(settings).toContain(description);
    }
  });

  it('is asked before any code of the module runs: 403 for who lacks the key [SG-07 AI-20]', async () => {
    await expect(page('servers', { permissions: [] })).rejects.toMatchObject({ code: 'NOT_GRANTED' });
    await expect(page('servers', { permissions: [`${PREFIX}-manage-servers`] })).rejects.toMatchObject({
      code: 'NOT_GRANTED',
      message: expect.stringContaining(`${PREFIX}-view-servers`),
    });
    expect(await page('servers', { permissions: [`${PREFIX}-view-servers`] })).toMatchObject({
      kind: 'html',
    });
  });
});

describe('adminSidebar()', () => {
  const entry = async (path: string): Promise<string> => {
    const html = await (await browser.get(path)).text();
    return (
      /<a [^>]*href="[^"]*\/modules\/Product\/MyHostingService\/servers"[^>]*>[\s\S]*?<\/a>/.exec(
        html,
      )?.[0] ?? ''
    );
  };

  it('is an entry with title and link, resolved by the route’s name to /admin/modules/{Type}/{Name}/{uri} [AI-06 AI-07 AI-09 AI-11 AI-15 PL-05]', async () => {
    expect(await entry(admin)).toContain('Server Management');
    expect(await entry(admin)).toContain(`href="${admin}/modules/Product/${NAME}/servers"`);
  });

  it('is active on its active_links and on no other page [AI-10 GAP-06]', async () => {
    const base = `${admin}/modules/Product/${NAME}`;
    expect(await entry(`${base}/servers`)).toContain('aria-current="page"');
    expect(await entry(`${base}/server-groups`)).toContain('aria-current="page"');
    expect(await entry(admin)).not.toContain('aria-current="page"');
  });

  it('is not shown to who lacks its permission [AI-08]', async () => {
    const { a } = host();
    const role = await a.panel.db
      .insertInto('roles')
      .values({ tenant_id: a.id, name: 'Watcher', permissions: ['modules.view', `${PREFIX}-view-servers`] })
      .returning('id')
      .executeTakeFirstOrThrow();
    const email = `watcher@${a.slug}.example`;
    await a.panel.auth.createAccount({
      kind: 'admin',
      tenantId: a.id,
      roleId: role.id,
      name: 'Watcher',
      email,
      password: PASSWORD,
    });
    const watcher = visitor();
    await watcher.signIn(admin, { email, password: PASSWORD });
    expect(await (await watcher.get(admin)).text()).not.toContain('Server Management');
    expect(await entry(admin)).toContain('Server Management');
    expect((await watcher.get(`${admin}/modules/Product/${NAME}/servers`)).status).toBe(200);
    expect((await watcher.get(`${admin}/modules/Product/${NAME}/server-groups`)).status).toBe(403);
  });

  it('whose link is no route is told when the module is published, not found out by a 404 [AI-12 AI-13 AI-16]', async () => {
    expect(
      await refusedModule(`
        adminPermissions() { return [{ name: 'View Diagnostics', key: 'view-diagnostics' }]; }
        adminSidebar() {
          return [{ title: 'Diagnostics', link: 'diag', active_links: ['diag'], permission: 'view-diagnostics' }];
        }`),
    ).toBe('BAD_INPUT: Menu entry "Diagnostics": there is no route named "diag" in adminWebRoutes().');
  });
});

describe('adminWebRoutes() and adminApiRoutes()', () => {
  it('are pages at their uri, by verb, for their permission, answered by the controller they name [AI-17..AI-19 AI-21..AI-23 PL-06 PL-07 CT-03]', async () => {
    expect(htmlOf(await page('servers'))).toContain('<h1>Server Dashboard</h1>');
    expect(await page('server-groups')).toMatchObject({ kind: 'text', status: 200, text: 'ok' });
    expect(await page('api/servers/7', { method: 'PUT', body: { name: 'x' } })).toMatchObject({
      kind: 'json',
      status: 200,
      body: { success: true, data: { id: '7', user: host().a.adminId, said: { id: '7', name: 'x' } } },
    });
    // A redirect names a route; the panel gets its uri.
    expect(await page('api/servers/7', { method: 'DELETE' })).toMatchObject({
      kind: 'redirect',
      to: 'server-groups',
    });
    for (const [path, method] of [
      ['servers', 'POST'],
      ['api/servers', 'GET'],
      ['api/servers/7/8', 'PUT'],
      ['diag', 'GET'],
    ] as const)
      await expect(page(path, { method })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const response = await browser.get(`${admin}/modules/Product/${NAME}/diag`);
    expect(response.status).toBe(404);
  });

  it('that want a permission nobody declared are told when the module is published [AI-14 MON-22]', async () => {
    const controller = `import { Controller } from 'bulkhead'; export default class ServerGroupController extends Controller { index() { return ''; } }`;
    const route = `{ method: 'get', uri: 'server-groups', permission: 'view-server-groups', name: 'server-groups', controller: 'ServerGroupController@index' }`;
    expect(
      await refusedModule(`adminWebRoutes() { return [${route}]; }`, {
        'controllers/ServerGroupController.ts': controller,
      }),
    ).toBe(
      'BAD_INPUT: Route "server-groups": the permission "view-server-groups" is not in adminPermissions().',
    );
  });
});

describe('a controller', () => {
  it('answers 422 with errors by field, 200 with a message, 500 with the reason [CT-02 CT-05 CT-06 CT-08 CT-10 HF-08 VR-12]', async () => {
    const create = (body: Values) => page('api/servers', { method: 'POST', body });
    expect(await create({ name: 'x'.repeat(256), ip: 'no ip' })).toMatchObject({
      kind: 'json',
      status: 422,
      body: {
        success: false,
        errors: { name: [expect.any(String)], ip: [expect.any(String)], location: [expect.any(String)] },
      },
    });
    const good = { name: 'web', ip: '192.0.2.1', location: 'US' };
    expect(await create(good)).toEqual({
      kind: 'json',
      status: 200,
      body: { success: true, message: 'Server created successfully' },
    });
    expect(await create({ ...good, name: 'broken' })).toEqual({
      kind: 'json',
      status: 500,
      body: { success: false, message: 'The rack is full' },
    });
  });

  it('asks for permissions and ends with abort(403, …) [SG-07..SG-09 HF-09]', async () => {
    expect(await page('api/servers/13', { method: 'PUT' })).toMatchObject({
      status: 403,
      body: { message: 'Insufficient permissions' },
    });
    const response = await page('api/servers/1', { method: 'PUT', permissions: [...ALL, '*'] });
    expect(response).toMatchObject({ status: 200 });
  });
});

describe('tasks', () => {
  it('are found in the panel by their tags [TK-10 TK-11]', async () => {
    const page = async (tag: string) =>
      (await browser.get(`${admin}/tasks?tag=${encodeURIComponent(tag)}`)).text();
    expect(await page(`service:${serviceId}`)).toContain('createJob');
    expect(await page('hosting')).toContain('createJob');
    expect(await page('hosting-of-another')).not.toContain('createJob');
  });
});

describe('getClientAreaMenuConfig()', () => {
  it('are the tabs of the client’s page of a service, by key, with name and template [CA-01..CA-03 MC-57]', async () => {
    const { a } = host();
    const client = visitor();
    await client.signIn(`/t/${a.slug}`, { email: `client@${a.slug}.example`, password: PASSWORD });
    const html = await (await client.get(`/t/${a.slug}/services/${serviceId}`)).text();
    expect(html).toContain('General');
    expect(html).toContain('File Manager');
    expect(await clientTab('general')).toContain('id="domain"');
    await expect(clientTab('other')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('a tab gets what variables_{tab}() gives; one without gets nothing and is warned of at publishing [CA-04 CA-05 MC-59]', async () => {
    const html = await clientTab('general');
    expect(html).toContain('<p id="domain">example.com</p>');
    expect(html).toContain('<p id="level">standard</p>');
    expect(await clientTab('files')).toContain('There are no files.');
    const { a, bulkhead } = host();
    const { module_id: moduleId } = await a.installation(NAME);
    const { warnings } = await bulkhead.panel.catalog.modulePage(moduleId);
    expect(warnings).toEqual(['Tab "files" has no variables_files(); its template gets no data.']);
  });

  it('a template that is not there refuses the package [CA-02]', async () => {
    expect(
      await refusedModule(
        `getClientAreaMenuConfig() { return { general: { name: 'General', template: 'client_area.gone' } }; }`,
      ),
    ).toContain('Tab "general": views/client_area/gone.liquid is not in the package');
  });
});

describe('controllerClient_{tab}{Method}(request)', () => {
  it('answers the tab’s requests by verb: Get, Post, Put and Delete [CA-07 GAP-07]', async () => {
    expect(await clientCall('general', 'GET')).toMatchObject({
      kind: 'json',
      status: 200,
      body: { success: true },
    });
    expect(await clientCall('general', 'POST', { a: 1 })).toMatchObject({
      status: 201,
      body: { success: true, data: { a: 1 } },
    });
    expect(await clientCall('files', 'PUT', { name: 'x.txt' })).toMatchObject({
      status: 200,
      body: { data: { put: 'x.txt' } },
    });
    expect(await clientCall('files', 'DELETE')).toMatchObject({
      status: 404,
      body: { success: false, errors: { name: ['There is no such file.'] } },
    });
    await expect(clientCall('general', 'DELETE')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(clientCall('constructor', 'GET')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('reads the service for the status and the details that the guide leaves undefined [CA-06 CA-08 CA-10]', async () => {
    expect(await clientTab('general')).toContain('<p id="status">completed</p>');
    expect(await clientCall('general', 'GET')).toMatchObject({
      body: {
        success: true,
        data: { uuid: serviceId, status: 'active', username: expect.stringMatching(/^u\d{6}x$/) },
      },
    });
  });

  it('answers success false, message and 500 when something throws [CA-09]', async () => {
    const { a } = host();
    const { provision_data: before } = await a.service(serviceId);
    const set = (data: Values) =>
      a.panel.db.updateTable('services').set({ provision_data: data }).where('id', '=', serviceId).execute();
    await set({ ...Object(before), broken: true });
    const answered = await clientCall('general', 'GET');
    await set(Object(before));
    expect(answered).toEqual({
      kind: 'json',
      status: 500,
      body: { success: false, message: 'Details are not available' },
    });
  });
});

describe('views', () => {
  it('are found by dotted names below views/, with the words of the reader’s language [UM-02 HF-01 HF-02 GS-31..GS-33]', async () => {
    const html = htmlOf(await page('servers'));
    expect(html).toContain('<h1>Server Dashboard</h1>');
    expect(html).toContain('<p>Hello</p>');
    const { b, bulkhead } = host();
    await b.panel.db.updateTable('tenants').set({ locale: 'pl' }).where('id', '=', b.id).execute();
    const polish = htmlOf(
      await bulkhead.panel.modules.adminPage({
        installationId: await b.installed(NAME, { api_url: api.origin }),
        path: 'servers',
        account: { id: b.adminId, kind: 'admin', permissions: ALL },
        request: requestOf('GET', 'servers'),
      }),
    );
    expect(polish).toContain('<p>Cześć</p>');
  });

  it('name the module’s assets by an address that serves them [GS-27..GS-30]', async () => {
    const source = /src="([^"]+)"/.exec(await clientTab('general'))?.[1] ?? '';
    const { a, bulkhead } = host();
    const { version_id: versionId } = await a.installation(NAME);
    expect(source).toMatch(/img\/logo\.svg$/);
    for (const path of ['css/style.css', 'js/app.js', 'img/logo.svg'])
      expect(await bulkhead.panel.modules.asset(versionId ?? '', path)).toBeInstanceOf(Uint8Array);
    expect(await bulkhead.panel.modules.asset(versionId ?? '', '../lang/en.json')).toBeUndefined();
  });
});
