/** The Stripe-shaped API and its hosted page. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { answerOf, at, CHECKOUT, press, stripeCall } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ stripeKeys: ['sk_test_one', 'sk_test_two'] });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

const open = async (changes: Readonly<Record<string, string>> = {}) =>
  (await stripeCall(cloud, '/checkout/sessions', { ...CHECKOUT, ...changes })).json;
const paid = async () => {
  const session = await open();
  await press(session['url'], 'pay');
  return session;
};

describe('keys', () => {
  test('a wrong or missing key is answered 401 in Stripe’s shape', async () => {
    for (const headers of [{}, { authorization: 'Bearer sk_test_nope' }] as Record<string, string>[]) {
      const { status, json } = await answerOf(
        await fetch(`${cloud.cloud}/v1/checkout/sessions/x`, { headers }),
      );
      expect([status, at(json, 'error', 'type')]).toEqual([401, 'invalid_request_error']);
    }
  });

  test('the key may come as the user name of Basic', async () => {
    const headers = { authorization: `Basic ${Buffer.from('sk_test_one:').toString('base64')}` };
    expect((await fetch(`${cloud.cloud}/v1/webhook_endpoints`, { headers })).status).toBe(200);
  });

  test('another account’s session, payment and charge do not exist', async () => {
    const session = await paid();
    const intent = String(session['payment_intent']);
    for (const path of [`/checkout/sessions/${String(session['id'])}`, `/payment_intents/${intent}`]) {
      expect((await stripeCall(cloud, path)).status).toBe(200);
      expect((await stripeCall(cloud, path, undefined, { account: 1 })).status).toBe(404);
    }
    expect((await stripeCall(cloud, '/refunds', { payment_intent: intent }, { account: 1 })).status).toBe(
      404,
    );
    expect(await cloud.control.effects('refund.created')).toEqual([]);
  });
});

describe('a checkout session', () => {
  test('a session has amount, reference, metadata and the address of its page', async () => {
    const session = await open();
    expect(session).toMatchObject({
      id: expect.stringMatching(/^cs_test_/),
      object: 'checkout.session',
      amount_total: 2500,
      currency: 'eur',
      client_reference_id: 'invoice-1',
      metadata: { invoice: 'invoice-1' },
      payment_status: 'unpaid',
      status: 'open',
    });
    expect((await stripeCall(cloud, `/checkout/sessions/${String(session['id'])}`)).json).toEqual(session);
    const page = await answerOf(await fetch(String(session['url'])));
    expect(page.text).toContain('€25.00');
    expect(page.text).toContain('Invoice #1');
  });

  test.each([
    ['mode', 'subscription', 'mode'],
    ['success_url', 'javascript:alert(1)', 'success_url'],
    ['cancel_url', 'nowhere', 'cancel_url'],
    ['line_items[0][price_data][unit_amount]', '12.50', 'line_items[0][price_data][unit_amount]'],
    ['line_items[0][price_data][unit_amount]', '-5', 'line_items[0][price_data][unit_amount]'],
    ['line_items[0][price_data][unit_amount]', '999999999', 'line_items'],
    ['line_items[0][price_data][currency]', 'euro', 'line_items[0][price_data][currency]'],
    ['line_items[0][price_data][product_data][name]', '', 'line_items[0][price_data][product_data][name]'],
    ['line_items[0][quantity]', '0', 'line_items[0][quantity]'],
  ])('%s=%s is answered 400 naming the parameter', async (field, value, param) => {
    const { status, json } = await stripeCall(cloud, '/checkout/sessions', { ...CHECKOUT, [field]: value });
    expect([status, at(json, 'error', 'param')]).toEqual([400, param]);
    expect(await cloud.control.effects('checkout.created')).toEqual([]);
  });

  test('two line items add up, of one currency only', async () => {
    const second = {
      'line_items[1][price_data][currency]': 'eur',
      'line_items[1][price_data][unit_amount]': '100',
      'line_items[1][price_data][product_data][name]': 'Fee',
    };
    expect((await open(second))['amount_total']).toBe(2600);
    const mixed = { ...CHECKOUT, ...second, 'line_items[1][price_data][currency]': 'usd' };
    expect((await stripeCall(cloud, '/checkout/sessions', mixed)).status).toBe(400);
  });

  test('a field called __proto__ is a field and nothing more', async () => {
    const session = await open({ 'metadata[__proto__]': 'a', '__proto__[amount]': '1', 'metadata[[x]': 'b' });
    expect(session['amount_total']).toBe(2500);
  });

  test('the same key gives the same session; with other parameters it is refused', async () => {
    const call = (form: Record<string, string>) =>
      stripeCall(cloud, '/checkout/sessions', form, { key: 'k1' });
    expect((await call(CHECKOUT)).json['id']).toBe((await call(CHECKOUT)).json['id']);
    expect(at((await call({ ...CHECKOUT, client_reference_id: 'other' })).json, 'error', 'type')).toBe(
      'idempotency_error',
    );
    const other = await stripeCall(cloud, '/checkout/sessions', CHECKOUT, { key: 'k1', account: 1 });
    expect(other.headers.get('idempotent-replayed')).toBeNull();
    expect(await cloud.control.effects('checkout.created')).toHaveLength(2);
  });

  test('an amount in a currency without minor units is shown whole', async () => {
    const session = await open({ 'line_items[0][price_data][currency]': 'jpy' });
    expect((await answerOf(await fetch(String(session['url'])))).text).toContain('¥2,500');
  });

  test('what a stranger writes is shown as text on the page', async () => {
    const session = await open({
      'line_items[0][price_data][product_data][name]': '<script>alert(1)</script>',
    });
    const { text } = await answerOf(await fetch(String(session['url'])));
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toContain('<script');
  });
});

describe('the hosted page', () => {
  test('Pay pays once, however often it is pressed, and leads back with the session’s id', async () => {
    const session = await open();
    const answers = [await press(session['url'], 'pay'), await press(session['url'], 'pay')];
    for (const { status, headers } of answers) {
      expect([status, headers.get('location')]).toEqual([
        303,
        `http://127.0.0.1/paid?session=${String(session['id'])}`,
      ]);
    }
    expect(await cloud.control.effects('payment.succeeded')).toHaveLength(1);
    const after = (await stripeCall(cloud, `/checkout/sessions/${String(session['id'])}`)).json;
    expect(after).toMatchObject({ status: 'complete', payment_status: 'paid', url: null });
  });

  test('Decline leaves the session open for another try', async () => {
    const session = await open();
    const declined = await press(session['url'], 'decline');
    expect([declined.status, declined.text]).toEqual([200, expect.stringContaining('declined')]);
    const intent = (await stripeCall(cloud, `/payment_intents/${String(session['payment_intent'])}`)).json;
    expect([intent['status'], at(intent, 'last_payment_error', 'code')]).toEqual([
      'requires_payment_method',
      'card_declined',
    ]);
    expect((await press(session['url'], 'pay')).status).toBe(303);
    expect(await cloud.control.effects('payment.succeeded')).toHaveLength(1);
  });

  test('Cancel leads to the cancel address and changes nothing', async () => {
    const session = await open();
    expect((await press(session['url'], 'cancel')).headers.get('location')).toBe(
      'http://127.0.0.1/cancelled',
    );
    expect((await stripeCall(cloud, `/checkout/sessions/${String(session['id'])}`)).json['status']).toBe(
      'open',
    );
  });

  test('an expired session cannot be paid', async () => {
    const session = await open();
    expect(
      (await stripeCall(cloud, `/checkout/sessions/${String(session['id'])}/expire`, {})).json['status'],
    ).toBe('expired');
    expect((await press(session['url'], 'pay')).status).toBe(410);
    expect(await cloud.control.effects('payment.succeeded')).toEqual([]);
    expect((await stripeCall(cloud, `/checkout/sessions/${String(session['id'])}/expire`, {})).status).toBe(
      400,
    );
  });

  test('a guessed address is 404 and another button 400', async () => {
    expect((await press(`${cloud.cloud}/c/pay/cs_test_guess`, 'pay')).status).toBe(404);
    const { url } = await open();
    const body = new URLSearchParams({ outcome: 'steal' });
    expect((await fetch(String(url), { method: 'POST', body })).status).toBe(400);
  });
});

describe('what a payment leaves', () => {
  test('the payment leads to its charge, its fee and what is left of it', async () => {
    const session = await paid();
    const intent = (await stripeCall(cloud, `/payment_intents/${String(session['payment_intent'])}`)).json;
    expect(intent).toMatchObject({
      status: 'succeeded',
      amount_received: 2500,
      metadata: { invoice: 'invoice-1' },
    });
    const charge = (await stripeCall(cloud, `/charges/${String(intent['latest_charge'])}`)).json;
    expect(charge).toMatchObject({ amount: 2500, refunded: false, payment_intent: intent['id'] });
    const balance = (
      await stripeCall(cloud, `/balance_transactions/${String(charge['balance_transaction'])}`)
    ).json;
    expect(balance).toMatchObject({ amount: 2500, fee: 63, net: 2437 });
    const path = `/balance_transactions/${String(charge['balance_transaction'])}`;
    expect((await stripeCall(cloud, path, undefined, { account: 1 })).status).toBe(404);
  });

  test('a part is refunded, then the rest, then no more', async () => {
    const intent = String((await paid())['payment_intent']);
    const refund = (form: Record<string, string>) =>
      stripeCall(cloud, '/refunds', { payment_intent: intent, ...form });
    expect((await refund({ amount: '1000', reason: 'duplicate' })).json).toMatchObject({
      object: 'refund',
      amount: 1000,
      currency: 'eur',
      status: 'succeeded',
      reason: 'duplicate',
    });
    expect(at((await refund({ amount: '1501' })).json, 'error', 'message')).toContain(
      'greater than unrefunded amount',
    );
    expect((await refund({})).json['amount']).toBe(1500);
    expect(at((await refund({})).json, 'error', 'code')).toBe('charge_already_refunded');
    expect(await cloud.control.effects('refund.created')).toHaveLength(2);
  });

  test('a refund whose answer was lost is not made twice with its key', async () => {
    const intent = String((await paid())['payment_intent']);
    const refund = () =>
      stripeCall(cloud, '/refunds', { payment_intent: intent, amount: '500' }, { key: 'refund-1' });
    await cloud.control.addPreset('stripe-refund-lost');
    await expect(refund()).rejects.toThrow('fetch failed');
    expect((await refund()).json['amount']).toBe(500);
    expect(await cloud.control.effects('refund.created')).toHaveLength(1);
  });

  test.each([
    [
      'a session not paid yet',
      async () => ({ payment_intent: String((await open())['payment_intent']) }),
      404,
    ],
    ['nothing', async () => ({}), 400],
    ['an unknown charge', async () => ({ charge: 'ch_none' }), 404],
    [
      'an amount of zero',
      async () => ({ payment_intent: String((await paid())['payment_intent']), amount: '0' }),
      400,
    ],
  ] as [string, () => Promise<Record<string, string>>, number][])(
    'a refund of %s is refused',
    async (_what, form, status) => {
      expect((await stripeCall(cloud, '/refunds', await form())).status).toBe(status);
      expect(await cloud.control.effects('refund.created')).toEqual([]);
    },
  );

  test('an unknown address is 404 in Stripe’s shape', async () => {
    const { status, json } = await stripeCall(cloud, '/customers');
    expect([status, at(json, 'error', 'message')]).toEqual([
      404,
      'Unrecognized request URL (GET: /v1/customers).',
    ]);
  });
});
