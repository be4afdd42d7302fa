/** The guide's API reference, method by method, on its own examples ported to TypeScript: test/fixtures/Product/MyHostingService. */
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allowPorts, useTestHost } from '../support/host.ts';
import { fixtureFolder, packChanged } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { recordingApi, type Answer, type Asked, type RecordingApi } from './guide-api.ts';
import {
  htmlOf,
  ID,
  NULLABLE_STRING,
  requestOf,
  tableShape,
  TIMESTAMPS,
  type Values,
} from './guide-support.ts';

const host = useTestHost({ worker: true });
const NAME = 'MyHostingService';
const FOLDER = fixtureFolder(`Product/${NAME}`);
const KEY = 'key-of-the-hosting-api-1';
const PRODUCT = { server_location: 'US-East', plan_type: 'premium', disk_space: 100, bandwidth: 1000 };
const ORDER = { domain: ' Example.COM ', username: ' alice ', notes: 'first' };

const works: Answer = { status: 200, body: { id: 'a1' } };
let answer: (asked: Asked) => Answer = () => works;
let api: RecordingApi;
let installationId = '';

beforeAll(async () => {
  api = await recordingApi((asked) => answer(asked));
  const { a } = host();
  await allowPorts(a, [api.port]);
  await host().publishFolder(FOLDER);
  installationId = await a.installed(NAME, { api_url: api.origin, api_key: KEY });
});
afterAll(async () => api[Symbol.asyncDispose]());
beforeEach(() => {
  answer = () => works;
  api.asked.length = 0;
});

async function call(method: string, ...args: unknown[]): Promise<unknown> {
  return host().a.call(NAME, method, ...args);
}

async function product(data: Values = {}): Promise<string> {
  return host().a.product(NAME, `Plan ${randomBytes(4).toString('hex')}`, { ...PRODUCT, ...data });
}

async function ordered(): Promise<string> {
  return host().a.order(await product(), ORDER);
}

async function active(): Promise<string> {
  const serviceId = await ordered();
  await host().a.reached(serviceId, 'completed', 'active');
  return serviceId;
}

/** The module's log lines of one service: 'level action request response'. */
async function logsOf(serviceId: string): Promise<string[]> {
  await host().bulkhead.recorder.flush();
  const rows = await host()
    .a.panel.db.selectFrom('logs')
    .selectAll()
    .where('service_id', '=', serviceId)
    .where('source', '=', 'module')
    .orderBy('id')
    .execute();
  return rows.map((row) =>
    [row.level, row.action, row.request, row.response]
      .filter((part) => part !== null)
      .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
      .join(' '),
  );
}

describe('the constructor', () => {
  it('calls super() first; after it, and in field initialisers, everything is there [BM-01 BM-02 MC-04]', async () => {
    expect(await call('properties')).toMatchObject({
      support_level: 'standard',
      initialised: 'Product/MyHostingService 1.0.0',
    });
  });
});

describe('the lifecycle', () => {
  it('activate() makes its table as the guide designs it, logs it and returns success [BM-03 BM-05..BM-10 WF-05 MC-05 MC-07 MC-09]', async () => {
    expect(await tableShape(host().bulkhead, installationId, 'module_table')).toEqual({
      columns: {
        id: ID,
        service_uuid: 'uuid not null',
        external_id: NULLABLE_STRING,
        status: 'text not null',
        ...TIMESTAMPS,
      },
      primary: 'id',
      indexes: ['service_uuid, status'],
      references: [],
    });
    expect(await call('addRow', 'suspended')).toBe('success');
    await expect(call('addRow', 'deleted')).rejects.toThrow(/module_table_status_check|not allow|status/);
    expect(await host().a.installation(NAME)).toMatchObject({ status: 'active', status_reason: null });
    expect(await host().a.logs(NAME)).toContain('module info activate Module activated successfully');
  });

  it('deactivate() runs and says so in the log; the tables stay [BM-12 MC-11 MC-13]', async () => {
    const { a } = host();
    await a.disable(NAME);
    expect(await a.installation(NAME)).toMatchObject({ status: 'inactive', status_reason: null });
    expect((await a.tables(NAME)).map(({ table }) => table)).toContain('module_table');
    expect(await a.logs(NAME)).toContain('module info deactivate Module deactivated successfully');
    await a.enable(NAME);
  });

  it('update() runs when the version changes, compares it and alters the table [BM-14..BM-17 WF-05]', async () => {
    const { b, bulkhead } = host();
    await allowPorts(b, [api.port]);
    const id = await b.installed(NAME, { api_url: api.origin, api_key: KEY });
    const manifest: unknown = JSON.parse(await readFile(`${FOLDER}/module.json`, 'utf8'));
    const pkg = await packChanged(FOLDER, {
      'module.json': JSON.stringify({ ...Object(manifest), version: '1.1.0' }),
    });
    const { versionId } = await bulkhead.publish(pkg, { status: 'published' });
    expect((await tableShape(bulkhead, id, 'module_table')).columns).not.toHaveProperty('new_field');
    await b.update(NAME, versionId);
    await b.enable(NAME);
    expect((await tableShape(bulkhead, id, 'module_table')).columns).toHaveProperty(
      'new_field',
      NULLABLE_STRING,
    );
    expect(await b.installation(NAME)).toMatchObject({ status: 'active', version_id: versionId });
  });
});

