/** Credit, refunds and cancellations: whatever is done in whatever order, no money appears or is lost. */
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { addCredit, creditBalance } from '../../src/billing/credit.ts';
import { cancelLocked, lockInvoice, payByCredit, returnToCredit } from '../../src/billing/invoices.ts';
import { bookPayment } from '../../src/billing/payments.ts';
import { beginRefund, endRefund, settleRefund } from '../../src/billing/refunds.ts';
import type { Db } from '../../src/jobs/task.ts';
import { useTestDatabase } from '../support/database.ts';
import { refusal } from '../support/tenant.ts';
import { invoiceNow, newClient, newInvoice, newPayer, type Payer } from './support.ts';

const database = useTestDatabase();
const credit = (db: Db, payer: Payer) => creditBalance(db, payer.tenantId, payer.clientId);

async function give(db: Db, payer: Payer, amountMinor: number): Promise<void> {
  await db
    .transaction()
    .execute(async (trx) => addCredit(trx, { ...payer, kind: 'manual', amountMinor, currency: 'USD' }));
}

async function pay(
  db: Db,
  payer: Payer,
  invoiceId: string,
  amountMinor: number,
  gateway = true,
): Promise<string> {
  const { paymentId } = await bookPayment(db, {
    instanceId: gateway ? randomUUID() : null,
    tenantId: payer.tenantId,
    invoiceId,
    transactionId: randomUUID(),
    amountMinor,
    currency: 'USD',
  });
  return paymentId;
}

async function request(db: Db, payer: Payer, paymentId: string, amountMinor: number) {
  const { clientId: accountId, tenantId } = payer;
  const payment = await db
    .selectFrom('payments')
    .select('invoice_id')
    .where('id', '=', paymentId)
    .executeTakeFirst();
  const invoiceId = payment?.invoice_id ?? randomUUID();
  return beginRefund(db, {
    tenantId,
    invoiceId,
    paymentId,
    amountMinor,
    method: 'gateway',
    reason: '',
    accountId,
  });
}

