/** Services and their money: when one is billed, what an order that waits for its payment does, what happens when nobody pays. */
import { randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cancelService, keepService } from '../../src/billing/cancellation.ts';
import { creditBalance } from '../../src/billing/credit.ts';
import { bookPayment } from '../../src/billing/payments.ts';
import { billPeriods } from '../../src/billing/recurring.ts';
import { setProvisionStatus } from '../../src/billing/service-status.ts';
import { readBillingSettings, saveBillingSettings } from '../../src/billing/settings.ts';
import { useTestHost } from '../support/host.ts';
import type { Values } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const NAME = 'Billed';
const DAY_MS = 86_400_000;
const MEMBERS = `
  saveServiceData(data) { return { status: 'success', data }; }
  fails() { return this.product_data.fails === true ? { status: 'error', message: 'No room.' } : { status: 'success' }; }
  createJob() { return this.fails(); }
  suspendJob() { return { status: 'success' }; }
  unsuspendJob() { return { status: 'success' }; }
  terminationJob() { return { status: 'success' }; }
  change_packageJob() { return this.fails(); }
`;

beforeAll(async () => {
  await host().publish({
    name: NAME,
    members: MEMBERS,
    manifest: { permissions: { tasks: { concurrency: 4, per_minute: 1_000 } } },
  });
  await host().a.installed(NAME);
});

async function settings(changed: Partial<Awaited<ReturnType<typeof readBillingSettings>>>): Promise<void> {
  const { a } = host();
  await saveBillingSettings(a.panel.db, a.id, {
    ...(await readBillingSettings(a.panel.db, a.id)),
    ...changed,
  });
}

/** Nothing of one test is due in another's time, and no credit of one pays another's invoice. */
beforeEach(async () => {
  const { a } = host();
  await settings({
    pay_first: false,
    terminate_after_days: null,
    orders_per_hour: 20,
    auto_credit: false,
  });
  await a.panel.db
    .updateTable('services')
    .set({ billed_until: null, overdue_since: null, cancel_at: null })
    .execute();
  await a.panel.db
    .updateTable('invoices')
    .set({ status: 'cancelled' })
    .where('status', 'in', ['unpaid', 'overdue'])
    .execute();
});

interface Priced {
  readonly amountMinor?: number;
  readonly setupMinor?: number;
  readonly period?: string;
  readonly data?: Values;
}

async function product(priced: Priced = {}, module = NAME): Promise<string> {
  const { a } = host();
  const saved = await a.panel.catalog.saveProduct({
    tenantId: a.id,
    installationId: await a.installationId(module),
    productId: null,
    name: `Billed ${randomBytes(4).toString('hex')}`,
    description: '',
    active: true,
    data: priced.data ?? {},
    prices: [
      {
        period: priced.period ?? 'monthly',
        setupMinor: priced.setupMinor ?? 0,
        amountMinor: priced.amountMinor ?? 1_000,
      },
    ],
    accountId: a.adminId,
  });
  if (!saved.ok) throw new Error(JSON.stringify(saved));
  return saved.productId;
}

async function order(productId: string, how: { token?: string; period?: string } = {}) {
  const { a } = host();
  const ordered = await a.panel.billing.order({
    clientId: a.clientId,
    accountId: a.clientId,
    productId,
    period: how.period ?? 'monthly',
    data: {},
    ...(how.token === undefined ? {} : { token: how.token }),
  });
  if (!ordered.ok) throw new Error(JSON.stringify(ordered));
  return ordered;
}

async function active(priced: Priced = {}): Promise<string> {
  const { serviceId } = await order(
    await product(priced),
    priced.period === undefined ? {} : { period: priced.period },
  );
  await host().a.reached(serviceId, 'completed', 'active');
  return serviceId;
}

/** Invoices that ask for something of a service, oldest first, with their items. */
async function invoicesOf(serviceId: string) {
  const { db } = host().a.panel;
  const ids = await db
    .selectFrom('invoice_items')
    .select('invoice_id')
    .distinct()
    .where('service_id', '=', serviceId)
    .execute();
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('invoices')
    .selectAll()
    .where(
      'id',
      'in',
      ids.map(({ invoice_id: id }) => id),
    )
    .orderBy('number')
    .execute();
  return Promise.all(
    rows.map(async (invoice) => ({
      ...invoice,
      items: await db
        .selectFrom('invoice_items')
        .selectAll()
        .where('invoice_id', '=', invoice.id)
        .orderBy('period_from')
        .orderBy('kind', 'desc')
        .execute(),
    })),
  );
}

