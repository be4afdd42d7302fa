/** Services by the hour: billed for the hours they were active, once a day and when that stops; no hour twice, none lost. */
import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cancelService } from '../../src/billing/cancellation.ts';
import { changePrice } from '../../src/billing/change-price.ts';
import { bookPayment } from '../../src/billing/payments.ts';
import { billPeriods } from '../../src/billing/recurring.ts';
import { lockService, type ProvisionStatus, setProvisionStatus } from '../../src/billing/service-status.ts';
import { readBillingSettings, saveBillingSettings } from '../../src/billing/settings.ts';
import { useTestHost } from '../support/host.ts';

const host = useTestHost({ worker: true });
const NAME = 'Hourly';
const HOUR_MS = 3_600_000;

beforeAll(async () => {
  await host().publish({
    name: NAME,
    members: `
      saveServiceData(data) { return { status: 'success', data }; }
      createJob() { return { status: 'success' }; }
      terminationJob() { return { status: 'success' }; }`,
    manifest: { permissions: { tasks: { concurrency: 4, per_minute: 1_000 } } },
  });
  await host().a.installed(NAME);
});

/** Nothing of one test is due in another's time. */
beforeEach(async () => {
  await host().a.panel.db.updateTable('services').set({ billed_until: null, cancel_at: null }).execute();
});

async function product(amountMinor: number, setupMinor = 0): Promise<string> {
  const { a } = host();
  const saved = await a.panel.catalog.saveProduct({
    tenantId: a.id,
    installationId: await a.installationId(NAME),
    productId: null,
    name: `Hourly ${randomBytes(4).toString('hex')}`,
    description: '',
    active: true,
    data: {},
    prices: [{ period: 'hourly', setupMinor, amountMinor }],
    accountId: a.adminId,
  });
  if (!saved.ok) throw new Error(JSON.stringify(saved));
  return saved.productId;
}

async function order(productId: string) {
  const { a } = host();
  const ordered = await a.panel.billing.order({
    clientId: a.clientId,
    accountId: a.clientId,
    productId,
    period: 'hourly',
    data: {},
  });
  if (!ordered.ok) throw new Error(JSON.stringify(ordered));
  return ordered;
}

/** A service at 3 an hour, and what the clock shows so many hours after it became active. */
async function active() {
  const { serviceId } = await order(await product(3));
  const service = await host().a.reached(serviceId, 'completed', 'active');
  const start = service.activated_at?.getTime() ?? Number.NaN;
  return { serviceId, hour: (hours: number): Date => new Date(start + hours * HOUR_MS) };
}

async function lines(serviceId: string) {
  return host()
    .a.panel.db.selectFrom('invoice_items as item')
    .innerJoin('invoices as invoice', 'invoice.id', 'item.invoice_id')
    .select([
      'item.kind',
      'item.quantity',
      'item.amount_minor',
      'item.period_from',
      'item.period_to',
      'invoice.status',
      'invoice.id as invoice_id',
    ])
    .where('item.service_id', '=', serviceId)
    .orderBy('item.period_from')
    .execute();
}

const line = (quantity: number, from: Date, to: Date, amountMinor = quantity * 3) => ({
  kind: 'use',
  quantity,
  amount_minor: amountMinor,
  period_from: from,
  period_to: to,
});
const round = async (now: Date): Promise<number> => billPeriods(host().a.panel.db, now);
const becomes = async (serviceId: string, status: ProvisionStatus, at: Date): Promise<void> =>
  setProvisionStatus(host().a.panel.db, serviceId, status, 'host', at);

describe('an order by the hour', () => {
  it('costs nothing ahead, and does not wait where priced orders wait for their payment', async () => {
    const { a } = host();
    const before = await readBillingSettings(a.panel.db, a.id);
    await saveBillingSettings(a.panel.db, a.id, { ...before, pay_first: true });
    const { serviceId, invoiceId } = await order(await product(3));
    const setup = await order(await product(3, 250));
    await saveBillingSettings(a.panel.db, a.id, before);
    expect(invoiceId).toBeNull();
    const service = await a.reached(serviceId, 'completed', 'active');
    expect(service.billed_until).toEqual(service.activated_at);
    expect(await lines(serviceId)).toEqual([]);
    expect(await lines(setup.serviceId)).toMatchObject([{ kind: 'setup', amount_minor: 250 }]);
  });

  it('with a set-up fee asks for that alone when it becomes active', async () => {
    const { serviceId } = await order(await product(3, 250));
    const service = await host().a.reached(serviceId, 'completed', 'active');
    expect(await lines(serviceId)).toMatchObject([{ kind: 'setup', amount_minor: 250, period_from: null }]);
    expect(service.billed_until).toEqual(service.activated_at);
  });
});

