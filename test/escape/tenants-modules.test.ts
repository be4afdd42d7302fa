/**
 * What a malicious module, its publisher, and the admins and clients around it try with the host's own rules: consent, versions, names,
 * declarations, records, services.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModuleRequest } from '../../sandbox/contract/invocation.ts';
import type { ModuleCaller } from '../../src/web/deps.ts';
import { useTestHost } from '../support/host.ts';
import { newPublisher } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';

const host = useTestHost();

function requestOf(method: ModuleRequest['method'], path = ''): ModuleRequest {
  return { method, url: `http://panel.test/${path}`, headers: [], body: { text: '' }, params: {} };
}

const admin = (...permissions: string[]): ModuleCaller => ({ id: randomUUID(), kind: 'admin', permissions });
const client = (id: string): ModuleCaller => ({ id, kind: 'client', permissions: [] });

describe('a new version', () => {
  const asks = (hosts: string[], secretHosts: string[]) => ({
    permissions: { http: { hosts }, secrets: { api_key: { title: 'API key', hosts: secretHosts } } },
    settings: [{ key: 'api_key', type: 'secret', title: 'API key' }],
  });
  const MEMBERS = `
    async ask(address) {
      try { await this.http.fetch(address); return 'answered'; } catch (error) { return error.code; }
    }`;
  const publishVersion = async (
    name: string,
    version: string,
    hosts: string[],
    secretHosts: string[],
  ): Promise<string> =>
    (await host().publish({ name, version, members: MEMBERS, manifest: asks(hosts, secretHosts) })).versionId;

  it('that binds a secret to another host has to ask for it anew', async () => {
    const { a } = host();
    await publishVersion('Binder', '1.0.0', ['api.example.com', 'evil.example'], ['api.example.com']);
    await a.installed('Binder', { api_key: 'sk-secret-value' });
    const next = await publishVersion(
      'Binder',
      '1.1.0',
      ['api.example.com', 'evil.example'],
      ['evil.example'],
    );
    await a.update('Binder', next);
    const { lines, missing } = await a.consent('Binder');
    expect(missing).toEqual(['secrets.names:api_key']);
    expect(lines.find(({ id }) => id === 'secrets.names:api_key')).toMatchObject({
      granted: false,
      added: true,
    });
    expect(await refusal(() => a.enable('Binder'))).toMatch(/^NOT_GRANTED.*api_key/);
  });

  it('that waits gives nothing to the one that runs, and one that asks for less loses the rest', async () => {
    const { a } = host();
    await publishVersion('Shifty', '1.0.0', ['one.example', 'two.example'], ['one.example']);
    await a.installed('Shifty', { api_key: 'sk-secret-value' });
    const next = await publishVersion('Shifty', '1.1.0', ['one.example', 'three.example'], ['one.example']);
    await a.update('Shifty', next);
    await a.grant('Shifty');
    // The running version never asked for three.example; its own are names that resolve to nothing.
    expect(await a.call('Shifty', 'ask', 'https://three.example/')).toBe('NOT_GRANTED');
    await a.enable('Shifty');
    expect(await a.call('Shifty', 'ask', 'https://three.example/')).not.toBe('NOT_GRANTED');
    expect(await a.call('Shifty', 'ask', 'https://two.example/')).toBe('NOT_GRANTED');
  });

  it('that asks for less does not keep what nobody sees any more', async () => {
    const { a } = host();
    await publishVersion('Modest', '1.0.0', ['one.example', 'two.example'], ['one.example']);
    await a.installed('Modest', { api_key: 'sk-secret-value' });
    await a.update('Modest', await publishVersion('Modest', '1.1.0', ['one.example'], ['one.example']));
    await a.enable('Modest');
    expect(await a.call('Modest', 'ask', 'https://two.example/')).toBe('NOT_GRANTED');
    expect(await a.call('Modest', 'ask', 'https://one.example/')).not.toBe('NOT_GRANTED');
  });

  it('is no older one, no other module’s, and none that waits for review', async () => {
    const { a, bulkhead } = host();
    const old = await host().publish({ name: 'Versions', version: '1.0.0' });
    await host().publish({ name: 'Versions', version: '1.1.0' });
    const other = await host().publish({ name: 'OtherVersions', version: '9.0.0' });
    await a.install('Versions');
    expect(await refusal(() => a.update('Versions', old.versionId))).toMatch(/^CONFLICT/);
    expect(await refusal(() => a.update('Versions', other.versionId))).toMatch(/^CONFLICT/);
    await bulkhead.panel.db
      .updateTable('module_versions')
      .set({ status: 'in_review' })
      .where('id', '=', other.versionId)
      .execute();
    expect(
      await refusal(() =>
        a.panel.catalog.install({ tenantId: a.id, versionId: other.versionId, accountId: a.adminId }),
      ),
    ).toMatch(/^CONFLICT.*not published/);
  });
});

describe('two publishers with one name', () => {
  it('are not both installed, however the requests fall', async () => {
    const { a } = host();
    const versions = await Promise.all(
      ['house-one', 'house-two', 'house-three'].map(async (name) =>
        host().publish({ name: 'Twin', type: 'Plugin' }, newPublisher(name)),
      ),
    );
    const installs = await Promise.allSettled(
      versions.map(({ versionId }) =>
        a.panel.catalog.install({ tenantId: a.id, versionId, accountId: a.adminId }),
      ),
    );
    expect(installs.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('do not get each other’s by signing with another key', async () => {
    await host().publish({ name: 'Keyed', version: '1.0.0' }, newPublisher('house-four'));
    expect(
      await refusal(() => host().publish({ name: 'Keyed', version: '1.1.0' }, newPublisher('house-four'))),
    ).toMatch(/^CONFLICT.*signed with the key/);
  });
});

describe('a declaration', () => {
  const page = `
    adminPermissions() { return [{ name: 'View', key: 'view' }]; }
    adminWebRoutes() { return [{ method: 'get', uri: 'x', permission: 'view', name: 'x', controller: 'PageController@x' }]; }`;
  const files = {
    'controllers/PageController.ts': `import { Controller } from 'bulkhead'; export default class PageController extends Controller { x() { return 'x'; } }`,
  };
  it.each([
    [
      'with more menu entries than a menu holds',
      `${page} adminSidebar() { return Array.from({ length: 2000 }, () => ({ title: 't', link: 'x' })); }`,
    ],
    [
      'with an entry that is active on everything',
      `${page} adminSidebar() { return [{ title: 't', link: 'x', active_links: Array.from({ length: 50000 }, () => 'y') }]; }`,
    ],
    [
      'with more permissions than a role page can show',
      `adminPermissions() { return Array.from({ length: 5000 }, (_, i) => ({ name: 'n', key: 'k' + i })); }`,
    ],
    [
      'with a field whose help is a book',
      `productFields() { return [{ key: 'a', type: 'text', title: 'A', help: 'x'.repeat(300000) }]; }`,
    ],
    [
      'whose tab’s key leads elsewhere',
      `getClientAreaMenuConfig() { return { '../../profile': { name: 'P', template: 'client_area.general' } }; }`,
    ],
    ['whose permission is every permission', `adminPermissions() { return [{ name: 'All', key: '*' }]; }`],
    [
      'whose controller is Object',
      `adminPermissions() { return [{ name: 'View', key: 'view' }]; } adminWebRoutes() { return [{ method: 'get', uri: 'x', permission: 'view', name: 'x', controller: 'constructor@assign' }]; }`,
    ],
  ])('%s is refused', async (_what, members) => {
    const views = { 'views/client_area/general.liquid': 'x' };
    expect(
      await refusal(() =>
        host().publish({
          name: `Declared${randomUUID().slice(0, 4).toUpperCase()}`,
          members,
          files: { ...files, ...views },
        }),
      ),
    ).toMatch(/^BAD_INPUT/);
  });

  it('of a thousand hosts is refused before anybody has to answer for each', async () => {
    const hosts = Array.from({ length: 5_000 }, (_, index) => `h${index}.example`);
    expect(
      await refusal(() => host().publish({ name: 'Greedy', manifest: { permissions: { http: { hosts } } } })),
    ).toMatch(/^BAD_INPUT/);
  });
});

describe('a route', () => {
  const controller = `import { Controller, response } from 'bulkhead';
    export default class PageController extends Controller {
      show(request) { return response('show ' + request.input('id')); }
      secrets() { return response('secrets'); }
    }`;
  const members = `
    adminPermissions() { return [{ name: 'View', key: 'view' }, { name: 'Secrets', key: 'secrets' }]; }
    adminWebRoutes() { return [
      { method: 'get', uri: 'items/{id}', permission: 'view', name: 'show', controller: 'PageController@show' },
      { method: 'get', uri: 'items/secrets', permission: 'secrets', name: 'secrets', controller: 'PageController@secrets' },
    ]; }
    adminApiRoutes() { return [{ method: 'post', uri: 'items/{id}', permission: 'secrets', name: 'save', controller: 'PageController@secrets' }]; }`;
  let installationId = '';
  const open = (method: ModuleRequest['method'], path: string, account: ModuleCaller) =>
    host().a.panel.modules.adminPage({ installationId, path, request: requestOf(method, path), account });

  beforeAll(async () => {
    await host().publish({
      name: 'Routes',
      type: 'Plugin',
      members,
      files: { 'controllers/PageController.ts': controller },
    });
    installationId = await host().a.installed('Routes');
  });

  it('written out goes before one with a parameter, and its permission with it', async () => {
    expect(await refusal(() => open('GET', 'items/secrets', admin('Plugin-Routes-view')))).toMatch(
      /^NOT_GRANTED/,
    );
    expect(await open('GET', 'items/secrets', admin('Plugin-Routes-secrets'))).toMatchObject({
      text: 'secrets',
    });
  });

  it('asks for the permission of its own method', async () => {
    expect(await refusal(() => open('POST', 'items/1', admin('Plugin-Routes-view')))).toMatch(/^NOT_GRANTED/);
    expect(await refusal(() => open('DELETE', 'items/1', admin('*')))).toMatch(/^NOT_FOUND/);
  });

  it.each(['Plugin-Routes', 'view', 'plugin-routes-view', 'Plugin-Routes-', 'Plugin-Routes-*'])(
    'is not opened by the key %s',
    async (key) => {
      expect(await refusal(() => open('GET', 'items/1', admin(key)))).toMatch(/^NOT_GRANTED/);
    },
  );

  it('takes a parameter as it came: decoded once, by whoever read the address', async () => {
    for (const path of ['items/%zz', 'items/a%2Fb', 'items/%2e%2e'])
      expect(await open('GET', path, admin('*'))).toMatchObject({
        text: expect.stringContaining(path.slice(6)),
      });
  });
});

describe('records', () => {
  it('of one tenant are not lost with another’s that cannot be written', async () => {
    const { a, b, bulkhead } = host();
    await host().publish({ name: 'Recorded', type: 'Plugin' });
    await a.installed('Recorded');
    await b.installed('Recorded');
    await bulkhead.recorder.flush();
    const mine = await a.installationId('Recorded');
    const gone = randomUUID();
    const call = { op: 'http.request', duration_ms: 1 };
    bulkhead.recorder.log({
      tenant_id: b.id,
      installation_id: gone,
      level: 'info',
      action: 'of a removed module',
    });
    bulkhead.recorder.log({ tenant_id: a.id, installation_id: mine, level: 'info', action: 'canary' });
    bulkhead.recorder.call({ ...call, installation_id: gone, target: 'GET gone.example' });
    bulkhead.recorder.call({
      ...call,
      installation_id: await b.installationId('Recorded'),
      target: 'GET a\0b',
    });
    bulkhead.recorder.call({ ...call, installation_id: mine, target: 'GET canary.example' });
    bulkhead.recorder.usage(mine, { invocations: 41 });
    bulkhead.recorder.grantUse(mine, 'canary', 'used');
    await bulkhead.recorder.flush();
    const { db } = bulkhead.panel;
    expect(await a.logs('Recorded')).toContainEqual(expect.stringContaining('canary'));
    const calls = await db.selectFrom('calls').select('target').where('installation_id', '=', mine).execute();
    expect(calls).toEqual([{ target: 'GET canary.example' }]);
    const usage = await db
      .selectFrom('usage_minutes')
      .selectAll()
      .where('installation_id', '=', mine)
      .execute();
    expect(usage.reduce((sum, row) => sum + row.invocations, 0)).toBeGreaterThanOrEqual(41);
    const uses = await db
      .selectFrom('grant_use')
      .select('item')
      .where('installation_id', '=', mine)
      .execute();
    expect(uses).toContainEqual({ item: 'canary' });
  });
});

describe('a service', () => {
  const MEMBERS = `
    serviceFields() { return [{ key: 'name', type: 'text', title: 'Name' }]; }
    saveServiceData(data) {
      return { status: 'success', data: data.name === 'nul' ? { name: 'a\\0b' } : { ...data, __proto__: null } };
    }
    getClientAreaMenuConfig() { return { general: { name: 'General', template: 'client_area.general' } }; }
    controllerClient_generalGet() { return this.json({ read: true }); }
    controllerClient_generalPost() { return this.json({ done: true }); }
    controllerClient_generalPut() { throw new Error('select * from hoster where password = hunter2'); }
    json(body) { return { done: true, ...body }; }
    createJob() { return { status: 'error', message: 'no' }; }
    suspendJob() { return { status: 'success' }; }
    terminationJob() { return { status: 'success' }; }`;
  beforeAll(async () => {
    await host().publish({
      name: 'Served',
      members: MEMBERS,
      manifest: { permissions: { tasks: { concurrency: 1 } } },
      files: { 'views/client_area/general.liquid': 'x' },
    });
    await host().a.installed('Served');
  });
  const make = async (change: object): Promise<string> => {
    const { a } = host();
    const serviceId = await a.order(await a.product('Served', randomUUID()), { name: 'x' });
    await a.panel.db.updateTable('services').set(change).where('id', '=', serviceId).execute();
    return serviceId;
  };
  const call = (serviceId: string, method: ModuleRequest['method'], account: ModuleCaller) =>
    host().a.panel.modules.clientCall({ serviceId, tab: 'general', request: requestOf(method), account });

  it.each(['suspended', 'terminated', 'cancelled', 'fraud', 'manual'])(
    'that is %s does nothing for its client any more',
    async (status) => {
      const { a } = host();
      const serviceId = await make({ status });
      const who = client(a.clientId);
      expect(await refusal(() => call(serviceId, 'POST', who))).toMatch(/^CONFLICT/);
      expect(
        await refusal(() => a.panel.modules.clientTab({ serviceId, tab: 'general', account: who })),
      ).toMatch(/^CONFLICT/);
    },
  );

  it('that is being made is looked at by its client, and nothing else', async () => {
    const { a } = host();
    const serviceId = await make({ status: 'pending' });
    const who = client(a.clientId);
    expect(await refusal(() => call(serviceId, 'POST', who))).toMatch(/^CONFLICT/);
    expect(await call(serviceId, 'GET', who)).toMatchObject({ kind: 'json', status: 200 });
    expect(await a.panel.modules.clientTab({ serviceId, tab: 'general', account: who })).toMatchObject({
      kind: 'html',
    });
  });

  it('is not worked on by an admin who may only look', async () => {
    const serviceId = await make({ status: 'active' });
    expect(await refusal(() => call(serviceId, 'POST', admin('services.view')))).toMatch(
      /^NOT_GRANTED.*services\.manage/,
    );
    expect(await call(serviceId, 'GET', admin('services.view'))).toMatchObject({ kind: 'json' });
    expect(await call(serviceId, 'POST', admin('services.manage'))).toMatchObject({ kind: 'json' });
  });

  it('tells its client no detail of the module’s failure, and its admin all of it', async () => {
    const { a } = host();
    const serviceId = await make({ status: 'active' });
    const told = await refusal(() => call(serviceId, 'PUT', client(a.clientId)));
    expect(told).toMatch(/^MODULE_ERROR/);
    expect(told).not.toContain('hunter2');
    expect(await refusal(() => call(serviceId, 'PUT', admin('*')))).toContain('hunter2');
  });

  it('whose module is switched off keeps its state when somebody presses a button', async () => {
    const { a } = host();
    const serviceId = await make({ status: 'active', provision_status: 'completed' });
    await a.disable('Served');
    try {
      expect(await refusal(() => a.action(serviceId, 'suspend'))).toMatch(/^CONFLICT.*not enabled/);
      expect(await a.service(serviceId)).toMatchObject({ status: 'active', provision_status: 'completed' });
    } finally {
      await a.enable('Served');
    }
  });

  it('that was terminated is not created by an old task that is run again', async () => {
    const { a } = host();
    const serviceId = await make({ status: 'terminated', provision_status: 'terminated' });
    const [task] = await a.tasks(serviceId);
    await a.panel.db
      .updateTable('tasks')
      .set({ status: 'failed', finished_at: new Date() })
      .where('service_id', '=', serviceId)
      .execute();
    expect(await refusal(() => a.panel.jobs.retry(task?.id ?? '', a.adminId))).toMatch(
      /^CONFLICT.*terminated/,
    );
    expect(await a.tasks(serviceId)).toMatchObject([{ status: 'failed' }]);
  });

  it('keeps of what the module made of its order what can be kept', async () => {
    const { a } = host();
    const serviceId = await a.order(await a.product('Served', randomUUID()), { name: 'nul' });
    expect((await a.service(serviceId)).data).toEqual({ name: 'a\uFFFDb' });
  });

  it('is sold at the tenant’s price whatever the order says', async () => {
    const { a } = host();
    const serviceId = await a.order(await a.product('Served', randomUUID()), {
      name: 'x',
      amount_minor: 0,
      status: 'active',
      tenant_id: host().b.id,
      constructor: { prototype: { polluted: true } },
    });
    expect(await a.service(serviceId)).toMatchObject({
      amount_minor: 500,
      status: 'pending',
      tenant_id: a.id,
      data: { name: 'x' },
    });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('does not tell a client why the operator stopped its module', async () => {
    const { a } = host();
    const productId = await a.product('Served', randomUUID());
    const installationId = await a.installationId('Served');
    const serviceId = await make({ status: 'active' });
    const pause = async (reason: string | null): Promise<void> => {
      await a.panel.db
        .updateTable('installations')
        .set({ paused_at: reason === null ? null : new Date(), paused_reason: reason })
        .where('id', '=', installationId)
        .execute();
      await a.panel.tenants.allowEgress({ tenantId: a.id, allow: [], accountId: a.adminId });
    };
    await pause('revoked: it mines coins');
    try {
      expect(await refusal(() => a.tryOrder(productId))).not.toContain('coins');
      expect(await refusal(() => call(serviceId, 'GET', client(a.clientId)))).not.toContain('coins');
      expect(await refusal(() => call(serviceId, 'GET', admin('*')))).toContain('coins');
    } finally {
      await pause(null);
    }
  });
});