async function pay(invoiceId: string | null): Promise<void> {
  const { a } = host();
  const invoice = await a.panel.db
    .selectFrom('invoices')
    .selectAll()
    .where('id', '=', invoiceId ?? '')
    .executeTakeFirstOrThrow();
  await bookPayment(a.panel.db, {
    instanceId: randomUUID(),
    tenantId: a.id,
    invoiceId: invoice.id,
    transactionId: 'pi_1',
    amountMinor: invoice.total_minor - invoice.paid_minor,
    currency: 'USD',
  });
}

const later = (days: number): Date => new Date(Date.now() + days * DAY_MS);

describe('a service', () => {
  it('is billed when it first becomes active: setup and the first period from then on', async () => {
    const { a } = host();
    const serviceId = await active({ setupMinor: 250 });
    const { activated_at: activated, billed_until: until } = await a.service(serviceId);
    expect(await invoicesOf(serviceId)).toMatchObject([
      {
        status: 'unpaid',
        total_minor: 1_250,
        items: [
          { kind: 'period', amount_minor: 1_000, period_from: activated, period_to: until },
          { kind: 'setup', amount_minor: 250, period_from: null },
        ],
      },
    ]);
  });

  it('that was suspended and resumed is not billed for it again', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    await a.action(serviceId, 'unsuspend');
    await a.reached(serviceId, 'completed', 'active');
    expect(await invoicesOf(serviceId)).toHaveLength(1);
  });

  it('whose create failed is not billed', async () => {
    const { a } = host();
    const { serviceId } = await order(await product({ data: { fails: true } }));
    await a.reached(serviceId, 'failed', 'pending');
    expect(await invoicesOf(serviceId)).toEqual([]);
  });

  it('that is free has no invoice and waits for nothing', async () => {
    const { a } = host();
    await settings({ pay_first: true });
    const { serviceId, invoiceId } = await order(await product({ amountMinor: 0 }));
    expect(invoiceId).toBeNull();
    await a.reached(serviceId, 'completed', 'active');
    expect(await invoicesOf(serviceId)).toEqual([]);
  });
});

describe('an order that waits for its payment', () => {
  beforeEach(async () => settings({ pay_first: true }));

  it('is created when it is paid, once, and its period begins when it runs', async () => {
    const { a } = host();
    const { serviceId, invoiceId } = await order(await product({ setupMinor: 500 }));
    await host().bulkhead.billing.round(new Date());
    expect(await a.tasks(serviceId)).toEqual([]);
    await pay(invoiceId);
    await Promise.all(Array.from({ length: 5 }, () => host().bulkhead.billing.prompt()));
    const service = await a.reached(serviceId, 'completed', 'active');
    expect((await a.tasks(serviceId)).map(({ method }) => method)).toEqual(['createJob']);
    expect(await invoicesOf(serviceId)).toMatchObject([
      {
        id: invoiceId,
        status: 'paid',
        total_minor: 1_500,
        items: [{ period_from: service.activated_at }, {}],
      },
    ]);
  });

  it('that cannot be made gives the money back as credit, which pays when it is made after all', async () => {
    const { a } = host();
    const productId = await product({ data: { fails: true } });
    const { serviceId, invoiceId } = await order(productId);
    const before = await creditBalance(a.panel.db, a.id, a.clientId);
    await pay(invoiceId);
    await a.reached(serviceId, 'failed', 'pending');
    expect(await invoicesOf(serviceId)).toMatchObject([{ status: 'refunded', refunded_minor: 1_000 }]);
    expect(await creditBalance(a.panel.db, a.id, a.clientId)).toBe(before + 1_000);
    await a.panel.db.updateTable('products').set({ data: {} }).where('id', '=', productId).execute();
    const [task] = await a.tasks(serviceId);
    await a.panel.jobs.retry(task?.id ?? '', a.adminId);
    await until('it runs', async () => (await a.service(serviceId)).status === 'active');
    expect(await invoicesOf(serviceId)).toMatchObject([
      { status: 'refunded' },
      { status: 'paid', total_minor: 1_000 },
    ]);
    expect(await creditBalance(a.panel.db, a.id, a.clientId)).toBe(before);
  });

  it('can be cancelled before it is paid, and then asks for nothing', async () => {
    const { a } = host();
    const { serviceId, invoiceId } = await order(await product());
    await a.panel.db
      .transaction()
      .execute(async (trx) =>
        cancelService(trx, { tenantId: a.id, serviceId, actor: 'client', now: new Date() }),
      );
    expect(await a.service(serviceId)).toMatchObject({ status: 'cancelled' });
    expect(await invoicesOf(serviceId)).toMatchObject([{ id: invoiceId, status: 'cancelled' }]);
  });

  it('sent twice by one form is one order; more than so many an hour are refused', async () => {
    const productId = await product();
    const token = randomUUID();
    const sent = await Promise.all(Array.from({ length: 5 }, () => order(productId, { token })));
    expect(new Set(sent.map(({ serviceId }) => serviceId)).size).toBe(1);
    expect(new Set(sent.map(({ invoiceId }) => invoiceId)).size).toBe(1);
    await settings({ orders_per_hour: 1 });
    await expect(order(productId, { token: randomUUID() })).rejects.toThrow(/wait before you order again/);
    await expect(order(productId, { token })).resolves.toMatchObject({ serviceId: sent[0]?.serviceId });
  });
});

