/** The guide's best practices, API client, debugging, validation and guidelines, as ported in test/fixtures/Product/GuidePractices. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allowPorts, useTestHost } from '../support/host.ts';
import { fixtureFolder } from '../support/modules.ts';
import { recordingApi, type Answer, type RecordingApi } from './guide-api.ts';
import { requestOf, type Values } from './guide-support.ts';

const host = useTestHost({ worker: true });
const NAME = 'GuidePractices';
const KEY = 'key-of-the-hosting-api-1';
const SERVERS: Answer = { status: 200, body: [{ id: 1 }, { id: 2 }] };
const ORDER = { domain: 'example.com', username: 'alice', password: 'Passw0rd' };

let answer: Answer = SERVERS;
let api: RecordingApi;

beforeAll(async () => {
  api = await recordingApi(() => answer);
  const { a } = host();
  await allowPorts(a, [api.port]);
  await host().publishFolder(fixtureFolder(`Product/${NAME}`));
  await a.installed(NAME, { api_url: api.origin, api_key: KEY });
});
afterAll(async () => api[Symbol.asyncDispose]());
beforeEach(() => {
  answer = SERVERS;
  api.asked.length = 0;
});

async function call(method: string, ...args: unknown[]): Promise<unknown> {
  return host().a.call(NAME, method, ...args);
}

/** The newest line of the module's log with this action. */
async function lastLog(action: string) {
  const { a, bulkhead } = host();
  await bulkhead.recorder.flush();
  return a.panel.db
    .selectFrom('logs')
    .selectAll()
    .where('installation_id', '=', await a.installationId(NAME))
    .where('action', '=', action)
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow();
}

/** Orders a service of a product with this data; what is asked of the module is in the product. */
async function ordered(data: Values = {}): Promise<string> {
  const { a } = host();
  return a.order(await a.product(NAME, `Plan ${crypto.randomUUID()}`, data), ORDER);
}

describe('error handling', () => {
  it('validates, calls, validates, and answers {success, data} [XE-01..XE-04]', async () => {
    expect(await call('provisionAccount')).toEqual({ success: true, data: [{ id: 1 }, { id: 2 }] });
    expect(api.asked).toMatchObject([{ method: 'GET', path: '/servers' }]);
  });

  it.each([
    [
      'the API refuses',
      { status: 500, body: { secret: 'detail' } },
      'External service unavailable',
      'API error',
    ],
    ['nobody answers', 'hang up', 'External service unavailable', 'API error'],
    ['the answer is none', { status: 200, body: {} }, 'Internal error occurred', 'Unexpected error'],
  ] as const)(
    'tells little to the caller and the rest to the log when %s [XE-06..XE-08]',
    async (_when, said, error, logged) => {
      answer = said;
      expect(await call('provisionAccount')).toEqual({ success: false, error });
      expect(await lastLog('provision')).toMatchObject({
        level: 'error',
        request: logged,
        response: expect.stringMatching(/\w/),
      });
    },
  );

  it('a job may return {success: false, error}: its task fails with that text [EV-04 XE-05]', async () => {
    const { a } = host();
    const serviceId = await ordered({ configured: false });
    await a.reached(serviceId, 'failed', 'pending');
    expect(await a.failure(serviceId)).toBe('createJob: MODULE_ERROR: Invalid configuration');
    expect(await lastLog('provision')).toMatchObject({ request: 'Configuration error' });
    const good = await ordered();
    await a.reached(good, 'completed', 'active');
    expect((await a.ended(good, 'createJob')).result).toMatchObject({ success: true });
  });
});

describe('events', () => {
  it('of the guide’s free names are dispatched from a job under the module’s own name [EV-01..EV-04]', async () => {
    const { a } = host();
    const serviceId = await ordered();
    await a.reached(serviceId, 'completed', 'active');
    const events = await a.panel.db
      .selectFrom('events')
      .select(['name', 'payload'])
      .where('tenant_id', '=', a.id)
      .where('source', 'like', `%/${NAME}`)
      .orderBy('at')
      .execute();
    const ours = events.filter(({ payload }) => Object(payload).service_uuid === serviceId);
    expect(ours).toEqual([
      { name: `${NAME}.cloud.account.creating`, payload: { module: NAME, service_uuid: serviceId } },
      {
        name: `${NAME}.hcloud.account.created`,
        payload: { module: NAME, service_uuid: serviceId, success: true },
      },
    ]);
  });
});

