/**
 * Stripe: the client pays on Stripe's own page, and Stripe's signed webhook says so. The page the client comes back to asks Stripe as well,
 * so it does not matter which of the two is first, or how often either comes: a payment is booked once. The README says what of this
 * is the module guide's and what was added to it.
 */
import { json, Payment, redirect, response } from 'bulkhead';
import type { Data, IncomingRequest, PayData, RefundAnswer, Reply } from 'bulkhead';
import { intentIn, type Intent, type StripeEvent } from './services/answers.ts';
import { verifyEvent } from './services/signature.ts';
import { StripeClient } from './services/StripeClient.ts';

const DEFAULT_API_URL = 'https://api.stripe.com';
const API_TIMEOUT_SECONDS = 8;

export default class Stripe extends Payment {
  private get client(): StripeClient {
    return new StripeClient(this.http, {
      url: String(this.module_data['api_url']),
      secretKey: String(this.module_data['secret_key']),
      timeoutSeconds: API_TIMEOUT_SECONDS,
    });
  }

  // Configuration. Secrets in it are handles: texts that the host replaces on the way to Stripe.

  override getModuleData(data: Data = {}): Data {
    const url = typeof data['api_url'] === 'string' ? data['api_url'].trim().replace(/\/+$/, '') : '';
    return {
      secret_key: data['secret_key'] ?? '',
      webhook_secret: data['webhook_secret'] ?? '',
      sandbox: data['sandbox'] ?? false,
      api_url: url === '' ? DEFAULT_API_URL : url,
      checkout_url: data['checkout_url'] ?? '',
    };
  }

  // The client's side

  override async getClientAreaHtml(data: PayData): Promise<string | Reply> {
    if (this.module_data['secret_key'] === '') return this.view('client_area', { session: null });
    const { invoice } = data;
    const session = await this.client.createSession({
      referenceId: invoice.uuid,
      invoiceId: invoice.number,
      description: this.t('invoice', { number: invoice.number }),
      amount: invoice.due_amount,
      currency: invoice.currency,
      email: invoice.client.email,
      return_url: this.getReturnUrl(),
      cancel_url: this.getCancelUrl(),
      once: `${this.instance?.uuid ?? ''}-${invoice.uuid}-${invoice.due_amount}`,
    });
    this.logInfo(
      'createSession',
      { invoice: invoice.number },
      { session: session.id, status: session.status },
    );
    return session.url === null ? this.view('client_area', { session }) : redirect(session.url);
  }

  /** The client is back. The address could have been typed: Stripe is asked whether its session was paid, and whose invoice it was for. */
  async onPaymentReturn(data: PayData & { query: Record<string, string> }): Promise<Data> {
    const sessionId = data.query['session_id'] ?? '';
    if (!/^cs_[A-Za-z0-9_]{1,200}$/.test(sessionId)) return { status: 'success', booked: false };
    const session = await this.client.getSession(sessionId);
    if (session.client_reference_id !== data.invoice.uuid || session.payment_intent === null)
      return { status: 'error', message: 'The session is another invoice’s.' };
    if (session.payment_status !== 'paid') return { status: 'success', booked: false };
    return this.book(await this.client.getIntent(session.payment_intent));
  }

  // Webhooks

  async apiWebhookPost(request: IncomingRequest): Promise<Reply | Data> {
    const checked = await verifyEvent(request, this.secrets, {
      nowMs: Date.now(),
      sandbox: this.module_data['sandbox'] === true,
    });
    if ('refused' in checked) {
      this.logError('webhook refused', checked.refused);
      return response(checked.refused, 400);
    }
    const { event } = checked;
    switch (event.type) {
      case 'payment_intent.succeeded':
        return this.onPaymentSuccess(event);
      case 'payment_intent.payment_failed':
        return this.onPaymentFailed(event);
      default:
        return response('ok', 200);
    }
  }

  override async onPaymentSuccess(payload: Data): Promise<Reply | Data> {
    // The host's own call, after a client's return booked it: there is nothing more to do.
    if ('payment' in payload) return { status: 'success' };
    const intent = intentIn(payload as StripeEvent);
    // The account may take payments that are not ours: they have no invoice.
    if (intent?.metadata['invoice_uuid'] === undefined) return response('ok', 200);
    return json(await this.book(intent));
  }

  override async onPaymentFailed(payload: Data): Promise<Reply> {
    const intent = intentIn(payload as StripeEvent);
    const invoice = intent?.metadata['invoice_uuid'];
    if (intent === undefined || invoice === undefined) return response('ok', 200);
    const reason = intent.last_payment_error?.message ?? 'declined';
    this.logInfo('payment failed', { payment_intent: intent.id }, { reason });
    await this.invoices.recordFailure({ invoice_uuid: invoice, reason });
    return response('ok', 200);
  }

  private async book(intent: Intent): Promise<Data> {
    if (intent.status !== 'succeeded') return { status: 'success', booked: false };
    const fee = await this.client.feeOf(intent);
    const { booked, invoice } = await this.invoices.recordPayment({
      invoice_uuid: intent.metadata['invoice_uuid'] ?? '',
      transaction_id: intent.id,
      amount: intent.amount_received,
      fee: fee ?? 0,
      currency: intent.currency,
      payload: { charge: intent.latest_charge, description: intent.description },
    });
    this.logInfo('payment', { payment_intent: intent.id }, { booked, invoice: invoice.number, fee });
    return { status: 'success', booked };
  }

  // Refunds. The host runs this as a job: one request, sent again after a crash under the same idempotency key.

  async refund(transactionId: string, amount: number): Promise<RefundAnswer> {
    const result = await this.step(
      'refund',
      ({ idempotencyKey }) => this.client.refund(transactionId, amount, idempotencyKey),
      // With the same key Stripe repeats its first answer and does nothing: sending again is always right.
      { check: () => undefined },
    );
    this.logInfo('refund', { payment_intent: transactionId, amount }, result);
    return result.success
      ? { status: 'success', transaction_id: result.id }
      : { status: 'error', message: result.error };
  }
}
