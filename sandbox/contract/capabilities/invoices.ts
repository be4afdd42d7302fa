/**
 * invoices: the tenant's invoices, and recording what came in for them. Reading and recording are granted apart. Amounts are integer
 * minor units; a payment is booked once for each (instance, transaction_id), however often it is told.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { InvoiceView } from '../kinds/payment.ts';
import { op } from '../op.ts';

const ACCESS = {
  read: 'Read your invoices: numbers, amounts, what they are for, and each client’s name and e-mail.',
  record: 'Record payments of invoices, which counts them as paid.',
} as const;
const ACCESS_NAMES = ['read', 'record'] as const;

const Uuid = v.pipe(v.string(), v.uuid());
const AmountMinor = v.pipe(
  v.number(),
  v.safeInteger('a whole number of minor units is expected'),
  v.minValue(0),
);
const Currency = v.pipe(
  v.string(),
  v.toUpperCase(),
  v.regex(/^[A-Z]{3}$/, 'three letters are expected, for example EUR'),
);
/** The module does itself what follows: the host does not call onPaymentSuccess or onPaymentFailed. The base class sets it inside of them. */
const Handled = v.optional(v.boolean(), false);
const TransactionId = v.pipe(v.string(), v.minLength(1), v.maxLength(200));

export const invoices = capability({
  title: 'Invoices',
  doc: 'Read invoices, and record payments of them.',
  icon: 'file-invoice-dollar',
  inherent: false,
  grant: {
    access: {
      sort: 'list',
      doc: '"read" and "record" (payment modules only).',
      risk: 'high',
      item: v.picklist(ACCESS_NAMES, `one of ${ACCESS_NAMES.join(', ')} is expected.`),
      words: (item: string) => (item === 'record' ? ACCESS.record : ACCESS.read),
      fallback: ['read'],
    },
  },
  ops: {
    get: op('One invoice of the tenant.', v.object({ uuid: Uuid }), InvoiceView),
    list: op(
      'Invoices of the tenant, newest first, a page at a time.',
      v.object({
        status: v.optional(v.picklist(['unpaid', 'paid', 'cancelled', 'refunded', 'overdue'])),
        client_uuid: v.optional(Uuid),
        after: v.optional(Uuid),
        size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
      }),
      v.object({ invoices: v.array(InvoiceView), next: v.optional(v.string()) }),
    ),
    recordPayment: op(
      'Books what came in, exactly once for each transaction_id of this instance. From a webhook, a client’s return or a job only; what a page was asked is no proof of a payment.',
      v.object({
        invoice_uuid: Uuid,
        transaction_id: TransactionId,
        amount: v.pipe(AmountMinor, v.minValue(1)),
        fee: v.optional(AmountMinor, 0),
        currency: Currency,
        /** What the gateway told, for the admin to read. */
        payload: v.optional(v.unknown()),
        handled: Handled,
      }),
      v.object({
        payment_uuid: v.string(),
        /** False: it had been booked before, and nothing happened now. */
        booked: v.boolean(),
        invoice: InvoiceView,
      }),
    ),
    recordFailure: op(
      'Tells that a payment did not go through; nothing is booked.',
      v.object({
        invoice_uuid: Uuid,
        reason: v.optional(v.pipe(v.string(), v.maxLength(500)), ''),
        /** What the gateway told, for onPaymentFailed. */
        payload: v.optional(v.unknown()),
        handled: Handled,
      }),
      v.object({}),
    ),
  },
});
