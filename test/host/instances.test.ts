/** Instances: several sets of settings of one module, each with secrets, a webhook address and tasks of its own. */
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { useTestHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { refusal, type Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

/** Says what it sees, and checks a signature with the secret it cannot see. */
const GATEWAY: ModuleSource = {
  name: 'Gateway',
  type: 'Payment',
  manifest: {
    settings: [
      { key: 'account', title: 'Account', type: 'text', required: true },
      { key: 'sandbox', title: 'Sandbox', type: 'switch' },
      { key: 'signing', title: 'Signing secret', type: 'secret' },
    ],
    permissions: { secrets: { signing: { title: 'Signing secret', hosts: [] } }, tasks: {} },
  },
  members: `
    getModuleData(data) { return { ...data, account: String(data.account).toUpperCase(), added: true }; }
    getSettingsPage(data) { return '<p>' + data.account + ' ' + data.webhook_url + '</p>'; }
    async apiWebhookPost(request) {
      const [hex] = (request.headers.get('x-signature') ?? '').split(',');
      const valid = await this.secrets.verifyHmac('signing', request.rawBody, hex);
      if (!valid) return response('bad signature', 400);
      if (request.input('later')) await this.tasks.add({ method: 'lookJob' });
      return json({ instance: this.instance.name, data: this.module_data, url: this.webhook_url });
    }
    apiWebhookGet() { return response('ok', 200); }
    lookJob() { return { status: 'success', data: { instance: this.instance.name, account: this.module_data.account } }; }
    look() { return { instance: this.instance, data: this.module_data }; }
    stray(params) { return this.tasks.add({ method: 'lookJob', instance: params.instance }); }
  `,
  prelude: `import { json, response } from 'bulkhead';`,
};
const PLUGIN: ModuleSource = {
  name: 'Listener',
  type: 'Plugin',
  members: `
    apiWebhookPost(request) { if (request.input('big')) return 'x'.repeat(100_000); return json({ got: request.all(), bytes: request.rawBody.length, url: this.webhook_url }, 202); }
  `,
  prelude: `import { json } from 'bulkhead';`,
};

const SECRET = { one: 'whsec_the_first', two: 'whsec_the_second' };

async function twoAccounts(tenant: Tenant): Promise<{ one: string; two: string }> {
  await tenant.install('Gateway');
  await tenant.grant('Gateway');
  await tenant.enable('Gateway');
  return {
    one: await tenant.newInstance('Gateway', 'One', { account: 'acct one', signing: SECRET.one }),
    two: await tenant.newInstance('Gateway', 'Two', { account: 'acct two', signing: SECRET.two }),
  };
}

function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request(`http://127.0.0.1:4300${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return Promise.resolve(host().bulkhead.app.fetch(request));
}

function signed(body: string, secret: string): Record<string, string> {
  return { 'x-signature': createHmac('sha256', secret).update(body).digest('hex') };
}

describe('instances of a payment module', () => {
  let one = '';
  let two = '';
  test('each gets its own settings, made by getModuleData on the same object, and its own webhook address (A19) [PY-01 PY-02 PY-05 PY-06 CP-06]', async () => {
    await host().publish(GATEWAY);
    ({ one, two } = await twoAccounts(host().a));
    const paths = [await host().a.hook(one), await host().a.hook(two)];
    expect(paths[0]).not.toBe(paths[1]);
    expect(paths[0]).toMatch(/^\/hooks\/[0-9a-f]{64}$/);
    const answer = await post(paths[0] ?? '', '{"a":1}', signed('{"a":1}', SECRET.one));
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      instance: 'One',
      data: expect.objectContaining({ account: 'ACCT ONE', added: true, sandbox: false }),
      url: `http://127.0.0.1:4300${paths[0]}`,
    });
  });

  test('a signature made with the other instance’s secret is refused', async () => {
    const answer = await post(await host().a.hook(one), '{}', signed('{}', SECRET.two));
    expect(answer.status).toBe(400);
    expect((await post(await host().a.hook(two), '{}', signed('{}', SECRET.two))).status).toBe(200);
  });

  test('the signature is checked over the very bytes [PY-20 PY-23]', async () => {
    const body = '{ "ł": "\\u0142" ,"n":1.0}';
    expect((await post(await host().a.hook(one), body, signed(body, SECRET.one))).status).toBe(200);
    const other = JSON.stringify(JSON.parse(body));
    expect((await post(await host().a.hook(one), other, signed(body, SECRET.one))).status).toBe(400);
  });

  test('secrets in module_data are handles [PY-03 PY-04]', async () => {
    const answer = await post(await host().a.hook(one), '{}', signed('{}', SECRET.one));
    const text = await answer.text();
    expect(text).toContain('bhs_');
    expect(text).not.toContain(SECRET.one);
  });

  test('a task added for an instance runs with that instance’s settings, and equal ones of two are no duplicates', async () => {
    const body = '{"later":true}';
    await post(await host().a.hook(one), body, signed(body, SECRET.one));
    await post(await host().a.hook(two), body, signed(body, SECRET.two));
    const results = await until('two tasks', async () => {
      const rows = await host()
        .a.panel.db.selectFrom('tasks')
        .select(['result', 'status'])
        .where('tenant_id', '=', host().a.id)
        .where('method', '=', 'lookJob')
        .where('status', '=', 'completed')
        .execute();
      return rows.length === 2 && rows.map((row) => JSON.stringify(row.result)).sort();
    });
    expect(results[0]).toContain('ACCT ONE');
    expect(results[1]).toContain('ACCT TWO');
  });

  test('an instance of another tenant’s installation is not reachable', async () => {
    const foreign = (await twoAccounts(host().b)).one;
    const installationId = await host().a.installationId('Gateway');
    const look = { target: { on: 'module' as const }, method: 'look', args: [] };
    expect(
      await refusal(() =>
        host().bulkhead.invoker.invoke({
          installationId,
          instanceId: foreign,
          purpose: 'request',
          calls: [look],
        }),
      ),
    ).toMatch(/^NOT_FOUND/);
    const stray = () => host().a.call('Gateway', 'stray', { instance: foreign });
    expect(await refusal(stray)).toContain('no such instance');
    // Its delivery reaches it and nothing of ours: our secret does not fit.
    expect((await post(await host().b.hook(foreign), '{}', signed('{}', SECRET.one))).status).toBe(200);
    expect((await post(await host().b.hook(foreign), '{}', signed('{}', SECRET.two))).status).toBe(400);
  });

  test('the installation’s own address is none for a type with instances, a made-up one neither', async () => {
    const { hook_id: hookId } = await host().a.installation('Gateway');
    expect((await post(`/hooks/${hookId}`, '{}', signed('{}', SECRET.one))).status).toBe(404);
    expect((await post(`/hooks/${'0'.repeat(64)}`, '{}')).status).toBe(404);
  });

  test('its settings page gets the generated webhook_url [PY-19]', async () => {
    const account = { id: host().a.adminId, kind: 'admin' as const, permissions: ['*'] };
    const page = await host().a.panel.modules.settingsPage({ instanceId: one, account });
    expect(page).toMatchObject({ kind: 'html' });
    const { webhookUrl } = await host().a.panel.instances.form(one);
    expect(page.kind === 'html' && page.html).toContain(`ACCT ONE ${webhookUrl}`);
  });

  test('apiWebhookGet answers a GET; a module without it has no such address (A18) [PY-21 WH-03]', async () => {
    const url = `http://127.0.0.1:4300${await host().a.hook(one)}`;
    const answer = await host().bulkhead.app.fetch(new Request(url));
    expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
  });

  test('names are unique, forms checked whole, and a removed one is gone with its secrets', async () => {
    const { instances, db } = host().a.panel;
    const installationId = await host().a.installationId('Gateway');
    const accountId = host().a.adminId;
    expect(await instances.create({ installationId, name: ' One ', accountId })).toMatchObject({ ok: false });
    expect(await instances.rename({ instanceId: two, name: 'One', accountId })).toMatchObject({ ok: false });
    const values = { account: '', signing: 'another secret' };
    expect(await instances.save({ instanceId: two, values, accountId })).toMatchObject({ ok: false });
    // What was refused changed nothing: the old secret is still the one.
    const path = await host().a.hook(two);
    expect((await post(path, '{}', signed('{}', SECRET.two))).status).toBe(200);
    await instances.remove(two, accountId);
    expect((await post(path, '{}', signed('{}', SECRET.two))).status).toBe(404);
    const left = await db.selectFrom('secrets').select('id').where('instance_id', '=', two).execute();
    expect(left).toEqual([]);
  });
});

test('a module of any type takes deliveries at an address of its own (A20) [WH-01 WH-02 PY-22]', async () => {
  await host().publish(PLUGIN);
  await host().a.installed('Listener');
  const { hook_id: hookId } = await host().a.installation('Listener');
  const answer = await post(`/hooks/${hookId}`, '{"hello":"there"}');
  expect(answer.status).toBe(202);
  expect(await answer.json()).toEqual({
    got: { hello: 'there' },
    bytes: 17,
    url: `http://127.0.0.1:4300/hooks/${hookId}`,
  });
  const big = await post(`/hooks/${hookId}`, '{"big":true}');
  expect(big.status).toBe(502);
  expect((await big.text()).length).toBeLessThan(200);
  const read = new Request(`http://127.0.0.1:4300/hooks/${hookId}`);
  expect((await host().bulkhead.app.fetch(read)).status).toBe(404);
  const installationId = await host().a.installationId('Listener');
  const accountId = host().a.adminId;
  const create = () => host().a.panel.instances.create({ installationId, name: 'x', accountId });
  expect(await refusal(create)).toMatch(/^CONFLICT: A Plugin module has one set/);
});
