/** What the conformance suite tries this module with: the fake cloud's Stripe-shaped API, and deliveries signed as Stripe signs them. */
import { createHmac } from 'node:crypto';
import type { ConformanceOptions } from 'bulkhead/kit';

const KEY = 'sk_test_of_the_suite';
const SECRET = 'whsec_of_the_suite';
const MS = 1_000;

export const options: ConformanceOptions = {
  cloud: { stripeKeys: [KEY] },
  settings: ({ cloud }) => ({
    secret_key: KEY,
    webhook_secret: SECRET,
    sandbox: true,
    api_url: cloud?.cloud ?? '',
    checkout_url: cloud?.cloud ?? '',
  }),
  delivery: ({ uuid, amount, currency }) => {
    const intent = {
      id: `pi_${uuid}`,
      status: 'succeeded',
      amount,
      amount_received: amount,
      currency: currency.toLowerCase(),
      metadata: { invoice_uuid: uuid },
    };
    const body = JSON.stringify({
      id: `evt_${uuid}`,
      type: 'payment_intent.succeeded',
      livemode: false,
      data: { object: intent },
    });
    const time = Math.floor(Date.now() / MS);
    const signature = createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex');
    return {
      body,
      headers: { 'content-type': 'application/json', 'stripe-signature': `t=${time},v1=${signature}` },
    };
  },
};