describe('recurring invoices', () => {
  it('are made before the period begins, once, however many processes look', async () => {
    const { a } = host();
    const serviceId = await active();
    const { billed_until: first } = await a.service(serviceId);
    const eightDaysBefore = new Date((first?.getTime() ?? 0) - 8 * DAY_MS);
    await billPeriods(a.panel.db, eightDaysBefore);
    expect(await invoicesOf(serviceId)).toHaveLength(1);
    const sixDaysBefore = new Date((first?.getTime() ?? 0) - 6 * DAY_MS);
    await Promise.all(Array.from({ length: 8 }, () => billPeriods(a.panel.db, sixDaysBefore)));
    const [, second, ...others] = await invoicesOf(serviceId);
    expect(others).toEqual([]);
    expect(second).toMatchObject({
      due_at: first,
      total_minor: 1_000,
      items: [{ kind: 'period', period_from: first }],
    });
  });

  it('catch up with what was missed, in one invoice', async () => {
    const { a } = host();
    const serviceId = await active();
    await billPeriods(a.panel.db, later(95));
    const [, second, ...others] = await invoicesOf(serviceId);
    expect(others).toEqual([]);
    expect(second?.items).toHaveLength(3);
    expect(second?.items.map(({ period_from: from }) => from)).toEqual([
      ...new Set(second?.items.map(({ period_from: from }) => from)),
    ]);
  });

  it('of one-time products and ended services are none', async () => {
    const { a } = host();
    const once = await active({ period: 'one-time' });
    const ended = await active();
    await a.action(ended, 'termination');
    await a.reached(ended, 'terminated', 'terminated');
    await billPeriods(a.panel.db, later(400));
    expect(await invoicesOf(once)).toHaveLength(1);
    expect(await invoicesOf(ended)).toHaveLength(1);
  });
});

describe('a service that cannot be billed', () => {
  it('keeps no other one from being billed, whoever’s it is', async () => {
    const { a } = host();
    const dear = await active({ period: 'hourly', amountMinor: 3 });
    const other = await active({ period: 'hourly', amountMinor: 3 });
    await a.panel.db
      .updateTable('services')
      .set({ amount_minor: 999_999_999_999 })
      .where('id', '=', dear)
      .execute();
    const failed: string[] = [];
    await billPeriods(a.panel.db, later(1), (serviceId) => failed.push(serviceId));
    expect(failed).toEqual([dear]);
    expect(await invoicesOf(other)).toHaveLength(1);
    expect(await invoicesOf(dear)).toEqual([]);
  });
});

