/** Payments as Stripe writes them, in answers and in the `data.object` of events. */
import type { Charge, Intent, Refund, Session } from './stripe-store.ts';
import { feeOf, refundedOf } from './stripe-store.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';

type Json = Record<string, unknown>;

export function sessionJson(session: Session, origin: string): Json {
  const { id, amount, currency, createdS, status, intent } = session;
  return {
    id,
    object: 'checkout.session',
    amount_subtotal: amount,
    amount_total: amount,
    cancel_url: session.cancelUrl,
    client_reference_id: session.reference,
    created: createdS,
    currency,
    customer: null,
    customer_email: session.email,
    expires_at: createdS + FAKECLOUD_LIMITS.checkoutOpenMs / 1000,
    livemode: false,
    metadata: session.metadata,
    mode: 'payment',
    payment_intent: intent.id,
    payment_method_types: ['card'],
    payment_status: status === 'complete' ? 'paid' : 'unpaid',
    status,
    success_url: session.successUrl,
    url: status === 'open' ? `${origin}/c/pay/${id}` : null,
  };
}

export function intentJson(intent: Intent): Json {
  const paid = intent.status === 'succeeded';
  const declined = {
    type: 'card_error',
    code: 'card_declined',
    decline_code: 'generic_decline',
    message: 'Your card was declined.',
  };
  return {
    id: intent.id,
    object: 'payment_intent',
    amount: intent.amount,
    amount_received: paid ? intent.amount : 0,
    created: intent.createdS,
    currency: intent.currency,
    description: intent.description,
    last_payment_error: intent.declined && !paid ? declined : null,
    latest_charge: intent.charge?.id ?? null,
    livemode: false,
    metadata: intent.metadata,
    payment_method_types: ['card'],
    status: intent.status,
  };
}

export function chargeJson(charge: Charge): Json {
  const { intent } = charge;
  return {
    id: charge.id,
    object: 'charge',
    amount: intent.amount,
    amount_captured: intent.amount,
    amount_refunded: refundedOf(charge),
    balance_transaction: charge.balanceTransaction,
    captured: true,
    created: charge.createdS,
    currency: intent.currency,
    description: intent.description,
    livemode: false,
    metadata: intent.metadata,
    paid: true,
    payment_intent: intent.id,
    refunded: refundedOf(charge) === intent.amount,
    status: 'succeeded',
  };
}

export function balanceTransactionJson(charge: Charge): Json {
  const { amount, currency } = charge.intent;
  const fee = feeOf(amount);
  return {
    id: charge.balanceTransaction,
    object: 'balance_transaction',
    amount,
    created: charge.createdS,
    currency,
    fee,
    fee_details: [{ amount: fee, currency, description: 'Stripe processing fees', type: 'stripe_fee' }],
    net: amount - fee,
    source: charge.id,
    status: 'available',
    type: 'charge',
  };
}

export function refundJson(refund: Refund): Json {
  return {
    id: refund.id,
    object: 'refund',
    amount: refund.amount,
    charge: refund.charge.id,
    created: refund.createdS,
    currency: refund.charge.intent.currency,
    metadata: refund.metadata,
    payment_intent: refund.charge.intent.id,
    reason: refund.reason,
    status: 'succeeded',
  };
}
