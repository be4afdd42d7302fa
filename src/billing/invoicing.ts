/** What people do with invoices: the use cases behind the pages. Each is one transaction, and each finds what it touches by the tenant. */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import type { Invoicing } from '../web/deps.ts';
import { cancelService, keepService } from './cancellation.ts';
import { addCredit } from './credit.ts';
import { endBilling } from './activation.ts';
import { cancelLocked, createInvoice, lockInvoice, payByCredit, setDueDate } from './invoices.ts';
import { bookPayment } from './payments.ts';
import { beginRefund, endRefund, settleRefund } from './refunds.ts';
import { readBillingSettings, saveBillingSettings } from './settings.ts';
import { tellOfService } from './service-events.ts';
import { change, lockService } from './service-status.ts';

export function createInvoicing(db: Kysely<Tables>): Invoicing {
  return {
    settings: (tenantId) => readBillingSettings(db, tenantId),
    saveSettings: (tenantId, settings) => saveBillingSettings(db, tenantId, settings),
    create: (input) => create(db, input),
    bookByHand: (input) => bookByHand(db, input),
    useCredit: (input) =>
      db.transaction().execute(async (trx) => {
        const invoice = await lockInvoice(trx, input.tenantId, input.invoiceId);
        await payByCredit(trx, invoice, input.accountId);
      }),
    cancel: (input) => cancel(db, input),
    setDueDate: (input) =>
      db
        .transaction()
        .execute(async (trx) =>
          setDueDate(trx, await lockInvoice(trx, input.tenantId, input.invoiceId), input.dueAt),
        ),
    giveCredit: (input) => giveCredit(db, input),
    refundByHand: async (input) => {
      const { refundId } = await beginRefund(db, { ...input, method: 'manual' });
      await endRefund(db, input.tenantId, refundId, { status: 'done' });
    },
    settleRefund: (input) => settleRefund(db, input),
    cancelService: (input) =>
      db.transaction().execute(async (trx) => cancelService(trx, { ...input, now: new Date() })),
    keepService: (input) =>
      db.transaction().execute(async (trx) => keepService(trx, input.tenantId, input.serviceId)),
  };
}

async function currencyOf(db: Kysely<Tables>, tenantId: string): Promise<string> {
  const tenant = await db
    .selectFrom('tenants')
    .select('currency')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  return tenant.currency;
}

async function create(
  db: Kysely<Tables>,
  input: Parameters<Invoicing['create']>[0],
): Promise<{ invoiceId: string }> {
  const currency = await currencyOf(db, input.tenantId);
  const client = await db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', input.clientId)
    .where('tenant_id', '=', input.tenantId)
    .where('kind', '=', 'client')
    .executeTakeFirst();
  if (client === undefined) throw new HostError('NOT_FOUND', 'There is no such client.');
  const items = input.items.map((item) => ({ kind: 'other' as const, serviceId: null, ...item }));
  const invoice = await db.transaction().execute(async (trx) =>
    createInvoice(trx, {
      tenantId: input.tenantId,
      clientId: input.clientId,
      currency,
      items,
      ...(input.dueAt === null ? {} : { dueAt: input.dueAt }),
    }),
  );
  return { invoiceId: invoice.id };
}

async function bookByHand(
  db: Kysely<Tables>,
  input: Parameters<Invoicing['bookByHand']>[0],
): Promise<{ booked: boolean }> {
  const { booked, paymentId } = await bookPayment(db, {
    instanceId: null,
    tenantId: input.tenantId,
    invoiceId: input.invoiceId,
    transactionId: input.reference,
    amountMinor: input.amountMinor,
    currency: await currencyOf(db, input.tenantId),
    accountId: input.accountId,
  });
  // The same form sent twice is one payment; the same words for other money are not, and must not look as if it had been booked.
  if (!booked) await sameAgain(db, input, paymentId);
  return { booked };
}

/** @throws HostError CONFLICT */
async function sameAgain(
  db: Kysely<Tables>,
  input: Parameters<Invoicing['bookByHand']>[0],
  paymentId: string,
): Promise<void> {
  const before = await db
    .selectFrom('payments')
    .innerJoin('invoices', 'invoices.id', 'payments.invoice_id')
    .select(['payments.invoice_id', 'payments.amount_minor', 'invoices.label'])
    .where('payments.id', '=', paymentId)
    .where('payments.tenant_id', '=', input.tenantId)
    .executeTakeFirstOrThrow();
  if (before.invoice_id === input.invoiceId && before.amount_minor === input.amountMinor) return;
  throw new HostError(
    'CONFLICT',
    `A payment with the reference "${input.reference}" is booked on invoice ${before.label} already; nothing was booked now. Use a reference of its own.`,
  );
}

/** An order that waits for this invoice is cancelled with it. */
async function cancel(db: Kysely<Tables>, input: Parameters<Invoicing['cancel']>[0]): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const waiting = await trx
      .selectFrom('services')
      .select('id')
      .where('tenant_id', '=', input.tenantId)
      .where('order_invoice_id', '=', input.invoiceId)
      .execute();
    // Services before invoices: the order of all locks.
    const services = await Promise.all(waiting.map(async ({ id }) => lockService(trx, id)));
    await cancelLocked(trx, await lockInvoice(trx, input.tenantId, input.invoiceId), input.accountId);
    for (const service of services) {
      if (service.status !== 'pending' || service.provision_status !== 'pending') continue;
      await tellOfService(trx, 'ServiceCancelling', service.id);
      await trx.updateTable('services').set({ status: 'cancelled' }).where('id', '=', service.id).execute();
      await change(trx, service.id, 'status', service.status, 'cancelled', 'admin');
      await endBilling(trx, service, new Date());
    }
  });
}

async function giveCredit(db: Kysely<Tables>, input: Parameters<Invoicing['giveCredit']>[0]): Promise<void> {
  const currency = await currencyOf(db, input.tenantId);
  await db.transaction().execute(async (trx) => addCredit(trx, { ...input, kind: 'manual', currency }));
}
