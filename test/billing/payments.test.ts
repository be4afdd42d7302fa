/** Payments are booked exactly once, towards the right invoice, in its currency; what is too much becomes credit. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { creditBalance } from '../../src/billing/credit.ts';
import { cancelLocked, createInvoice, lockInvoice } from '../../src/billing/invoices.ts';
import { createInvoicing } from '../../src/billing/invoicing.ts';
import { BILLING_LIMITS } from '../../src/billing/limits.ts';
import { bookPayment, type Booking, paymentFailed } from '../../src/billing/payments.ts';
import { useTestDatabase } from '../support/database.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';
import { invoiceNow, newInvoice, newPayer, type Payer } from './support.ts';

const database = useTestDatabase();

/** Whether a connection to this test's database waits for a lock. */
async function somebodyWaits(): Promise<boolean> {
  const { sql } = database();
  const waiting = await sql`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return waiting.length > 0;
}

async function unpaid(amountMinor = 1_000) {
  const { db } = database();
  const payer = await newPayer(db);
  const invoice = await newInvoice(db, payer, amountMinor);
  const booking: Booking = {
    instanceId: randomUUID(),
    tenantId: payer.tenantId,
    invoiceId: invoice.id,
    transactionId: 'pi_1',
    amountMinor,
    feeMinor: 30,
    currency: 'USD',
    payload: { id: 'evt_1' },
  };
  return { db, payer, invoice, booking };
}

const credit = (payer: Payer) => creditBalance(database().db, payer.tenantId, payer.clientId);
const rows = (invoiceId: string) =>
  database().db.selectFrom('payments').selectAll().where('invoice_id', '=', invoiceId).execute();

describe('a payment', () => {
  it('pays the invoice, and is told again without effect (A18)', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    const first = await bookPayment(db, booking);
    expect(first.booked).toBe(true);
    expect(await invoiceNow(db, invoice.id)).toMatchObject({
      status: 'paid',
      paid_minor: 1_000,
      paid_at: expect.any(Date),
    });
    expect(await bookPayment(db, booking)).toEqual({ paymentId: first.paymentId, booked: false });
    expect(await rows(invoice.id)).toMatchObject([
      { amount_minor: 1_000, fee_minor: 30, applied_minor: 1_000 },
    ]);
    expect(await credit(payer)).toBe(0);
  });

  it('told 100 times at once is booked once', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    const answers = await Promise.all(Array.from({ length: 100 }, () => bookPayment(db, booking)));
    expect(answers.filter(({ booked }) => booked)).toHaveLength(1);
    expect(new Set(answers.map(({ paymentId }) => paymentId)).size).toBe(1);
    expect(await rows(invoice.id)).toHaveLength(1);
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ status: 'paid', paid_minor: 1_000 });
    expect(await credit(payer)).toBe(0);
  });

  it('told for two invoices at once is booked on one of them', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    const other = await newInvoice(db, payer, 1_000);
    const second = await db.transaction().execute(async (trx) => {
      await bookPayment(trx, booking);
      const telling = bookPayment(db, { ...booking, invoiceId: other.id });
      // It waits for the first one's end; the guard being gone, it does not.
      await Promise.race([telling, until('it to wait', somebodyWaits)]);
      return { telling };
    });
    expect(await second.telling).toMatchObject({ booked: false });
    expect(await rows(invoice.id)).toHaveLength(1);
    expect(await rows(other.id)).toEqual([]);
  });

  it('of a part, one of many at once, counts as each of them does', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    await Promise.all(
      Array.from({ length: 21 }, (_, index) =>
        bookPayment(db, { ...booking, amountMinor: 50, transactionId: `pi_${index}` }),
      ),
    );
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ status: 'paid', paid_minor: 1_000 });
    expect(await credit(payer)).toBe(50);
  });

  it('of the same name at another gateway, or booked by hand, is another payment', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    await bookPayment(db, { ...booking, amountMinor: 400 });
    await bookPayment(db, { ...booking, amountMinor: 400, instanceId: randomUUID() });
    await bookPayment(db, { ...booking, amountMinor: 400, instanceId: null });
    const twice = await bookPayment(db, { ...booking, amountMinor: 400, instanceId: null });
    expect(twice.booked).toBe(false);
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ status: 'paid', paid_minor: 1_000 });
    expect(await credit(payer)).toBe(200);
  });

  it('of a part leaves the invoice open', async () => {
    const { db, invoice, booking } = await unpaid();
    await bookPayment(db, { ...booking, amountMinor: 999 });
    expect(await invoiceNow(db, invoice.id)).toMatchObject({
      status: 'unpaid',
      paid_minor: 999,
      paid_at: null,
    });
    await bookPayment(db, { ...booking, transactionId: 'pi_2', amountMinor: 1 });
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ status: 'paid', paid_minor: 1_000 });
  });

  it('of too much, or for an invoice that was cancelled, becomes credit', async () => {
    const { db, payer, invoice, booking } = await unpaid();
    await bookPayment(db, { ...booking, amountMinor: 1_500 });
    expect(await credit(payer)).toBe(500);
    expect(await rows(invoice.id)).toMatchObject([{ amount_minor: 1_500, applied_minor: 1_000 }]);
    const cancelled = await newInvoice(db, payer, 700);
    await db.transaction().execute(async (trx) => {
      await cancelLocked(trx, await lockInvoice(trx, payer.tenantId, cancelled.id), null);
    });
    await bookPayment(db, {
      ...booking,
      invoiceId: cancelled.id,
      transactionId: 'pi_late',
      amountMinor: 700,
    });
    expect(await invoiceNow(db, cancelled.id)).toMatchObject({ status: 'cancelled', paid_minor: 0 });
    expect(await credit(payer)).toBe(1_200);
  });

  it.each([
    ['in another currency', { currency: 'EUR' }, /^BAD_INPUT: Invoice INV-00001 is in USD/],
    ['of nothing', { amountMinor: 0 }, /^BAD_INPUT: The amount/],
    ['of less than nothing', { amountMinor: -5 }, /^BAD_INPUT: The amount/],
    ['of a fraction', { amountMinor: 10.5 }, /^BAD_INPUT: The amount/],
    ['of what is no number', { amountMinor: Number.NaN }, /^BAD_INPUT: The amount/],
    ['beyond all bounds', { amountMinor: 2 ** 53 }, /^BAD_INPUT: The amount/],
    ['with a negative fee', { feeMinor: -1 }, /^BAD_INPUT: The fee/],
    ['without a transaction', { transactionId: ' ' }, /^BAD_INPUT: A payment needs/],
    ['with a transaction too long', { transactionId: 'x'.repeat(201) }, /^BAD_INPUT: A payment needs/],
    ['of no invoice', { invoiceId: randomUUID() }, /^NOT_FOUND/],
  ])('%s is refused', async (_what, wrong, text) => {
    const { db, invoice, booking } = await unpaid();
    expect(await refusal(() => bookPayment(db, { ...booking, ...wrong }))).toMatch(text);
    expect(await rows(invoice.id)).toEqual([]);
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ status: 'unpaid', paid_minor: 0 });
  });

  it('for another tenant’s invoice is refused', async () => {
    const { db, invoice, booking } = await unpaid();
    const stranger = await newPayer(db);
    expect(await refusal(() => bookPayment(db, { ...booking, tenantId: stranger.tenantId }))).toMatch(
      /^NOT_FOUND/,
    );
    expect(await rows(invoice.id)).toEqual([]);
  });

  it.each([
    ['nested without end', () => JSON.parse('['.repeat(500) + ']'.repeat(500))],
    ['as large as it likes', () => ({ text: 'x'.repeat(100_000) })],
    ['with a NUL', () => ({ text: '\0' })],
  ])('is booked although its payload is %s', async (_what, payload) => {
    const { db, booking } = await unpaid();
    expect(await bookPayment(db, { ...booking, payload: payload() })).toMatchObject({ booked: true });
  });
});

describe('a payment booked by hand', () => {
  it('sent twice is booked once; the same reference for other money is refused, and says where it is', async () => {
    const { db, payer, invoice } = await unpaid();
    const other = await newInvoice(db, payer, 500);
    const byHand = (invoiceId: string, amountMinor: number) =>
      createInvoicing(db).bookByHand({
        tenantId: payer.tenantId,
        invoiceId,
        amountMinor,
        reference: 'cash',
        accountId: payer.clientId,
      });
    expect(await byHand(invoice.id, 600)).toEqual({ booked: true });
    expect(await byHand(invoice.id, 600)).toEqual({ booked: false });
    expect(await refusal(() => byHand(other.id, 500))).toMatch(
      /^CONFLICT: .*"cash" is booked on invoice INV-00001/,
    );
    expect(await refusal(() => byHand(invoice.id, 400))).toMatch(/^CONFLICT/);
  });
});

describe('a failed payment', () => {
  it('is told some times an hour for one invoice, however often its gateway says so', async () => {
    const { db, payer, invoice } = await unpaid();
    const told = () =>
      db
        .selectFrom('events')
        .select('id')
        .where('tenant_id', '=', payer.tenantId)
        .where('name', '=', 'PaymentFailed')
        .execute();
    for (let time = 0; time < 8; time += 1)
      await paymentFailed(db, {
        instanceId: randomUUID(),
        tenantId: payer.tenantId,
        invoiceId: invoice.id,
        reason: 'Click here.',
      });
    expect(await told()).toHaveLength(BILLING_LIMITS.failuresAnHour);
    const other = await newInvoice(db, payer, 500);
    await paymentFailed(db, {
      instanceId: randomUUID(),
      tenantId: payer.tenantId,
      invoiceId: other.id,
      reason: '',
    });
    expect(await told()).toHaveLength(BILLING_LIMITS.failuresAnHour + 1);
  });
});

describe('numbers of invoices', () => {
  it('have no gap and no double, whatever is made at once or rolled back', async () => {
    const { db } = database();
    const payer = await newPayer(db);
    const broken = newInvoice(db, payer, 100, { items: [] });
    await expect(broken).rejects.toMatchObject({ code: 'BAD_INPUT' });
    const rolledBack = db.transaction().execute(async (trx) => {
      await createInvoice(trx, {
        ...payer,
        currency: 'USD',
        items: [{ kind: 'other', serviceId: null, description: 'Work', amountMinor: 100 }],
      });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    const made = await Promise.all(Array.from({ length: 20 }, () => newInvoice(db, payer, 100)));
    expect(made.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(made.find(({ number }) => number === 7)?.label).toBe('INV-00007');
  });

  it('are each tenant’s own', async () => {
    const { db } = database();
    for (const payer of [await newPayer(db), await newPayer(db)])
      expect(await newInvoice(db, payer, 100)).toMatchObject({ number: 1 });
  });
});
