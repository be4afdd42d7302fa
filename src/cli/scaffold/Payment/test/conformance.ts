/** What the conformance suite tries this module with. */
import { createHmac } from 'node:crypto';
import type { ConformanceOptions } from 'bulkhead/kit';

export const SECRET = 'a-secret-for-tests-1';

export const INVOICE = {
  uuid: '11111111-1111-4111-8111-111111111111',
  number: '2026-1',
  status: 'unpaid',
  due_amount: 1_250,
  total_amount: 1_250,
  currency: 'EUR',
  description: 'Hosting',
  client: { uuid: '22222222-2222-4222-8222-222222222222', name: 'Ann', email: 'ann@example.com' },
};

export const options: ConformanceOptions = {
  settings: { account: 'DE89370400440532013000', webhook_secret: SECRET },
  delivery: ({ uuid, amount, currency }) => {
    const body = JSON.stringify({
      type: 'payment.succeeded',
      invoice: uuid,
      transaction: `t-${uuid}`,
      amount,
      currency,
    });
    const signature = createHmac('sha256', SECRET).update(body).digest('hex');
    return { body, headers: { 'content-type': 'application/json', 'x-signature': signature } };
  },
};