describe('errors of capabilities are classes', () => {
  it.each([
    ['the service is away', {}, 'hang up', 'Service temporarily unavailable', 'External service error'],
    ['data are invalid', { mode: 'validation' }, SERVERS, 'Invalid data provided', 'Validation error'],
    ['of anything else', { mode: 'unexpected' }, SERVERS, 'An unexpected error occurred', 'Unexpected error'],
  ] as const)('told apart in a job when %s [EP-03..EP-05]', async (_when, product, said, message, logged) => {
    answer = said;
    const { a } = host();
    const { results } = await a.bulkhead.invoker.invoke({
      installationId: await a.installationId(NAME),
      purpose: 'request',
      calls: [
        { target: { on: 'module' }, method: 'getProductData', args: [product] },
        { target: { on: 'module' }, method: 'externalJob', args: [] },
      ],
    });
    expect(results.at(-1)).toMatchObject({ value: { status: 'error', message } });
    expect(await lastLog('createJob')).toMatchObject({ level: 'error', request: logged });
  });
});

describe('security', () => {
  it('trims, checks with strict rules and encrypts before it returns data without a code [XS-01..XS-06 SG-01 VR-13]', async () => {
    const saved = await call('saveServiceData', {
      domain: ' example.com ',
      username: ' alice_1 ',
      password: 'Passw0rd',
    });
    expect(saved).toMatchObject({ status: 'success', data: { domain: 'example.com', username: 'alice_1' } });
    expect(JSON.stringify(saved)).not.toContain('Passw0rd');
    expect(saved).not.toHaveProperty('code');
    for (const [field, values] of Object.entries({
      username: ['ab', 'x'.repeat(21), 'a b', 'ą'],
      password: ['Short1', 'nouppercase1', 'NOLOWERCASE1', 'NoDigitHere'],
      domain: ['example', '-example.com', 'exa mple.com', 'example.c'],
    }))
      for (const value of values)
        expect(await call('saveServiceData', { ...ORDER, [field]: value })).toMatchObject({
          status: 'error',
          code: 422,
          errors: { [field]: expect.arrayContaining([expect.any(String)]) },
        });
  });

  it('an order’s data without a code is stored, encrypted as the module left it [XS-05 XS-06]', async () => {
    const { a } = host();
    const serviceId = await ordered();
    await a.reached(serviceId, 'completed', 'active');
    expect(JSON.stringify((await a.service(serviceId)).data)).not.toContain('Passw0rd');
  });

  it('sanitizes texts and escapes HTML with the guide’s helpers [SG-01..SG-03]', async () => {
    expect(await call('sanitize', { name: ' <b>Al</b>ice ', html: `<a href="x">'&'</a>` })).toEqual({
      stripped: { name: 'Alice', html: `'&'` },
      safeHtml: '&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;',
    });
  });

  it('encrypts with a key that the module never sees, and opens only what is its own [SG-04 HF-07]', async () => {
    const first = Object(await call('sealed', 'Passw0rd'));
    const second = Object(await call('sealed', 'Passw0rd'));
    expect(first.opened).toBe('Passw0rd');
    expect(first.encryptedPassword).not.toContain('Passw0rd');
    expect(second.encryptedPassword).not.toBe(first.encryptedPassword);
  });

  it('a log line that has a password or key in it after all is stored without [SG-05 SG-06]', async () => {
    await call('userCreated');
    const { request } = await lastLog('user_created');
    expect(request).toMatchObject({ username: 'alice', email: 'alice@example.com' });
    const stored = JSON.stringify(request);
    for (const secret of ['Passw0rd!', KEY, 'abc']) expect(stored).not.toContain(secret);
  });
});

describe('the cache', () => {
  it('remembers for a time what was asked once, per installation [XP-01 XP-02 PF-01 PF-04]', async () => {
    for (const method of ['getServerList', 'serversOfModule']) {
      api.asked.length = 0;
      expect(await call(method)).toEqual([{ id: 1 }, { id: 2 }]);
      expect(await call(method)).toEqual([{ id: 1 }, { id: 2 }]);
      expect(api.asked).toHaveLength(1);
    }
  });

  it('puts with tags and flushes them [PF-02 PF-03]', async () => {
    expect(await call('putTagged', 'kept')).toBe('kept');
    expect(await call('flushTagged')).toBeNull();
  });
});

