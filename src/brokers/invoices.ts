/**
 * invoices: a tenant's invoices for modules that may read them, and booking what a gateway took. Which tenant and which instance it is
 * comes from the scope: a module cannot book on another tenant's invoice, nor in another instance's name.
 */
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import type { InvoiceView } from '../../sandbox/contract/kinds/payment.ts';
import { listInvoiceViews, readInvoiceView } from '../billing/invoice-view.ts';
import { bookPayment, paymentFailed } from '../billing/payments.ts';
import type { Db } from '../jobs/task.ts';
import type { Broker, Scope } from './broker.ts';

/** What a page was asked to do is no proof that money came in; a delivery or a job looks for one. */
const PROVING = new Set(['delivery', 'job']);
const BOOKING_TYPE = 'Payment';

function need(scope: Scope, grant: Grant<'invoices'>, access: 'read' | 'record'): void {
  if (!grant.access.includes(access)) throw refusal('invoices', `access "${access}"`, 'invoices');
  scope.used(`invoices.access:${access}`);
}

function bookingInstance(scope: Scope): string {
  if (scope.moduleType !== BOOKING_TYPE)
    throw new HostError('NOT_GRANTED', 'invoices: only payment modules record payments.');
  if (scope.instanceId === null)
    throw new HostError(
      'BAD_INPUT',
      'invoices: this call runs for no instance; queue a task with {instance} that records the payment.',
    );
  return scope.instanceId;
}

function needProof(scope: Scope): void {
  if (PROVING.has(scope.purpose)) return;
  throw new HostError(
    'CONFLICT',
    'invoices: payments are recorded by a webhook, a client’s return or a job, never while a page is shown; queue a task.',
  );
}

export function createInvoicesBroker({ db }: { readonly db: Db }): Broker<'invoices'> {
  async function view(scope: Scope, uuid: string): Promise<InvoiceView> {
    const found = await readInvoiceView(db, scope.tenantId, uuid);
    if (found === undefined) throw new HostError('NOT_FOUND', 'invoices: there is no such invoice.');
    return found;
  }

  return {
    async get(scope, { uuid }, grant) {
      need(scope, grant, 'read');
      return view(scope, uuid);
    },

    async list(scope, { status, client_uuid: clientId, after, size }, grant) {
      need(scope, grant, 'read');
      const { invoices, next } = await listInvoiceViews(
        db,
        scope.tenantId,
        { status, clientId, after },
        size,
      );
      return next === undefined ? { invoices } : { invoices, next };
    },

    async recordPayment(scope, input, grant) {
      need(scope, grant, 'record');
      const instanceId = bookingInstance(scope);
      needProof(scope);
      const { paymentId, booked } = await bookPayment(db, {
        instanceId,
        tenantId: scope.tenantId,
        invoiceId: input.invoice_uuid,
        transactionId: input.transaction_id,
        amountMinor: input.amount,
        feeMinor: input.fee,
        currency: input.currency,
        payload: input.payload,
        handled: input.handled,
        taskId: scope.taskId,
      });
      return { payment_uuid: paymentId, booked, invoice: await view(scope, input.invoice_uuid) };
    },

    async recordFailure(scope, { invoice_uuid: invoiceId, reason, payload, handled }, grant) {
      need(scope, grant, 'record');
      const instanceId = bookingInstance(scope);
      needProof(scope);
      // A failure that is told after the payment it came before is no news.
      if ((await view(scope, invoiceId)).due_amount === 0) return {};
      const { tenantId, taskId } = scope;
      await paymentFailed(db, { instanceId, tenantId, invoiceId, reason, payload, handled, taskId });
      return {};
    },
  };
}
