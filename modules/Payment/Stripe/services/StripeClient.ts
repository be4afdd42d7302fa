/** Stripe's API, as far as this module needs it: checkout sessions, payments, fees, refunds. Bodies are forms, amounts minor units. */
import { CapabilityError, HttpError, v, type Http } from 'bulkhead';
import { BalanceTransaction, Charge, Intent, Problem, Refund, Session } from './answers.ts';

type HttpClient = ReturnType<Http['client']>;

export interface NewSession {
  /** The invoice's uuid: by it the payment finds its invoice again. */
  readonly referenceId: string;
  /** The invoice's number, for people. */
  readonly invoiceId: string;
  readonly description: string;
  readonly amount: number;
  readonly currency: string;
  readonly email: string;
  readonly return_url: string;
  readonly cancel_url: string;
  /** Equal wishes of one day share one session: a second tab, or a click that was repeated, is no second payment. */
  readonly once: string;
}

export type RefundResult =
  | { readonly success: true; readonly id: string }
  | { readonly success: false; readonly error: string };

const SERVER_ERROR = 500;
const TOO_MANY_REQUESTS = 429;

function messageOf(error: HttpError): string {
  const said = v.safeParse(Problem, error.body);
  return said.success ? said.output.error.message : `Stripe answered ${error.status}`;
}

export class StripeClient {
  private readonly client: HttpClient;

  constructor(http: Http, options: { url: string; secretKey: string; timeoutSeconds: number }) {
    this.client = http.client({
      baseURL: options.url,
      timeout: options.timeoutSeconds,
      headers: { Authorization: `Bearer ${options.secretKey}` },
    });
  }

  async createSession(wanted: NewSession): Promise<Session> {
    const day = new Date().toISOString().slice(0, 10);
    const session = await this.newSession(wanted, `${wanted.once}-${day}`);
    // What has expired is replaced, once again for all who ask. What was paid is not: its webhook is under way.
    return session.status === 'expired' ? this.newSession(wanted, `${wanted.once}-${session.id}`) : session;
  }

  private async newSession(wanted: NewSession, key: string): Promise<Session> {
    const back = `${wanted.return_url}?session_id={CHECKOUT_SESSION_ID}`;
    const form = {
      mode: 'payment',
      client_reference_id: wanted.referenceId,
      customer_email: wanted.email,
      'line_items[0][quantity]': '1',
      'line_items[0][price_data][currency]': wanted.currency.toLowerCase(),
      'line_items[0][price_data][unit_amount]': String(wanted.amount),
      'line_items[0][price_data][product_data][name]': wanted.description,
      'payment_intent_data[description]': wanted.description,
      'payment_intent_data[metadata][invoice_uuid]': wanted.referenceId,
      'payment_intent_data[metadata][invoice_number]': wanted.invoiceId,
      success_url: back,
      cancel_url: wanted.cancel_url,
    };
    const answer = await this.client.post('/v1/checkout/sessions', {
      form,
      headers: { 'Idempotency-Key': key },
    });
    const { id } = v.parse(Session, answer.data);
    // A repeated answer is the first one: how the session stands now is asked for.
    return this.getSession(id);
  }

  async getSession(id: string): Promise<Session> {
    const answer = await this.client.get(`/v1/checkout/sessions/${encodeURIComponent(id)}`);
    return v.parse(Session, answer.data);
  }

  async getIntent(id: string): Promise<Intent> {
    const answer = await this.client.get(`/v1/payment_intents/${encodeURIComponent(id)}`);
    return v.parse(Intent, answer.data);
  }

  /** What Stripe kept of a payment. Undefined if it does not say: a booking must not hang on it. */
  async feeOf(intent: Intent): Promise<number | undefined> {
    if (intent.latest_charge === null) return undefined;
    try {
      const charge = await this.client.get(`/v1/charges/${encodeURIComponent(intent.latest_charge)}`);
      const { balance_transaction: id } = v.parse(Charge, charge.data);
      if (id === null) return undefined;
      const balance = await this.client.get(`/v1/balance_transactions/${encodeURIComponent(id)}`);
      const { fee, currency } = v.parse(BalanceTransaction, balance.data);
      // In the account's own currency: only then it is the same money.
      return currency.toLowerCase() === intent.currency.toLowerCase() ? fee : undefined;
    } catch {
      return undefined;
    }
  }

  /** A refusal is an answer; whatever else happens is thrown, for then nobody knows whether money went. */
  async refund(paymentIntent: string, amount: number, idempotencyKey: string): Promise<RefundResult> {
    try {
      const answer = await this.client.post('/v1/refunds', {
        form: { payment_intent: paymentIntent, amount },
        headers: { 'Idempotency-Key': idempotencyKey },
      });
      const refund = v.parse(Refund, answer.data);
      return refund.status === 'failed'
        ? { success: false, error: 'Stripe could not carry the refund out.' }
        : { success: true, id: refund.id };
    } catch (error) {
      if (error instanceof CapabilityError || !(error instanceof HttpError)) throw error;
      if (error.status >= SERVER_ERROR || error.status === TOO_MANY_REQUESTS) throw error;
      return { success: false, error: messageOf(error) };
    }
  }
}
