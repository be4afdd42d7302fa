/**
 * Payments come in from gateways, which tell twice, in parallel, late and after a crash, and from people. Each is booked exactly once:
 * the unique key on (instance, transaction) decides, in the same transaction that counts it towards the invoice.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { storable } from '../database/storable.ts';
import { type Db, inTransaction, type Trx } from '../jobs/task.ts';
import { addCredit } from './credit.ts';
import { dueMinor, type Invoice, lockInvoice, settle } from './invoices.ts';
import { callGateway } from './gateway-calls.ts';
import { BILLING_LIMITS } from './limits.ts';
import { tell } from './tell.ts';

export interface Booking {
  /** The gateway's instance; null: a person booked it. */
  readonly instanceId: string | null;
  readonly tenantId: string;
  readonly invoiceId: string;
  /** The gateway's own name of it, or the reference a person typed. */
  readonly transactionId: string;
  readonly amountMinor: number;
  readonly feeMinor?: number;
  readonly currency: string;
  /** What the gateway told, for the admin to read. */
  readonly payload?: unknown;
  readonly accountId?: string | null;
  /** The gateway's module does itself what follows a payment, and is not called. */
  readonly handled?: boolean;
  /** The task that books it, if one does. */
  readonly taskId?: string | null;
}

export interface Booked {
  readonly paymentId: string;
  /** False: it had been booked before, and nothing happened now. */
  readonly booked: boolean;
}

const TRANSACTION_CHARS = 200;
const HOUR_MS = 3_600_000;

/**
 * What is beyond the amount due becomes the client's credit, and so does all that is paid towards an invoice that is not open any more.
 * @throws HostError NOT_FOUND for an invoice that is not the tenant's, BAD_INPUT for another currency, amounts that are none
 */
export async function bookPayment(db: Db, booking: Booking): Promise<Booked> {
  check(booking);
  return inTransaction(db, async (trx) => {
    const invoice = await lockInvoice(trx, booking.tenantId, booking.invoiceId);
    const before = await findPayment(trx, booking);
    if (before !== undefined) return { paymentId: before, booked: false };
    if (booking.currency !== invoice.currency)
      throw new HostError(
        'BAD_INPUT',
        `Invoice ${invoice.label} is in ${invoice.currency}; a payment in ${booking.currency} cannot be booked on it.`,
      );
    const applied = Math.min(booking.amountMinor, dueMinor(invoice));
    const paymentId = await insert(trx, booking, applied);
    // Another one booked it meanwhile, on another invoice.
    if (paymentId === undefined) return { paymentId: (await findPayment(trx, booking)) ?? '', booked: false };
    await count(trx, booking, invoice, { paymentId, applied });
    await tellGateway(trx, booking, paymentId);
    return { paymentId, booked: true };
  });
}

async function tellGateway(trx: Trx, booking: Booking, paymentId: string): Promise<void> {
  const { instanceId, tenantId, invoiceId, handled = false, taskId = null } = booking;
  if (instanceId === null || handled) return;
  await callGateway(trx, {
    instanceId,
    tenantId,
    invoiceId,
    taskId,
    method: 'onPaymentSuccess',
    told: keptOf(booking.payload),
    key: 'payment',
    about: {
      uuid: paymentId,
      transaction_id: booking.transactionId,
      amount: booking.amountMinor,
      fee: booking.feeMinor ?? 0,
      currency: booking.currency,
    },
  });
}

async function count(
  trx: Trx,
  booking: Booking,
  invoice: Invoice,
  { paymentId, applied }: { paymentId: string; applied: number },
): Promise<void> {
  if (applied > 0) await settle(trx, invoice, applied);
  const beyond = booking.amountMinor - applied;
  if (beyond === 0) return;
  await addCredit(trx, {
    tenantId: booking.tenantId,
    clientId: invoice.client_id,
    kind: 'overpayment',
    amountMinor: beyond,
    currency: booking.currency,
    invoiceId: invoice.id,
    paymentId,
  });
}