describe('logging', () => {
  it('an operation carries module, service, time and user; the host stamps its own beside them [XL-01..XL-06 HF-06 HF-10]', async () => {
    const { a } = host();
    const serviceId = await ordered();
    await a.reached(serviceId, 'completed', 'active');
    await a.panel.modules.clientCall({
      serviceId,
      tab: 'general',
      account: { id: a.clientId, kind: 'client', permissions: [] },
      request: requestOf('GET', 'general'),
    });
    const line = await lastLog('opened');
    expect(line).toMatchObject({
      level: 'info',
      request: {
        module: NAME,
        service_uuid: serviceId,
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        user_id: a.clientId,
        tab: 'general',
      },
      installation_id: await a.installationId(NAME),
      service_id: serviceId,
      account_id: a.clientId,
      at: expect.any(Date),
    });
  });

  it('logDebug takes what is at hand, with the stack of the module’s own frames [TS-04 TS-05]', async () => {
    await call('debug', { a: 1 });
    const { level, request } = await lastLog('method_name');
    expect(level).toBe('debug');
    expect(request).toMatchObject({
      input: { a: 1 },
      service_uuid: null,
      stack_trace: expect.stringMatching(/GuidePractices\.debug/),
    });
    expect(JSON.stringify(request)).not.toContain('/src/');
  });

  it('measure(name, fn) gives back what fn gives and logs operation and time [TS-06..TS-10]', async () => {
    expect(await call('measured')).toBe(332_833_500);
    expect(await lastLog('performance')).toMatchObject({
      level: 'info',
      request: { operation: 'a thousand squares', execution_time: expect.stringMatching(/^\d+(\.\d+)?ms$/) },
    });
  });
});

describe('the API client', () => {
  it('sends the guide’s headers, the key in place of its handle, and a body only when there is one [AC-01 AC-02 AC-06 AC-10..AC-20]', async () => {
    answer = { status: 201, body: { id: 7 } };
    expect(await call('api', 'createAccount', { domain: 'example.com' })).toEqual({
      status: 'success',
      data: { id: 7 },
      http_code: 201,
    });
    await call('api', 'suspendAccount', 'alice');
    await call('api', 'deleteAccount', 'alice');
    const headers = {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      'user-agent': 'PUQcloud-Module/1.0',
      accept: 'application/json',
    };
    expect(api.asked).toMatchObject([
      { method: 'POST', path: '/accounts', headers, body: { domain: 'example.com' } },
      { method: 'PUT', path: '/accounts/alice/suspend', headers },
      { method: 'DELETE', path: '/accounts/alice', headers },
    ]);
    expect(api.asked.slice(1).map(({ body }) => body)).toEqual([undefined, undefined]);
  });

  it('turns an error into {status, error, http_code} [AC-21]', async () => {
    answer = { status: 422, body: { message: 'No room' } };
    expect(await call('api', 'createAccount', {})).toEqual({
      status: 'error',
      error: expect.stringMatching(/422/),
      http_code: 422,
    });
    answer = 'hang up';
    expect(await call('api', 'createAccount', {})).toMatchObject({ status: 'error', http_code: 0 });
  });
});

describe('the ready-made rules', () => {
  const cases: readonly [rule: string, good: readonly unknown[], bad: readonly unknown[]][] = [
    [
      'domain',
      ['example.com', 'Sub-1.example.org', ' example.com '],
      ['', 'example', 'a b.com', '-a.com', null],
    ],
    ['username', ['abc', 'a_b-9', 'x'.repeat(20)], ['', 'ab', 'x'.repeat(21), 'a.b', 'a b']],
    ['password', ['Passw0rd', 'aB3aB3aB3'], ['', 'Pass0rd', 'password1', 'PASSWORD1', 'Password']],
    ['ip', ['192.0.2.1', '2001:db8::1', '', null, undefined], ['192.0.2.256', 'host', 'x']],
    ['plan', ['basic', 'premium', 'enterprise'], ['', 'gold', null, undefined]],
    ['disk_space', [1, 1000, '25'], [0, 1001, 'much', 1.5, '']],
    ['required', ['x', 'false'], ['', '   ', null, undefined]],
    ['nullable', ['', null, undefined, 'x'], []],
    ['string', ['x'.repeat(10)], ['x'.repeat(11), 5, ['x']]],
    ['integer', [1, 5, '3', ' 4 ', '+2'], [0, 6, '2.5', 'x', '', '0x3', '3e0', '3.0', 2.5, true, null]],
    ['email', ['a@example.com'], ['', 'a@', 'example.com', 'a b@example.com']],
    ['boolean', [true, false, 1, 0, '1', '0', 'true', 'on', ''], ['maybe', 2, null]],
    ['regex', ['BT0123ABCD'], ['BT0123abcd', 'BT', '']],
  ];
  it.each(cases)(
    '%s takes what the guide’s takes and refuses the rest with a text [VR-01..VR-16]',
    async (rule, good, bad) => {
      for (const value of good)
        expect(await call('check', rule, value), `${rule}: ${String(value)}`).toMatchObject({
          status: 'success',
        });
      for (const value of bad)
        expect(await call('check', rule, value), `${rule}: ${String(value)}`).toMatchObject({
          status: 'error',
          code: 422,
          errors: { value: expect.arrayContaining([expect.stringMatching(/\w/)]) },
        });
    },
  );

  it('give an integer as a number, an absent text as none, and trimmed texts [VR-08..VR-10]', async () => {
    const value = async (rule: string, given: unknown) =>
      Object(await call('check', rule, given)).data?.value;
    expect(await value('integer', '3')).toBe(3);
    expect(await value('nullable', '')).toBeUndefined();
    expect(await value('required', ' x ')).toBe('x');
    expect(await value('boolean', 'on')).toBe(true);
    expect(await value('boolean', '0')).toBe(false);
  });
});