describe('product configuration', () => {
  it('getProductData(data) fills in what is missing and keeps it on this [PM-01 GAP-01]', async () => {
    expect(await call('getProductData', { server_location: 'US-East' })).toMatchObject({
      server_location: 'US-East',
      plan_type: '',
      disk_space: '',
      bandwidth: '',
    });
    const { results } = await host().bulkhead.invoker.invoke({
      installationId,
      purpose: 'request',
      calls: ['getProductData', 'properties'].map((method) => ({
        target: { on: 'module' },
        method,
        args: method === 'properties' ? [] : [{ plan_type: 'basic' }],
      })),
    });
    expect(results.at(-1)).toMatchObject({ value: { product_data: { plan_type: 'basic' } } });
  });

  it('saveProductData(data) answers success, data and 200, or error, message by field and 422; the form shows it [PM-02 PM-03 GAP-02]', async () => {
    expect(await call('saveProductData', PRODUCT)).toEqual({ status: 'success', data: PRODUCT, code: 200 });
    expect(
      await call('saveProductData', { server_location: '', plan_type: 'invalid', disk_space: -1 }),
    ).toEqual({
      status: 'error',
      code: 422,
      message: {
        server_location: [expect.any(String)],
        plan_type: [expect.any(String)],
        disk_space: [expect.any(String)],
        bandwidth: [expect.any(String)],
      },
    });
    const refused = await host().a.saveProduct(NAME, 'Bad', { ...PRODUCT, plan_type: 'invalid' });
    expect(refused).toMatchObject({ ok: false, errors: { plan_type: [expect.any(String)] } });
    const kept = await product();
    const row = await host()
      .a.panel.db.selectFrom('products')
      .select('data')
      .where('id', '=', kept)
      .executeTakeFirstOrThrow();
    expect(row.data).toMatchObject(PRODUCT);
  });

  it('getProductPage() renders its view with the stored configuration and the rules’ hints [PM-04..PM-07 UM-01 GAP-08]', async () => {
    const { a, bulkhead } = host();
    const shown = await bulkhead.panel.modules.productPage({
      installationId,
      productId: await product({ server_location: '<b>US' }),
      account: { id: a.adminId, kind: 'admin', permissions: ['*'] },
    });
    const html = htmlOf(shown);
    expect(html).toContain('<dt>server_location</dt><dd>&lt;b&gt;US</dd>');
    expect(html).toContain('<small>basic, premium, enterprise</small>');
  });

  it('getServiceData(data) trims and lowers, and what it returns is stored [PM-08 PM-09 GAP-03]', async () => {
    const data = { domain: 'example.com', username: 'alice', notes: 'first' };
    expect(await call('getServiceData', ORDER)).toEqual(data);
    expect(await call('getServiceData', {})).toEqual({ domain: '', username: '', notes: null });
    const service = await host().a.service(await active());
    expect(service.data).toMatchObject({ domain: 'example.com', notes: 'first' });
  });

  it('saveServiceData(data) answers like saveProductData() [PM-10]', async () => {
    const good = { domain: 'example.com', username: 'alice-1' };
    expect(await call('saveServiceData', good)).toEqual({ status: 'success', data: good, code: 200 });
    expect(await call('saveServiceData', { domain: 'no domain', username: 'a!' })).toMatchObject({
      status: 'error',
      code: 422,
      message: { domain: [expect.any(String)], username: [expect.any(String), expect.any(String)] },
    });
    const refused = await host().a.tryOrder(await product(), { ...ORDER, domain: '-' });
    expect(refused).toMatchObject({ ok: false, errors: { domain: [expect.any(String)] } });
  });

  it('getServicePage() renders the service with its data and the configuration [PM-11 UM-02]', async () => {
    const { a, bulkhead } = host();
    const shown = await bulkhead.panel.modules.servicePage({
      serviceId: await active(),
      account: { id: a.adminId, kind: 'admin', permissions: ['*'] },
    });
    expect(htmlOf(shown)).toContain('<p>example.com</p>');
    expect(htmlOf(shown)).toContain('<p>standard</p>');
  });
});

