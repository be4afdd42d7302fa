/**
 * Payment: takes money for invoices. A tenant may have several instances of one (two Stripe accounts): each has its own settings, secrets
 * and webhook address. All amounts are integer minor units of the currency beside them.
 */
import * as v from 'valibot';
import { kind, method } from '../op.ts';
import { ActionResult, Data, DataArgs, moduleMethods } from './module.ts';

const MinorUnits = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Page = v.unknown();

/** The invoice as a payment module sees it (contract A18). */
export const InvoiceView = v.object({
  uuid: v.string(),
  number: v.string(),
  status: v.string(),
  /** What is left to pay, in minor units. */
  due_amount: MinorUnits,
  total_amount: MinorUnits,
  currency: v.string(),
  description: v.string(),
  client: v.object({ uuid: v.string(), name: v.string(), email: v.string() }),
});
export type InvoiceView = v.InferOutput<typeof InvoiceView>;

/** What refund() answers. */
export const RefundResult = v.pipe(
  v.looseObject({
    status: v.optional(v.string()),
    success: v.optional(v.boolean()),
    /** The gateway's own number of the refund. */
    transaction_id: v.optional(v.pipe(v.string(), v.maxLength(200))),
    message: v.optional(v.unknown()),
  }),
  v.check(
    (result) => result.status !== undefined || result.success !== undefined,
    'an object with status or success is expected',
  ),
);

export const payment = kind({
  type: 'Payment',
  doc: 'Takes money for invoices: forms, redirects, webhooks, refunds.',
  instances: true,
  hostJobs: { refund: ({ transaction_id: transaction, amount }) => [transaction, amount] },
  families: [],
  methods: {
    ...moduleMethods,
    getModuleData: method(
      'Gives an instance’s settings their defaults; what it returns is this.module_data. Called first of all, on the same object.',
      DataArgs,
      Data,
    ),
    getSettingsPage: method(
      'HTML of an instance’s settings, shown in the module’s frame; data.webhook_url is the address to give to the gateway.',
      DataArgs,
      Page,
    ),
    getClientAreaHtml: method(
      'What the client sees to pay data.invoice: HTML for the module’s frame, or redirect(url) to a host granted in permissions.redirect.',
      DataArgs,
      Page,
    ),
    clientAreaPost: method(
      'A form of getClientAreaHtml was sent: the request, then {invoice}. HTML stays in the frame; redirect(url) leads to a host granted in permissions.redirect, redirect(this.getReturnUrl()) to how the payment stands. What the form says proves nothing: ask the gateway, then record. The guide has no such method; optional.',
      DataArgs,
      v.unknown(),
    ),
    onPaymentReturn: method(
      'A client came back from the gateway: data.invoice, and data.query as the address had it, which proves nothing. Ask the gateway, then record. The guide has no such method; optional.',
      DataArgs,
      v.unknown(),
    ),
    onPaymentSuccess: method(
      'A payment was booked: called by the host, once for each, with what the gateway told and payload.payment; or by the module’s own webhook, which it then records in, and the host does not call it again.',
      DataArgs,
      v.unknown(),
    ),
    onPaymentFailed: method(
      'An attempt that failed was recorded: called by the host, once for each, with payload.failure; or by the module’s own webhook, which then records it.',
      DataArgs,
      v.unknown(),
    ),
    refund: method(
      'Gives money back: the transaction and the amount in minor units. Absent: the admin refunds by hand.',
      v.tuple([v.string(), MinorUnits]),
      v.union([RefundResult, ActionResult]),
    ),
  },
});