describe('credit', () => {
  it('pays a new invoice by itself, as far as it goes', async () => {
    const { db } = database();
    const payer = await newPayer(db);
    await give(db, payer, 700);
    expect(await newInvoice(db, payer, 500, { useCredit: true })).toMatchObject({ status: 'paid' });
    expect(await newInvoice(db, payer, 500, { useCredit: true })).toMatchObject({
      status: 'unpaid',
      paid_minor: 200,
    });
    expect(await credit(db, payer)).toBe(0);
  });

  it('cannot be spent twice at once, nor below nothing', async () => {
    const { db } = database();
    const payer = await newPayer(db);
    await give(db, payer, 1_000);
    const spent = await Promise.allSettled(Array.from({ length: 20 }, () => give(db, payer, -300)));
    expect(spent.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(await credit(db, payer)).toBe(100);
    expect(await refusal(() => give(db, payer, -101))).toMatch(/^CONFLICT/);
  });

  it('of another tenant’s client cannot be given', async () => {
    const { db } = database();
    const [payer, other] = [await newPayer(db), await newPayer(db)];
    expect(await refusal(() => give(db, { ...payer, clientId: other.clientId }, 5))).toMatch(/^NOT_FOUND/);
  });

  it('comes from a cancelled invoice that was paid in part', async () => {
    const { db } = database();
    const payer = await newPayer(db);
    const { id } = await newInvoice(db, payer, 500);
    await pay(db, payer, id, 200);
    await db.transaction().execute(async (trx) => {
      await cancelLocked(trx, await lockInvoice(trx, payer.tenantId, id), null);
    });
    expect(await invoiceNow(db, id)).toMatchObject({
      status: 'cancelled',
      paid_minor: 200,
      refunded_minor: 200,
    });
    expect(await credit(db, payer)).toBe(200);
  });
});

describe('a refund', () => {
  async function paid(amountMinor = 1_000) {
    const { db } = database();
    const payer = await newPayer(db);
    const { id: invoiceId } = await newInvoice(db, payer, amountMinor);
    return { db, payer, invoiceId, paymentId: await pay(db, payer, invoiceId, amountMinor) };
  }

  it('in parts ends with a refunded invoice, and never gives back more than was paid', async () => {
    const { db, payer, invoiceId, paymentId } = await paid();
    const { refundId } = await request(db, payer, paymentId, 400);
    await endRefund(db, payer.tenantId, refundId, { status: 'done', transactionId: 're_1' });
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ status: 'paid', refunded_minor: 400 });
    expect(await refusal(() => request(db, payer, paymentId, 601))).toMatch(/^BAD_INPUT: At most 600/);
    await request(db, payer, paymentId, 600);
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ status: 'refunded', refunded_minor: 1_000 });
  });

  it('asked for, or settled, on the page of another invoice is not found', async () => {
    const { db, payer, invoiceId, paymentId } = await paid();
    const { id: other } = await newInvoice(db, payer, 500);
    const { clientId: accountId, tenantId } = payer;
    const refund = {
      tenantId,
      paymentId,
      amountMinor: 400,
      method: 'manual',
      reason: '',
      accountId,
    } as const;
    expect(await refusal(() => beginRefund(db, { ...refund, invoiceId: other }))).toMatch(/^NOT_FOUND/);
    const { refundId } = await beginRefund(db, { ...refund, invoiceId });
    const settled = { tenantId, refundId, arrived: true };
    expect(await refusal(() => settleRefund(db, { ...settled, invoiceId: other }))).toMatch(/^NOT_FOUND/);
    await settleRefund(db, { ...settled, invoiceId });
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ refunded_minor: 400 });
  });

  it('asked for 20 times at once is begun once', async () => {
    const { db, payer, paymentId } = await paid();
    const begun = await Promise.allSettled(
      Array.from({ length: 20 }, () => request(db, payer, paymentId, 1_000)),
    );
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('that failed leaves everything as before; one in doubt holds the money until a person decides', async () => {
    const { db, payer, invoiceId, paymentId } = await paid();
    const { refundId } = await request(db, payer, paymentId, 1_000);
    await endRefund(db, payer.tenantId, refundId, { status: 'in_doubt', message: 'No answer.' });
    await expect(request(db, payer, paymentId, 1)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(
      await endRefund(db, payer.tenantId, refundId, { status: 'failed', message: 'It did not arrive.' }),
    ).toBe(true);
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ status: 'paid', refunded_minor: 0 });
    expect(await endRefund(db, payer.tenantId, refundId, { status: 'done' })).toBe(false);
    await request(db, payer, paymentId, 1_000);
  });

  it('of what is credit by now takes it from the credit, if it is still there', async () => {
    const { db, payer, invoiceId, paymentId } = await paid();
    await db.transaction().execute(async (trx) => {
      await returnToCredit(trx, await lockInvoice(trx, payer.tenantId, invoiceId), 'It could not be made.');
    });
    await give(db, payer, -300);
    expect(await refusal(() => request(db, payer, paymentId, 1_000))).toMatch(/^CONFLICT/);
    const { refundId } = await request(db, payer, paymentId, 700);
    expect(await credit(db, payer)).toBe(0);
    await endRefund(db, payer.tenantId, refundId, { status: 'failed', message: 'No.' });
    expect(await credit(db, payer)).toBe(700);
  });

  it('of a payment that came twice takes it from the credit it became; the invoice stays paid', async () => {
    const { db, payer, invoiceId } = await paid();
    const twice = await pay(db, payer, invoiceId, 1_000);
    await request(db, payer, twice, 400);
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ status: 'paid', refunded_minor: 0 });
    expect(await credit(db, payer)).toBe(600);
    await give(db, payer, -100);
    expect(await refusal(() => request(db, payer, twice, 600))).toMatch(/^CONFLICT/);
    await request(db, payer, twice, 500);
    expect(await credit(db, payer)).toBe(0);
    expect(await invoiceNow(db, invoiceId)).toMatchObject({ status: 'paid', refunded_minor: 0 });
  });

  it('of what was too much takes the credit first, then what it paid of the invoice', async () => {
    const { db } = database();
    const payer = await newPayer(db);
    const { id } = await newInvoice(db, payer, 1_000);
    const paymentId = await pay(db, payer, id, 1_500);
    await request(db, payer, paymentId, 300);
    expect(await credit(db, payer)).toBe(200);
    await request(db, payer, paymentId, 700);
    expect(await credit(db, payer)).toBe(0);
    expect(await invoiceNow(db, id)).toMatchObject({ status: 'paid', refunded_minor: 500 });
    await request(db, payer, paymentId, 500);
    expect(await invoiceNow(db, id)).toMatchObject({ status: 'refunded', refunded_minor: 1_000 });
  });

  it('by another tenant, or of an open invoice, is refused', async () => {
    const { db, payer, paymentId } = await paid();
    const other = await newPayer(db);
    expect(await refusal(() => request(db, other, paymentId, 1))).toMatch(/^NOT_FOUND/);
    const { id } = await newInvoice(db, payer, 500);
    const part = await pay(db, payer, id, 100);
    expect(await refusal(() => request(db, payer, part, 100))).toMatch(
      /^CONFLICT: The invoice is still open/,
    );
  });
});