describe('create() and createJob()', () => {
  it('set processing and queue the job with the guide’s options and tags; the answer is a status [LC-01..LC-03 TK-05 TK-11 TK-12 MC-38 MC-40 MC-41 SM-02 SM-09]', async () => {
    answer = () => 'hang up';
    const { a } = host();
    const serviceId = await ordered();
    const [task] = await a.tasks(serviceId);
    expect(task).toMatchObject({
      method: 'createJob',
      tries: 1,
      backoff_s: 60,
      timeout_s: 600,
      max_exceptions: 1,
      tags: ['create', 'hosting', `service:${serviceId}`],
    });
    expect((await a.timeline(serviceId)).join('\n')).toContain('Pending → Processing · by create');
    await a.reached(serviceId, 'failed', 'pending');
  });

  it('make an account, store what was made and complete the service [LC-04 LC-05 SM-01 SM-03 SM-07 SM-08 MC-43..MC-45 MC-48..MC-50 HF-04 HF-05]', async () => {
    const { a } = host();
    const serviceId = await active();
    expect(api.asked).toMatchObject([
      {
        method: 'POST',
        path: '/accounts',
        headers: { authorization: `Bearer ${KEY}` },
        body: {
          domain: 'example.com',
          username: expect.stringMatching(/^u\d{6}x$/),
          password: expect.stringMatching(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{10}$/),
        },
      },
    ]);
    const service = await a.service(serviceId);
    expect(service.provision_data).toMatchObject(Object(api.asked[0]?.body));
    expect(service.activated_at).toBeInstanceOf(Date);
    expect(await a.ended(serviceId, 'createJob')).toMatchObject({
      status: 'completed',
      result: { status: 'success' },
    });
    expect(await logsOf(serviceId)).toContain('info createJob Service created successfully');
  });

  it('fail with the API’s error when it refuses [LC-05 SM-04 MC-49]', async () => {
    answer = () => ({ status: 409, body: { message: 'The name is taken' } });
    const { a } = host();
    const serviceId = await ordered();
    await a.reached(serviceId, 'failed', 'pending');
    expect(await a.failure(serviceId)).toBe('createJob: MODULE_ERROR: The name is taken');
    expect(await logsOf(serviceId)).toContainEqual(
      expect.stringMatching(/^error createJob Service creation failed .*/),
    );
  });

  it('fail with “Service creation failed” when something throws, and the log has the reason [LC-06 MC-51]', async () => {
    answer = () => 'hang up';
    const { a } = host();
    const serviceId = await ordered();
    await a.reached(serviceId, 'failed', 'pending');
    expect(await a.failure(serviceId)).toBe('createJob: MODULE_ERROR: Service creation failed');
    expect(await logsOf(serviceId)).toContainEqual(
      expect.stringMatching(/^error createJob Exception occurred .*\w/),
    );
  });
});