describe('a service that is cancelled while it is being made', () => {
  const cancelled = async (serviceId: string) => {
    const { a } = host();
    return a.panel.invoicing.cancelService({ tenantId: a.id, serviceId, actor: 'client' });
  };

  it('is not: what its module has queued would be nobody’s', async () => {
    const { a, publish } = host();
    // A module of the guide's kind, which says nothing of 'processing' when it queues.
    const name = 'Silent';
    await publish({
      name,
      members: `
        saveServiceData(data) { return { status: 'success', data }; }
        async create() { await this.tasks.add({ method: 'createJob', run_at: new Date(Date.now() + 3_600_000).toISOString() }); return { status: 'success' }; }
        createJob() { return { status: 'success' }; }`,
      manifest: { permissions: { tasks: {} } },
    });
    await a.installed(name);
    const { serviceId } = await order(await product({}, name));
    expect(await a.service(serviceId)).toMatchObject({ status: 'pending', provision_status: 'pending' });
    await expect(cancelled(serviceId)).rejects.toThrow(/is being made/);
    const task = await a.panel.db
      .selectFrom('tasks')
      .selectAll()
      .where('service_id', '=', serviceId)
      .executeTakeFirstOrThrow();
    await a.panel.jobs.cancel(task.id, a.adminId);
    await until('the task to have ended', async () => {
      const row = await a.panel.db
        .selectFrom('tasks')
        .select('finished_at')
        .where('id', '=', task.id)
        .executeTakeFirstOrThrow();
      return row.finished_at !== null;
    });
    await cancelled(serviceId);
    // Queued again by a person, or a moment before the cancellation: it makes nothing.
    await a.panel.jobs.retry(task.id, a.adminId);
    await until('the task to be refused', async () => {
      const row = await a.panel.db
        .selectFrom('tasks')
        .select('error')
        .where('id', '=', task.id)
        .executeTakeFirstOrThrow();
      return JSON.stringify(row.error).includes('cancelled before it was made');
    });
    expect(await a.service(serviceId)).toMatchObject({ status: 'cancelled', provision_status: 'pending' });
    await expect(setProvisionStatus(a.panel.db, serviceId, 'processing', 'host')).rejects.toThrow(
      /was cancelled/,
    );
    await expect(setProvisionStatus(a.panel.db, serviceId, 'completed', 'host')).rejects.toThrow(
      /was cancelled/,
    );
  });
});

describe('a service whose invoice is not paid', () => {
  it('is suspended by its module’s own job after the grace, and resumes when it is paid', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active();
    const [invoice] = await invoicesOf(serviceId);
    await bulkhead.billing.round(later(8));
    expect(await invoicesOf(serviceId)).toMatchObject([{ status: 'overdue' }]);
    expect(await a.service(serviceId)).toMatchObject({ status: 'active' });
    await bulkhead.billing.round(later(11));
    await a.reached(serviceId, 'suspended', 'suspended');
    await pay(invoice?.id ?? null);
    await a.reached(serviceId, 'completed', 'active');
    expect((await a.tasks(serviceId)).map(({ method }) => method)).toEqual([
      'createJob',
      'suspendJob',
      'unsuspendJob',
    ]);
  });

  it('that a person suspended stays so when it is paid', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active();
    await a.action(serviceId, 'suspend');
    await a.reached(serviceId, 'suspended', 'suspended');
    await bulkhead.billing.round(later(11));
    await pay((await invoicesOf(serviceId))[0]?.id ?? null);
    await bulkhead.billing.round(later(11));
    expect((await a.tasks(serviceId)).map(({ method }) => method)).toEqual(['createJob', 'suspendJob']);
  });

  it('is ended only if the tenant says so', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active();
    await bulkhead.billing.round(later(11));
    await a.reached(serviceId, 'suspended', 'suspended');
    await bulkhead.billing.round(later(300));
    expect(await a.service(serviceId)).toMatchObject({ status: 'suspended', provision_status: 'suspended' });
    await settings({ terminate_after_days: 30 });
    await bulkhead.billing.round(later(60));
    await a.reached(serviceId, 'terminated', 'terminated');
  });
});