describe('the hours that were used', () => {
  it('of two days are billed once a day, on one line, and not before a day has passed', async () => {
    const { serviceId, hour } = await active();
    expect(await round(hour(23.9))).toBe(0);
    await round(hour(24.5));
    await round(hour(47.9));
    await round(hour(48));
    expect(await lines(serviceId)).toMatchObject([line(24, hour(0), hour(24)), line(24, hour(24), hour(48))]);
  });

  it('are billed once, however many processes look and however often', async () => {
    const { serviceId, hour } = await active();
    await Promise.all(Array.from({ length: 8 }, async () => round(hour(25.5))));
    await round(hour(25.5));
    await round(hour(27.5));
    expect(await lines(serviceId)).toMatchObject([line(25, hour(0), hour(25))]);
  });

  it('of days that no round saw are caught up with on one line', async () => {
    const { serviceId, hour } = await active();
    await round(hour(100.2));
    expect(await lines(serviceId)).toMatchObject([line(100, hour(0), hour(100))]);
  });

  it('are still to be billed when their invoice could not be made', async () => {
    const { a } = host();
    const { serviceId, hour } = await active();
    const costs = async (amount: number): Promise<unknown> =>
      a.panel.db.updateTable('services').set({ amount_minor: amount }).where('id', '=', serviceId).execute();
    await costs(999_999_999_999);
    await expect(round(hour(24))).rejects.toThrow(/whole minor units/);
    expect(await a.service(serviceId)).toMatchObject({ billed_until: hour(0), periods_billed: 0 });
    await costs(3);
    await round(hour(24));
    expect(await lines(serviceId)).toMatchObject([line(24, hour(0), hour(24))]);
  });

  it('that were paid tell the module of no renewal', async () => {
    const { a } = host();
    const { serviceId, hour } = await active();
    await round(hour(24));
    await round(hour(48));
    for (const { invoice_id: invoiceId, amount_minor: amountMinor } of await lines(serviceId))
      await bookPayment(a.panel.db, {
        instanceId: null,
        tenantId: a.id,
        invoiceId,
        transactionId: randomBytes(8).toString('hex'),
        amountMinor,
        currency: 'USD',
      });
    expect((await lines(serviceId)).map(({ status }) => status)).toEqual(['paid', 'paid']);
    const told = a.panel.db.selectFrom('service_renewals').selectAll().where('service_id', '=', serviceId);
    expect(await told.execute()).toEqual([]);
  });
});

describe('a service by the hour that ends', () => {
  it('in the middle of a day is billed to its last begun hour, and for nothing after it', async () => {
    const { serviceId, hour } = await active();
    await round(hour(24));
    await becomes(serviceId, 'terminated', hour(30.2));
    await round(hour(90));
    expect(await lines(serviceId)).toMatchObject([
      { ...line(24, hour(0), hour(24)), status: 'unpaid' },
      { ...line(7, hour(24), hour(31)), status: 'unpaid' },
    ]);
    expect(await host().a.service(serviceId)).toMatchObject({ billed_until: null });
  });

  it('is cancelled at once, and not billed for what its module takes to end it', async () => {
    const { a } = host();
    const { serviceId, hour } = await active();
    const end = await a.panel.db
      .transaction()
      .execute(async (trx) =>
        cancelService(trx, { tenantId: a.id, serviceId, actor: 'client', now: hour(5.5) }),
      );
    expect(end).toEqual(hour(5.5));
    await round(hour(29));
    await becomes(serviceId, 'terminated', hour(40));
    expect(await lines(serviceId)).toMatchObject([line(5, hour(0), hour(5)), line(1, hour(5), hour(6))]);
  });
});

describe('a service by the hour that is suspended', () => {
  it('is billed to its last begun hour then, and its hours count on from when it resumes', async () => {
    const { serviceId, hour } = await active();
    await becomes(serviceId, 'suspended', hour(2.5));
    await round(hour(60));
    await becomes(serviceId, 'completed', hour(70));
    await round(hour(94));
    expect(await lines(serviceId)).toMatchObject([line(3, hour(0), hour(3)), line(24, hour(70), hour(94))]);
  });

  it('and resumes within an hour that is billed pays that hour once', async () => {
    const { serviceId, hour } = await active();
    await becomes(serviceId, 'suspended', hour(2.25));
    await becomes(serviceId, 'completed', hour(2.5));
    await becomes(serviceId, 'suspended', hour(2.75));
    await becomes(serviceId, 'completed', hour(2.9));
    await becomes(serviceId, 'terminated', hour(3.5));
    expect(await lines(serviceId)).toMatchObject([line(3, hour(0), hour(3)), line(1, hour(3), hour(4))]);
  });

  it('and ends so is billed for no hour of its suspension', async () => {
    const { serviceId, hour } = await active();
    await becomes(serviceId, 'suspended', hour(1.5));
    await becomes(serviceId, 'terminated', hour(9));
    expect(await lines(serviceId)).toMatchObject([line(2, hour(0), hour(2))]);
  });
});

describe('a service by the hour whose package changes', () => {
  it('pays the hours that began before at the old price, and those after at the new one', async () => {
    const { a } = host();
    const { serviceId, hour } = await active();
    const dearer = await product(10);
    await a.panel.db
      .updateTable('services')
      .set({ product_id: dearer })
      .where('id', '=', serviceId)
      .execute();
    await a.panel.db
      .transaction()
      .execute(async (trx) => changePrice(trx, await lockService(trx, serviceId), hour(5.5)));
    await round(hour(30));
    expect(await lines(serviceId)).toMatchObject([
      line(6, hour(0), hour(6)),
      line(24, hour(6), hour(30), 240),
    ]);
  });
});