describe('suspend() and suspendJob()', () => {
  it('queue with the tags suspend and service:uuid and suspend what create() made [LC-07..LC-12 SM-05]', async () => {
    const { a } = host();
    const serviceId = await active();
    const username = String(Reflect.get(Object(api.asked[0]?.body), 'username'));
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    expect(await a.ended(serviceId, 'suspendJob')).toMatchObject({
      tags: ['suspend', `service:${serviceId}`],
      tries: 1,
      backoff_s: 60,
      timeout_s: 600,
      max_exceptions: 1,
    });
    expect(api.asked.at(-1)).toMatchObject({ method: 'PUT', path: `/accounts/${username}/suspend` });
    expect(await logsOf(serviceId)).toContain('info suspendJob Service suspended');
  });

  it('fail with the API’s error, or “Unknown error” if it gave none [LC-12 LC-13]', async () => {
    const { a } = host();
    for (const { body, message } of [
      { body: { message: 'Locked' }, message: 'Locked' },
      { body: {}, message: 'Unknown error' },
    ]) {
      answer = () => works;
      const serviceId = await active();
      answer = () => ({ status: 423, body });
      await a.action(serviceId, 'suspend');
      await a.reached(serviceId, 'failed', 'active');
      expect(await a.failure(serviceId)).toBe(`suspendJob: MODULE_ERROR: ${message}`);
    }
  });

  it('fail with “Suspension failed” when something throws, and the log has the reason [LC-12 LC-27]', async () => {
    const { a } = host();
    const serviceId = await active();
    answer = () => 'hang up';
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'failed', 'active');
    expect(await a.failure(serviceId)).toBe('suspendJob: MODULE_ERROR: Suspension failed');
    expect(await logsOf(serviceId)).toContainEqual(
      expect.stringMatching(/^error suspendJob Suspension failed .*\w/),
    );
  });
});

describe('unsuspend(), termination() and change_package() with their jobs', () => {
  it('queue with their own tags and the guide’s options [LC-14 LC-15 LC-18 LC-19 LC-22 LC-23]', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'change_package', await product());
    await a.reached(serviceId, 'completed', 'active');
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    await a.action(serviceId, 'unsuspend');
    await a.reached(serviceId, 'completed', 'active');
    await a.action(serviceId, 'termination');
    await a.reached(serviceId, 'terminated', 'terminated');
    const options = { tries: 1, backoff_s: 60, timeout_s: 600, max_exceptions: 1 };
    const tag = `service:${serviceId}`;
    const queued = (await a.tasks(serviceId)).filter(({ method }) => !/^(create|suspend)Job/.test(method));
    expect(queued).toMatchObject([
      { ...options, method: 'change_packageJob', tags: ['change_package', tag] },
      { ...options, method: 'unsuspendJob', tags: ['unsuspend', tag] },
      { ...options, method: 'terminationJob', tags: ['termination', tag] },
    ]);
  });

  it('unsuspendJob completes the service again [LC-16 LC-17]', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    await a.action(serviceId, 'unsuspend');
    await a.reached(serviceId, 'completed', 'active');
    expect(api.asked.at(-1)).toMatchObject({ method: 'PUT', path: expect.stringMatching(/\/unsuspend$/) });
  });

  it('terminationJob ends the service [LC-20 LC-21 SM-06]', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'termination');
    expect(await a.reached(serviceId, 'terminated', 'terminated')).toMatchObject({
      terminated_at: expect.any(Date),
    });
    expect(api.asked.at(-1)).toMatchObject({
      method: 'DELETE',
      path: expect.stringMatching(/^\/accounts\/u/),
    });
  });

  it('change_packageJob sends plan and bandwidth, logs it and leaves the service as it was [LC-24..LC-27]', async () => {
    const { a } = host();
    const serviceId = await active();
    const larger = await product({ bandwidth: 5000 });
    await a.action(serviceId, 'change_package', larger);
    expect(await a.reached(serviceId, 'completed', 'active')).toMatchObject({ product_id: larger });
    expect(api.asked.at(-1)).toMatchObject({
      method: 'PUT',
      path: '/package',
      body: { plan: 'basic', bandwidth: 5000 },
    });
    expect(await logsOf(serviceId)).toContain('info change_packageJob Plan changed');
  });

  it('unsuspendJob and terminationJob that answer an error fail with it, and so does the service they were to change [LC-17 LC-21]', async () => {
    const { a } = host();
    for (const action of ['unsuspend', 'termination'] as const) {
      answer = () => works;
      const serviceId = await active();
      await a.action(serviceId, 'suspend');
      await a.reached(serviceId, 'suspended', 'suspended');
      answer = () => ({ status: 423, body: { message: 'Locked' } });
      await a.action(serviceId, action);
      await a.reached(serviceId, 'failed', 'suspended');
      expect(await a.failure(serviceId)).toBe(`${action}Job: MODULE_ERROR: Locked`);
    }
  });

  it.each([
    ['unsuspend', 'unsuspendJob', 'Reactivation failed'],
    ['termination', 'terminationJob', 'Termination failed'],
    ['change_package', 'change_packageJob', 'Change failed'],
  ] as const)('%s that throws is logged as the guide says [LC-27]', async (action, job, text) => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    if (action === 'change_package') {
      await a.action(serviceId, 'unsuspend');
      await a.reached(serviceId, 'completed', 'active');
    }
    answer = () => 'hang up';
    await a.action(serviceId, action, action === 'change_package' ? await product() : undefined);
    expect(await a.ended(serviceId, job)).toMatchObject({ status: 'failed' });
    expect(await logsOf(serviceId)).toContainEqual(
      expect.stringMatching(new RegExp(`^error ${job} ${text} .*\\w`)),
    );
  });
});