function check({ transactionId, amountMinor, feeMinor = 0 }: Booking): void {
  if (transactionId.trim() === '' || transactionId.length > TRANSACTION_CHARS)
    throw new HostError(
      'BAD_INPUT',
      `A payment needs a transaction_id of 1 to ${TRANSACTION_CHARS} characters.`,
    );
  for (const [name, amount, least] of [
    ['amount', amountMinor, 1],
    ['fee', feeMinor, 0],
  ] as const)
    if (!Number.isSafeInteger(amount) || amount < least || amount > BILLING_LIMITS.amountMaxMinor)
      throw new HostError(
        'BAD_INPUT',
        `The ${name} of a payment is a whole number of minor units, at least ${least}.`,
      );
}

async function findPayment(trx: Trx, booking: Booking): Promise<string | undefined> {
  const row = await trx
    .selectFrom('payments')
    .select('id')
    .where('tenant_id', '=', booking.tenantId)
    .where('instance_id', 'is not distinct from', booking.instanceId)
    .where('transaction_id', '=', booking.transactionId)
    .executeTakeFirst();
  return row?.id;
}

/** Undefined if the transaction is booked already. */
async function insert(trx: Trx, booking: Booking, appliedMinor: number): Promise<string | undefined> {
  const row = await trx
    .insertInto('payments')
    .values({
      tenant_id: booking.tenantId,
      invoice_id: booking.invoiceId,
      instance_id: booking.instanceId,
      transaction_id: booking.transactionId,
      amount_minor: booking.amountMinor,
      fee_minor: booking.feeMinor ?? 0,
      applied_minor: appliedMinor,
      currency: booking.currency,
      payload: payloadOf(booking.payload),
      account_id: booking.accountId ?? null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return row?.id;
}

/** What of it can be kept. */
function keptOf(payload: unknown): unknown {
  const kept = payloadOf(payload);
  return kept !== null && 'payload' in kept ? kept.payload : undefined;
}

/** What cannot be kept is left out: the booking must not hang on it. */
function payloadOf(payload: unknown): { payload: unknown } | { left_out: string } | null {
  if (payload === undefined || payload === null) return null;
  try {
    const kept = storable(payload);
    return JSON.stringify(kept).length > BILLING_LIMITS.payloadBytes
      ? { left_out: 'too large' }
      : { payload: kept };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { left_out: error.message };
  }
}

export interface FailedAttempt {
  readonly instanceId: string;
  readonly tenantId: string;
  readonly invoiceId: string;
  readonly reason: string;
  /** What the gateway told. */
  readonly payload?: unknown;
  readonly handled?: boolean;
  readonly taskId?: string | null;
}

/** A gateway said that a payment did not go through: nothing is booked, and those who listen are told. */
export async function paymentFailed(db: Db, failed: FailedAttempt): Promise<void> {
  await inTransaction(db, async (trx) => {
    const invoice = await lockInvoice(trx, failed.tenantId, failed.invoiceId);
    if (await toldEnough(trx, invoice)) return;
    await tell(trx, {
      name: 'PaymentFailed',
      tenantId: failed.tenantId,
      payload: {
        invoice_uuid: invoice.id,
        number: invoice.label,
        client_uuid: invoice.client_id,
        reason: failed.reason,
      },
    });
    if (failed.handled === true) return;
    const { instanceId, tenantId, invoiceId, taskId = null } = failed;
    await callGateway(trx, {
      instanceId,
      tenantId,
      invoiceId,
      taskId,
      method: 'onPaymentFailed',
      told: keptOf(failed.payload),
      key: 'failure',
      about: { uuid: randomUUID(), reason: failed.reason },
    });
  });
}

/** Each time is a mail to the client: a gateway (or a module that plays one) that tells without end is not heard without end. */
async function toldEnough(trx: Trx, invoice: Invoice): Promise<boolean> {
  const told = await trx
    .selectFrom('events')
    .select('id')
    .where('tenant_id', '=', invoice.tenant_id)
    .where('name', '=', 'PaymentFailed')
    .where('at', '>', new Date(Date.now() - HOUR_MS))
    .where(sql<boolean>`payload ->> 'invoice_uuid' = ${invoice.id}`)
    .limit(BILLING_LIMITS.failuresAnHour)
    .execute();
  return told.length === BILLING_LIMITS.failuresAnHour;
}