type Step = readonly [
  what: 'invoice' | 'pay' | 'credit' | 'cancel' | 'return' | 'refund' | 'fail' | 'give',
  which: number,
  amount: number,
];

/** One client's life in random order; refusals are part of it. */
async function live(db: Db, payer: Payer, steps: readonly Step[]): Promise<number> {
  const invoices: string[] = [];
  const payments: string[] = [];
  const refunds: string[] = [];
  let given = 0;
  const pick = (list: readonly string[], which: number): string =>
    list[which % Math.max(list.length, 1)] ?? randomUUID();
  const locked = (which: number, work: typeof cancelLocked) =>
    db
      .transaction()
      .execute(async (trx) => work(trx, await lockInvoice(trx, payer.tenantId, pick(invoices, which)), null));
  const doings: Readonly<Record<Step[0], (which: number, amount: number) => Promise<unknown>>> = {
    invoice: async (which, amount) =>
      invoices.push((await newInvoice(db, payer, amount, { useCredit: which % 2 === 0 })).id),
    pay: async (which, amount) => payments.push(await pay(db, payer, pick(invoices, which), amount)),
    credit: async (which) => locked(which, payByCredit),
    cancel: async (which) => locked(which, cancelLocked),
    return: async (which) => locked(which, (trx, invoice) => returnToCredit(trx, invoice, '')),
    refund: async (which, amount) =>
      refunds.push((await request(db, payer, pick(payments, which), amount)).refundId),
    fail: async (which) =>
      endRefund(db, payer.tenantId, pick(refunds, which), { status: 'failed', message: '' }),
    give: async (_which, amount) => {
      await give(db, payer, amount);
      given += amount;
    },
  };
  for (const [what, which, amount] of steps) {
    try {
      await doings[what](which, amount);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  return given;
}

describe('whatever is done with one client’s money', () => {
  it('adds up: what came in is on invoices, is credit, or went back', async () => {
    const { db, sql } = database();
    const { tenantId } = await newPayer(db);
    const step = fc.tuple(
      fc.constantFrom('invoice', 'pay', 'credit', 'cancel', 'return', 'refund', 'fail', 'give'),
      fc.nat(9),
      fc.integer({ min: 1, max: 1_000 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const payer = { tenantId, clientId: await newClient(db, tenantId) };
        const given = await live(db, payer, steps);
        const [sums] = await sql<Record<'paid_in' | 'went_back' | 'kept' | 'ledger', number>[]>`
          select
            coalesce((select sum(p.amount_minor) from payments p join invoices i on i.id = p.invoice_id where i.client_id = ${payer.clientId}), 0)::bigint as paid_in,
            coalesce((select sum(r.amount_minor) from refunds r join payments p on p.id = r.payment_id join invoices i on i.id = p.invoice_id
              where i.client_id = ${payer.clientId} and r.status <> 'failed'), 0)::bigint as went_back,
            coalesce((select sum(paid_minor - refunded_minor) from invoices where client_id = ${payer.clientId}), 0)::bigint as kept,
            coalesce((select sum(amount_minor) from credit_entries where client_id = ${payer.clientId}), 0)::bigint as ledger`;
        const balance = await credit(db, payer);
        expect(balance).toBe(sums?.ledger);
        expect(balance).toBeGreaterThanOrEqual(0);
        expect((sums?.paid_in ?? 0) + given).toBe((sums?.kept ?? 0) + balance + (sums?.went_back ?? 0));
      }),
      { numRuns: 40 },
    );
  });
});
