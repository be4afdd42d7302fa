/** renew/renewJob: a module is told of each period that was paid after the first, once, and of nothing else. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { bookPayment } from '../../src/billing/payments.ts';
import { billPeriods } from '../../src/billing/recurring.ts';
import { useTestHost } from '../support/host.ts';
import { refusal, type Values } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const DAY_MS = 86_400_000;
const LIFE = `
  saveServiceData(data) { return { status: 'success', data }; }
  createJob() { return { status: 'success' }; }
  suspendJob() { return { status: 'success' }; }
  unsuspendJob() { return { status: 'success' }; }
  terminationJob() { return { status: 'success' }; }
  change_packageJob() { return { status: 'success' }; }
`;
const manifest = { permissions: { tasks: { concurrency: 4, per_minute: 1_000 } } };

beforeAll(async () => {
  const { a } = host();
  await host().publish({
    name: 'Renewing',
    members: `${LIFE}
  renewJob(data) {
    this.logInfo('renewed', data);
    return this.product_data.fails === true ? { status: 'error', message: 'No licence left.' } : { status: 'success' };
  }`,
    manifest,
  });
  await host().publish({ name: 'Plain', members: LIFE, manifest });
  await host().publish({
    name: 'Unwilling',
    members: `${LIFE}\n  renew() { return { status: 'error', message: 'Not now.' }; }`,
    manifest,
  });
  for (const name of ['Renewing', 'Plain', 'Unwilling']) await a.installed(name);
});

async function active(module: string, data: Values = {}): Promise<string> {
  const { a } = host();
  const id = await a.order(await a.product(module, `${module} ${randomBytes(4).toString('hex')}`, data));
  await a.reached(id, 'completed', 'active');
  return id;
}

/** Makes the invoice of the next period and pays it. @returns the period */
async function payNext(serviceId: string): Promise<{ from: Date; to: Date }> {
  const { a } = host();
  const { db } = a.panel;
  const { billed_until: until } = await a.service(serviceId);
  await billPeriods(db, new Date((until?.getTime() ?? 0) - DAY_MS));
  const item = await db
    .selectFrom('invoice_items as item')
    .innerJoin('invoices as invoice', 'invoice.id', 'item.invoice_id')
    .select(['invoice.id', 'invoice.total_minor', 'item.period_from', 'item.period_to'])
    .where('item.service_id', '=', serviceId)
    .where('item.period_from', '=', until)
    .executeTakeFirstOrThrow();
  await bookPayment(db, {
    instanceId: null,
    tenantId: a.id,
    invoiceId: item.id,
    transactionId: randomBytes(8).toString('hex'),
    amountMinor: item.total_minor,
    currency: 'USD',
  });
  return { from: item.period_from ?? new Date(0), to: item.period_to ?? new Date(0) };
}

async function renewals(serviceId: string) {
  return (await host().a.tasks(serviceId)).filter(({ method }) => method === 'renewJob');
}

async function open(serviceId: string) {
  return host()
    .a.panel.db.selectFrom('service_renewals')
    .selectAll()
    .where('service_id', '=', serviceId)
    .where('told_at', 'is', null)
    .execute();
}

describe('renew', () => {
  it('is queued once for each next period that was paid, with the period, and leaves the service as it was', async () => {
    const { a } = host();
    const id = await active('Renewing');
    expect(await renewals(id)).toEqual([]);
    const first = await payNext(id);
    await a.ended(id, 'renewJob');
    const second = await payNext(id);
    await until('two renewals', async () => (await renewals(id)).length === 2);
    await a.reached(id, 'completed', 'active');
    await host().bulkhead.billing.prompt();
    expect((await renewals(id)).map(({ status, params }) => ({ status, params }))).toEqual(
      [first, second].map(({ from, to }) => ({
        status: 'completed',
        params: { period_from: from.toISOString(), period_to: to.toISOString() },
      })),
    );
    const events = await a.panel.db
      .selectFrom('events')
      .select('name')
      .where('tenant_id', '=', a.id)
      .where('name', 'like', 'ServiceRenew%')
      .orderBy('at')
      .execute();
    expect(events.map(({ name }) => name)).toEqual([
      'ServiceRenewing',
      'ServiceRenewed',
      'ServiceRenewing',
      'ServiceRenewed',
    ]);
  });

  it('is nothing for a module without it', async () => {
    const { a } = host();
    const id = await active('Plain');
    await payNext(id);
    await until('nothing to tell', async () => (await open(id)).length === 0);
    expect((await a.tasks(id)).map(({ method }) => method)).toEqual(['createJob']);
    expect((await a.service(id)).host_acts_at).toBeNull();
  });

  it('that fails leaves a paid service running, with the reason in its task', async () => {
    const { a } = host();
    const id = await active('Renewing', { fails: true });
    await payNext(id);
    const task = await a.ended(id, 'renewJob');
    expect(task.error).toMatchObject({ message: 'No licence left.' });
    await a.reached(id, 'completed', 'active');
  });

  it('that the module refuses stays to be told', async () => {
    const { a } = host();
    const id = await active('Unwilling');
    await payNext(id);
    await until('a try', async () => (await open(id))[0]?.tries === 1);
    expect(await a.service(id)).toMatchObject({ status: 'active', provision_status: 'completed' });
  });

  it('cannot be pressed where nothing was paid', async () => {
    const id = await active('Renewing');
    expect(await refusal(() => host().a.action(id, 'renew'))).toMatch(/CONFLICT.*No paid period/);
  });
});