describe('a change of package', () => {
  async function changed(from: number, to: number, paid: boolean) {
    const { a } = host();
    const serviceId = await active({ amountMinor: from });
    if (paid) await pay((await invoicesOf(serviceId))[0]?.id ?? null);
    const before = await creditBalance(a.panel.db, a.id, a.clientId);
    await a.action(serviceId, 'change_package', await product({ amountMinor: to }));
    await a.ended(serviceId, 'change_packageJob');
    await until('its price', async () => (await a.service(serviceId)).amount_minor === to);
    const credited = (await creditBalance(a.panel.db, a.id, a.clientId)) - before;
    return { serviceId, invoices: await invoicesOf(serviceId), credited };
  }

  it('to a dearer one asks for the rest of the period, and the next costs the new price', async () => {
    const { a } = host();
    const { serviceId, invoices } = await changed(1_000, 3_000, true);
    const [, difference] = invoices;
    expect(difference?.items).toMatchObject([{ kind: 'change' }]);
    // Some seconds of the month have passed.
    expect(difference?.total_minor).toBeGreaterThan(1_990);
    expect(difference?.total_minor).toBeLessThanOrEqual(2_000);
    await billPeriods(a.panel.db, later(30));
    expect((await invoicesOf(serviceId)).at(-1)?.items).toMatchObject([
      { kind: 'period', amount_minor: 3_000 },
    ]);
  });

  it('to a cheaper one gives credit for what was paid', async () => {
    const { credited, invoices } = await changed(3_000, 1_000, true);
    expect(invoices).toHaveLength(1);
    expect(credited).toBeGreaterThan(1_990);
    expect(credited).toBeLessThanOrEqual(2_000);
  });

  it('to a cheaper one takes from the invoice that is still open', async () => {
    const { credited, invoices } = await changed(3_000, 1_000, false);
    expect(invoices).toHaveLength(1);
    expect(credited).toBe(0);
    expect(invoices[0]?.total_minor).toBeLessThan(1_010);
  });

  it('that fails costs nothing', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'change_package', await product({ amountMinor: 9_000, data: { fails: true } }));
    await a.ended(serviceId, 'change_packageJob');
    await until('its end', async () => (await a.service(serviceId)).provision_status !== 'processing');
    expect(await a.service(serviceId)).toMatchObject({ amount_minor: 1_000 });
    expect(await invoicesOf(serviceId)).toHaveLength(1);
  });

  it('to a product without a price for its period is refused', async () => {
    const { a } = host();
    const serviceId = await active();
    const yearly = await product({ period: 'annually' });
    await expect(a.action(serviceId, 'change_package', yearly)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a cancellation', () => {
  async function cancel(serviceId: string): Promise<Date> {
    const { a } = host();
    return a.panel.db
      .transaction()
      .execute(async (trx) =>
        cancelService(trx, { tenantId: a.id, serviceId, actor: 'client', now: new Date() }),
      );
  }

  it('ends the service with its period, and bills nothing after it', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active();
    await pay((await invoicesOf(serviceId))[0]?.id ?? null);
    const { billed_until: end } = await a.service(serviceId);
    await billPeriods(a.panel.db, later(27));
    expect(await cancel(serviceId)).toEqual(end);
    expect((await invoicesOf(serviceId)).map(({ status }) => status)).toEqual(['paid', 'cancelled']);
    await billPeriods(a.panel.db, later(100));
    expect(await invoicesOf(serviceId)).toHaveLength(2);
    await bulkhead.billing.round(later(27));
    expect(await a.service(serviceId)).toMatchObject({ status: 'active' });
    await bulkhead.billing.round(later(32));
    await a.reached(serviceId, 'terminated', 'terminated');
  });

  it('that is taken back goes on being billed without a gap', async () => {
    const { a } = host();
    const serviceId = await active();
    await billPeriods(a.panel.db, later(27));
    const { billed_until: second } = await a.service(serviceId);
    const end = await cancel(serviceId);
    await a.panel.db.transaction().execute(async (trx) => keepService(trx, a.id, serviceId));
    await billPeriods(a.panel.db, later(27));
    expect((await invoicesOf(serviceId)).at(-1)?.items).toMatchObject([
      { period_from: end, period_to: second },
    ]);
  });

  it('of another tenant’s service is refused', async () => {
    const { a, b } = host();
    const serviceId = await active();
    const cancelling = a.panel.db
      .transaction()
      .execute(async (trx) =>
        cancelService(trx, { tenantId: b.id, serviceId, actor: 'client', now: new Date() }),
      );
    await expect(cancelling).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
