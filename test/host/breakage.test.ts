/**
 * Broken on purpose: a module that loops, eats memory, throws or floods, and a cloud that fails. Each time the job fails with its
 * reason, this process is the same, and the other tenant, who has the same module, is served meanwhile.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import { allowPorts, PASSWORD, useTestHost } from '../support/host.ts';
import { fixtureFolder } from '../support/modules.ts';
import type { Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const NAME = 'Troublemaker';
const ORIGIN = 'http://127.0.0.1:4300';

const host = useTestHost({ worker: true });
let cookie = '';
let productOfB = '';

/** Signs the tenant's admin in, as a browser would. @returns the cookie header */
async function signIn(tenant: Tenant): Promise<string> {
  const response = await host().bulkhead.app.request(`${ORIGIN}/t/${tenant.slug}/admin/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ email: `admin@${tenant.slug}.example`, password: PASSWORD }),
    headers: { origin: ORIGIN, 'sec-fetch-site': 'same-origin' },
  });
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}

beforeAll(async () => {
  await host().publishFolder(fixtureFolder(`Product/${NAME}`));
  const { a, b } = host();
  await a.installed(NAME);
  await b.installed(NAME);
  productOfB = await b.product(NAME, 'Peaceful', { mischief: 'none' });
  cookie = await signIn(b);
});

/** The other tenant's page, and a form of their own module, which runs in their own process. */
async function servesTheOther(): Promise<void> {
  const { b, bulkhead } = host();
  const page = await bulkhead.app.request(`${ORIGIN}/t/${b.slug}/admin/services`, { headers: { cookie } });
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('Services');
  expect(await b.panel.billing.orderForm(productOfB)).toMatchObject({ fields: [] });
}

describe('a job that', () => {
  it.each([
    ['throws', 'throw', /^createJob: MODULE_ERROR: It was meant to fail\.$/],
    ['loops for ever', 'loop', /^createJob: CPU_LIMIT: /],
    // On a machine under load its time may be up before its memory is.
    ['eats memory', 'memory', /^createJob: (MEMORY_LIMIT|CPU_LIMIT): /],
    ['cannot be interrupted', 'native', /^createJob: (CPU_LIMIT|TIMEOUT): /],
  ])('%s fails with the reason while the other tenant is served', async (_what, mischief, reason) => {
    const { a } = host();
    const { pid } = process;
    const serviceId = await a.order(await a.product(NAME, `Trouble: ${mischief}`, { mischief }));
    await until('it to run', async () => (await a.tasks(serviceId))[0]?.started_at != null);
    await servesTheOther();
    const service = await a.reached(serviceId, 'failed', 'pending');
    expect(service.activated_at).toBeNull();
    expect(await a.failure(serviceId)).toMatch(reason);
    expect(process.pid).toBe(pid);
    await servesTheOther();
    expect((await a.tasks(serviceId)).map(({ attempts }) => attempts)).toEqual([1]);
  });

  it('floods the log is cut to its lines a second, with one line that says so', async () => {
    const { a } = host();
    const serviceId = await a.order(await a.product(NAME, 'Trouble: flood', { mischief: 'flood' }));
    await a.reached(serviceId, 'completed', 'active');
    await a.bulkhead.recorder.flush();
    const rows = await a.panel.db
      .selectFrom('logs')
      .select(['source', 'action'])
      .where('service_id', '=', serviceId)
      .execute();
    const lines = rows.filter(({ source }) => source === 'module');
    const notes = rows.filter(({ action }) => action === 'log flood');
    expect(lines.length).toBeGreaterThanOrEqual(100);
    expect(lines.length).toBeLessThanOrEqual(200);
    expect(notes.length).toBeGreaterThanOrEqual(1);
    expect(notes.length).toBeLessThanOrEqual(2);
  });

  it('behaved badly keeps no later job of the same module from being done', async () => {
    const { a } = host();
    const serviceId = await a.order(await a.product(NAME, 'No trouble', { mischief: 'none' }));
    expect(await a.reached(serviceId, 'completed', 'active')).toMatchObject({ status: 'active' });
  });

  it('failed is counted, and killed where it had to be', async () => {
    const { a } = host();
    await a.bulkhead.recorder.flush();
    const sums = await a.panel.db
      .selectFrom('usage_minutes')
      .select(({ fn }) => [fn.sum<number>('errors').as('errors'), fn.sum<number>('killed').as('killed')])
      .where('installation_id', '=', await a.installationId(NAME))
      .executeTakeFirstOrThrow();
    expect(sums.errors).toBeGreaterThanOrEqual(4);
    expect(sums.killed).toBeGreaterThanOrEqual(1);
    expect(await a.logs(NAME)).toContainEqual(expect.stringMatching(/^host error createJob: CPU_LIMIT/));
  });
});

describe('a cloud that answers 500', () => {
  const CLOUDY = 'Cloudy';
  const MEMBERS = `
    async create() {
      await this.service.setProvisionStatus('processing');
      await this.tasks.add({ method: 'createJob', tries: 3, backoff: 1, maxExceptions: 3 });
      return { status: 'success' };
    }
    async createJob() {
      const api = this.http.client({
        baseURL: this.config('api_url'),
        headers: { authorization: 'Bearer ' + this.secret('api_key') },
      });
      const id = await this.step('create', async () => {
        const droplet = { name: 'x', region: 'us-east-1', size: 's-1vcpu-1gb', image: 'debian-12' };
        return (await api.post('/v2/droplets', { json: droplet })).data.droplet.id;
      });
      await this.service.setProvisionData({ id });
    }`;
  const POST = { method: 'POST', path: '/v2/droplets' };
  let cloud: FakeCloud;

  beforeAll(async () => {
    cloud = await spawnFakeCloud({ provisioningMs: 0, actionMs: 0 });
    await allowPorts(host().a, [Number(new URL(cloud.cloud).port)]);
    await host().publish({
      name: CLOUDY,
      members: MEMBERS,
      manifest: {
        settings: [
          { key: 'api_url', type: 'text', title: 'Address' },
          { key: 'api_key', type: 'secret', title: 'Key' },
        ],
        permissions: {
          http: { hosts: ['{settings.api_url}'], methods: ['GET', 'POST'] },
          secrets: { api_key: { title: 'Key', hosts: ['{settings.api_url}'] } },
          tasks: { concurrency: 2, per_minute: 60 },
        },
      },
    });
    await host().a.installed(CLOUDY, { api_url: cloud.cloud, api_key: cloud.cloudToken });
    await host().a.product(CLOUDY, 'Cloudy');
  });
  afterAll(async () => cloud.stop());

  async function attempts(serviceId: string) {
    const [task] = await host().a.tasks(serviceId);
    return host()
      .bulkhead.panel.db.selectFrom('task_attempts')
      .selectAll()
      .where('task_id', '=', task?.id ?? '')
      .orderBy('number')
      .execute();
  }

  it('is asked again after the backoff, and what it then makes is made once', async () => {
    const { a } = host();
    await cloud.control.addFault({ match: POST, kind: 'status', status: 500, times: 1 });
    const serviceId = await a.order(await a.productNamed('Cloudy'));
    await a.reached(serviceId, 'completed', 'active');
    const [first, second] = await attempts(serviceId);
    expect(first).toMatchObject({ outcome: 'error' });
    expect(second).toMatchObject({ outcome: 'completed' });
    const waitedMs = (second?.started_at.getTime() ?? 0) - (first?.ended_at?.getTime() ?? 0);
    expect(waitedMs).toBeGreaterThanOrEqual(900);
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });
});