it.each([
  ['integer', 'x', 'A whole number is expected.'],
  ['integer', '', 'This field is required.'],
  ['integer', null, 'This field is required.'],
  ['integer', true, 'A whole number is expected.'],
  ['integer', 9, 'At most 5.'],
  ['string', 5, 'A text is expected.'],
  ['required', null, 'This field is required.'],
  ['boolean', null, 'Yes or no is expected: true, false, 1, 0, on or off.'],
])('%s says of %j one thing, in words for people: %s (A31)', async (rule, value, message) => {
  expect(await call('check', rule, value)).toMatchObject({ errors: { value: [message] } });
});

describe('the standard error', () => {
  it('has a message for people, errors by field and a code, and the form shows them [EP-01 EP-02]', async () => {
    const errors = { plan: [expect.stringContaining('basic, premium, enterprise')] };
    expect(await call('standardError')).toEqual({
      status: 'error',
      message: 'Please look at the plan again',
      errors,
      code: 422,
    });
    expect(await host().a.saveProduct(NAME, 'Refused', { refuse: true })).toMatchObject({
      ok: false,
      errors,
      message: 'Please look at the plan again',
    });
  });
});

describe('the database', () => {
  it('does several operations in a transaction, all or none [PF-05 PF-06]', async () => {
    await call('createAll', { name: 'whole', permission: 'view' });
    await expect(call('createAll', { name: 'half', permission: null })).rejects.toThrow(/permission|null/);
    expect(await call('users')).toEqual(['whole']);
  });

  it('reads large sets in chunks [PF-09]', async () => {
    await call('addUsers', 250);
    expect(await call('countUsersInChunks')).toBe(251);
  });

  it('goes through all services a chunk at a time, each once [PF-08 SM-11]', async () => {
    const { a } = host();
    await ordered();
    const rows = await a.panel.db
      .selectFrom('services')
      .select('id')
      .where('installation_id', '=', await a.installationId(NAME))
      .execute();
    const processed = await call('processAll', 2);
    expect(rows.length).toBeGreaterThan(2);
    expect(Array.isArray(processed) && processed.map(String).toSorted()).toEqual(
      rows.map(({ id }) => id).toSorted(),
    );
  });
});

describe('a model', () => {
  it('fills only what is fillable, keeps a password encrypted, reads it as it was, and finds the active one [DM-01..DM-05]', async () => {
    const { a } = host();
    const values = {
      name: 'one',
      host: 'one.example',
      username: 'root',
      password: 'Passw0rd',
      api_key: 'k1',
      uuid: 'x',
    };
    expect(await call('serverSaved', values)).toMatchObject({
      name: 'one',
      host: 'one.example',
      password: 'Passw0rd',
      api_key: 'k1',
      active: true,
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const { schema_name: schema } = await a.installation(NAME);
    const { connectHost } = await import('../../src/database/connect.ts');
    await using superuser = connectHost(host().ground.modules.admin, { max: 1 });
    const [stored] = await superuser.sql`select * from ${superuser.sql(schema ?? '')}.cloud_servers`;
    expect(JSON.stringify(stored)).not.toContain('Passw0rd');
    expect(stored?.['password']).toEqual(expect.any(String));
  });
});

describe('helpers', () => {
  it('are there: passwords, random numbers, the time, the user, and JavaScript for PHP’s own [HF-04..HF-06 HF-10 HF-11]', async () => {
    expect(await call('helpers')).toEqual({
      password: expect.stringMatching(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{10}$/),
      number: expect.any(Number),
      now: expect.stringMatching(/Z$/),
      user: null,
      rounded: 2,
      upper: 'AB',
      seconds: expect.any(Number),
      json: { a: [1] },
    });
  });
});
