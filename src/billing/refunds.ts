/**
 * Refunds. A refund is noted, and its amount taken out of what may still be given back, before any gateway is asked: whatever happens
 * then, the same money is never sent twice. The gateway's answer ends it; without an answer it is in doubt, and a person decides.
 */
import { sql } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { type Db, inTransaction, type Trx } from '../jobs/task.ts';
import { addCredit, lockCredit } from './credit.ts';
import { type Invoice, isOpen, lockInvoice } from './invoices.ts';
import { tell } from './tell.ts';

export interface RefundRequest {
  readonly tenantId: string;
  /** The one whose page it is asked on: a payment of another is not found. */
  readonly invoiceId: string;
  readonly paymentId: string;
  readonly amountMinor: number;
  /** 'gateway': the module's refund() sends the money; 'manual': a person does. */
  readonly method: 'gateway' | 'manual';
  readonly reason: string;
  readonly accountId: string;
}

export interface RefundBegun {
  readonly refundId: string;
  readonly instanceId: string | null;
  readonly transactionId: string;
  readonly amountMinor: number;
  readonly currency: string;
}

export type RefundEnd =
  | { readonly status: 'done'; readonly transactionId?: string }
  | { readonly status: 'failed' | 'in_doubt'; readonly message: string };

/** @throws HostError NOT_FOUND, BAD_INPUT beyond what is left of it, CONFLICT while the invoice is open or the credit is used */
export async function beginRefund(db: Db, request: RefundRequest): Promise<RefundBegun> {
  return inTransaction(db, async (trx) => {
    const { invoice, payment } = await lockPayment(trx, request.tenantId, request.paymentId);
    if (invoice.id !== request.invoiceId)
      throw new HostError('NOT_FOUND', 'There is no such payment of this invoice.');
    check(request, invoice, payment);
    const creditMinor = await fromCredit(trx, request, invoice, payment);
    const fromInvoice = request.amountMinor - creditMinor;
    if (creditMinor > 0)
      await addCredit(trx, {
        tenantId: request.tenantId,
        clientId: invoice.client_id,
        kind: 'refund',
        amountMinor: -creditMinor,
        currency: payment.currency,
        invoiceId: invoice.id,
        paymentId: payment.id,
        accountId: request.accountId,
      });
    await move(trx, { payment: payment.id, invoice: invoice.id, whole: request.amountMinor, fromInvoice });
    const { id } = await trx
      .insertInto('refunds')
      .values({
        tenant_id: request.tenantId,
        payment_id: payment.id,
        amount_minor: request.amountMinor,
        credit_minor: creditMinor,
        method: request.method,
        reason: request.reason,
        account_id: request.accountId,
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    return {
      refundId: id,
      instanceId: payment.instance_id,
      transactionId: payment.transaction_id,
      amountMinor: request.amountMinor,
      currency: payment.currency,
    };
  });
}

/**
 * How much of a refund the client's credit gives. A payment gives back what it gave: what of it was beyond the invoice (all of one that was
 * sent twice) lies in the credit, and leaves the invoice paid. What it paid of the invoice comes from there while it is still there.
 */
async function fromCredit(
  trx: Trx,
  { tenantId, amountMinor }: RefundRequest,
  invoice: Invoice,
  payment: { id: string; amount_minor: number; applied_minor: number; refunded_minor: number },
): Promise<number> {
  const { given } = await trx
    .selectFrom('refunds')
    .select(sql<number>`coalesce(sum(credit_minor), 0)::bigint`.as('given'))
    .where('payment_id', '=', payment.id)
    .where('status', '<>', 'failed')
    .executeTakeFirstOrThrow();
  const { balanceMinor } = await lockCredit(trx, tenantId, invoice.client_id);
  const beyond = Math.max(0, payment.amount_minor - payment.applied_minor - given);
  const first = Math.min(amountMinor, beyond, balanceMinor);
  const ofInvoice = Math.min(
    payment.applied_minor - (payment.refunded_minor - given),
    invoice.paid_minor - invoice.refunded_minor,
  );
  return Math.max(first, amountMinor - Math.max(0, ofInvoice));
}

function check(
  { amountMinor, method }: RefundRequest,
  invoice: Invoice,
  payment: { amount_minor: number; refunded_minor: number; instance_id: string | null },
): void {
  const left = payment.amount_minor - payment.refunded_minor;
  if (!Number.isSafeInteger(amountMinor) || amountMinor < 1 || amountMinor > left)
    throw new HostError('BAD_INPUT', `At most ${left} minor units of this payment can be given back.`);
  if (method === 'gateway' && payment.instance_id === null)
    throw new HostError('BAD_INPUT', 'This payment was booked by hand: give it back by hand.');
  if (isOpen(invoice))
    throw new HostError(
      'CONFLICT',
      'The invoice is still open: cancel it first, then give back what was paid.',
    );
}

async function lockPayment(trx: Trx, tenantId: string, paymentId: string) {
  const found = await trx
    .selectFrom('payments')
    .select('invoice_id')
    .where('id', '=', paymentId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst();
  if (found === undefined) throw new HostError('NOT_FOUND', 'There is no such payment.');
  // The invoice before the payment: the order in which bookings take them.
  const invoice = await lockInvoice(trx, tenantId, found.invoice_id);
  const payment = await trx
    .selectFrom('payments')
    .selectAll()
    .where('id', '=', paymentId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  return { invoice, payment };
}

async function move(
  trx: Trx,
  by: { payment: string; invoice: string; whole: number; fromInvoice: number },
): Promise<void> {
  await trx
    .updateTable('payments')
    .set((e) => ({ refunded_minor: e('refunded_minor', '+', by.whole) }))
    .where('id', '=', by.payment)
    .execute();
  await trx
    .updateTable('invoices')
    .set((e) => ({
      refunded_minor: e('refunded_minor', '+', by.fromInvoice),
      status: sql<Invoice['status']>`case
        when status = 'paid' and refunded_minor + ${by.fromInvoice}::bigint = paid_minor then 'refunded'
        when status = 'refunded' and ${by.fromInvoice}::bigint < 0 then 'paid' else status end`,
    }))
    .where('id', '=', by.invoice)
    .execute();
}

/**
 * Writes down how it ended; what failed may be given back again. A refund that has ended stays as it is.
 * @returns false if it had ended before
 */
export async function endRefund(
  db: Db,
  tenantId: string,
  refundId: string,
  end: RefundEnd,
): Promise<boolean> {
  return inTransaction(db, async (trx) => {
    const found = await trx
      .selectFrom('refunds')
      .select('payment_id')
      .where('id', '=', refundId)
      .where('tenant_id', '=', tenantId)
      .executeTakeFirst();
    if (found === undefined) throw new HostError('NOT_FOUND', 'There is no such refund.');
    const { invoice, payment } = await lockPayment(trx, tenantId, found.payment_id);
    const ended = await trx
      .updateTable('refunds')
      .set({
        status: end.status,
        finished_at: end.status === 'in_doubt' ? null : new Date(),
        ...(end.status === 'done'
          ? { transaction_id: end.transactionId ?? null, error: null }
          : { error: end.message }),
      })
      .where('id', '=', refundId)
      .where('status', 'in', ['pending', 'in_doubt'])
      .returning(['amount_minor', 'credit_minor'])
      .executeTakeFirst();
    if (ended === undefined) return false;
    const { amount_minor: amountMinor, credit_minor: creditMinor } = ended;
    if (end.status === 'done') await tellRefunded(trx, invoice, payment.id, amountMinor);
    if (end.status !== 'failed') return true;
    if (creditMinor > 0)
      await addCredit(trx, {
        tenantId,
        clientId: invoice.client_id,
        kind: 'refund',
        amountMinor: creditMinor,
        currency: payment.currency,
        invoiceId: invoice.id,
        paymentId: payment.id,
        note: 'The refund failed.',
      });
    await move(trx, {
      payment: payment.id,
      invoice: invoice.id,
      whole: -amountMinor,
      fromInvoice: creditMinor - amountMinor,
    });
    return true;
  });
}

/**
 * A person says what became of a refund that the gateway gave no answer about.
 * @throws HostError CONFLICT while its job waits or runs: money may be on its way, and would be free to be given back once more
 */
export async function settleRefund(
  db: Db,
  settled: {
    readonly tenantId: string;
    readonly invoiceId: string;
    readonly refundId: string;
    readonly arrived: boolean;
  },
): Promise<void> {
  const { tenantId, invoiceId, refundId, arrived } = settled;
  await inTransaction(db, async (trx) => {
    const ofInvoice = await trx
      .selectFrom('refunds as refund')
      .innerJoin('payments as payment', 'payment.id', 'refund.payment_id')
      .select('refund.id')
      .where('refund.id', '=', refundId)
      .where('refund.tenant_id', '=', tenantId)
      .where('payment.invoice_id', '=', invoiceId)
      .executeTakeFirst();
    if (ofInvoice === undefined) throw new HostError('NOT_FOUND', 'There is no such refund of this invoice.');
    const sending = await trx
      .selectFrom('tasks')
      .select('id')
      .where('tenant_id', '=', tenantId)
      .where('method', '=', 'refund')
      .where(sql<boolean>`params ->> 'refund_uuid' = ${refundId}`)
      .where('status', 'in', ['queued', 'pending', 'processing'])
      .executeTakeFirst();
    if (sending !== undefined)
      throw new HostError('CONFLICT', 'This refund is being sent; wait for what the gateway answers.');
    await endRefund(
      trx,
      tenantId,
      refundId,
      arrived ? { status: 'done' } : { status: 'failed', message: 'A person looked: it did not arrive.' },
    );
  });
}

async function tellRefunded(
  trx: Trx,
  invoice: Invoice,
  paymentId: string,
  amountMinor: number,
): Promise<void> {
  await tell(trx, {
    name: 'PaymentRefunded',
    tenantId: invoice.tenant_id,
    payload: {
      payment_uuid: paymentId,
      invoice_uuid: invoice.id,
      number: invoice.label,
      client_uuid: invoice.client_id,
      amount_minor: amountMinor,
      currency: invoice.currency,
    },
  });
}