describe('properties', () => {
  it('of the invocation are on this [CP-01..CP-05 CP-07 CP-08 GAP-05 MC-60]', async () => {
    const { a } = host();
    const serviceId = await active();
    const said = await a.panel.modules.clientCall({
      serviceId,
      tab: 'general',
      account: { id: a.clientId, kind: 'client', permissions: [] },
      request: requestOf('PUT', 'general', {}),
    });
    expect(said).toMatchObject({
      body: {
        module_name: NAME,
        product_uuid: (await a.service(serviceId)).product_id,
        product_data: PRODUCT,
        service_uuid: serviceId,
        service_data: { domain: 'example.com', notes: 'first', password: expect.any(String) },
        config: { support_level: 'standard', api_url: api.origin },
      },
    });
  });
});

describe('config(key)', () => {
  it('is the setting, over the manifest; a secret is its handle; an unknown key is null [UM-03..UM-05 GAP-09]', async () => {
    const { apiUrl, apiKey, handle, missing } = Object(await call('configuration'));
    expect(apiUrl).toBe(api.origin);
    expect(apiKey).toBe(handle);
    expect(String(apiKey)).toMatch(/^bhs_/);
    expect(missing).toBeNull();
  });
});

describe('logInfo, logError and logDebug', () => {
  it('take an action, a request and a response, each a text or an object, and the host adds the module [LM-01..LM-06 GAP-12]', async () => {
    await call('logs');
    const logs = await host().a.logs(NAME);
    expect(logs.slice(-5)).toEqual([
      'module info service_created {"product_data":{},"service_uuid":null} {"status":"success"}',
      'module error api_call_failed {"data":{"plan":"basic"},"endpoint":"/api/create"} {"error":"refused"}',
      'module debug processing_step {"data":["a"],"step":"validation"}',
      'module info one text as it is and an answer',
      'module info nothing else',
    ]);
  });
});

describe('tasks.add()', () => {
  it('queues a method with params, options and tags; without options it has the guide’s defaults [TK-05..TK-09 GAP-10 MC-42 MC-52 MC-53]', async () => {
    const { a } = host();
    const task = async (request: Values) => {
      const { uuid } = Object(await call('queue', request));
      return a.panel.db
        .selectFrom('tasks')
        .selectAll()
        .where('id', '=', String(uuid))
        .executeTakeFirstOrThrow();
    };
    expect(await task({ method: 'collectMetrics', tags: ['metrics'] })).toMatchObject({
      method: 'collectMetrics',
      tries: 1,
      backoff_s: 10,
      timeout_s: 600,
      max_exceptions: 2,
      tags: ['metrics'],
    });
    const full = await task({
      method: 'collectMetrics',
      params: { server_id: '7' },
      tries: 3,
      backoff: 60,
      timeout: 120,
      maxExceptions: 1,
      tags: ['create', 'service:x'],
    });
    expect(full).toMatchObject({ tries: 3, backoff_s: 60, timeout_s: 120, max_exceptions: 1 });
    const done = await until('the job', async () => {
      const row = await a.panel.db
        .selectFrom('tasks')
        .selectAll()
        .where('id', '=', full.id)
        .executeTakeFirstOrThrow();
      return row.status === 'completed' && row;
    });
    expect(done.result).toMatchObject({ data: { server_id: '7' } });
  });
});
