/** Stripe-shaped webhooks: signed, retried, and late, twice or out of order on demand. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { at, CHECKOUT, press, receiver, stripeCall, until } from './support.ts';
import type { Hook, Receiver } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ stripeKeys: ['sk_test_one', 'sk_test_two'], webhookRetryMs: [1, 1] });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

async function checkout(account = 0): Promise<Record<string, unknown>> {
  return (await stripeCall(cloud, '/checkout/sessions', CHECKOUT, { account })).json;
}

const hooksOf = (endpoint: Receiver, count: number) =>
  until(`${count} webhooks`, () => (endpoint.hooks.length >= count ? endpoint.hooks : null));
const types = (hooks: readonly Hook[]) => hooks.map(({ event }) => event['type']);
/** All deliveries, once none is waiting any more. */
const settled = () =>
  until('the end of all deliveries', async () => {
    const all = await cloud.control.webhookDeliveries();
    return all.some(({ state }) => state === 'waiting') ? null : all;
  });

function isSigned({ body, signature }: Hook, secret: string): boolean {
  const [, time = '', mac = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  return createHmac('sha256', secret).update(`${time}.${body}`).digest('hex') === mac;
}

describe('events', () => {
  test('a payment sends two events, signed over the raw body with the endpoint’s secret', async () => {
    await using endpoint = await receiver();
    const { secret } = await cloud.control.addWebhook({ url: endpoint.url });
    const session = await checkout();
    await press(session['url'], 'pay');
    const hooks = await hooksOf(endpoint, 2);
    expect(types(hooks)).toEqual(['payment_intent.succeeded', 'checkout.session.completed']);
    expect(hooks.every((hook) => isSigned(hook, secret))).toBe(true);
    const [intent, completed] = hooks.map(({ event }) => at(event, 'data', 'object'));
    expect(intent).toMatchObject({
      id: session['payment_intent'],
      status: 'succeeded',
      metadata: { invoice: 'invoice-1' },
    });
    expect(completed).toMatchObject({
      id: session['id'],
      payment_status: 'paid',
      client_reference_id: 'invoice-1',
    });
    expect((await settled()).map(({ state }) => state)).toEqual(['delivered', 'delivered']);
  });

  test('a second press of Pay sends nothing', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url });
    const { url } = await checkout();
    await press(url, 'pay');
    await press(url, 'pay');
    await hooksOf(endpoint, 2);
    expect(await settled()).toHaveLength(2);
  });

  test('declines, refunds and expiry send their events', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url });
    const session = await checkout();
    await press(session['url'], 'decline');
    await hooksOf(endpoint, 1);
    await press(session['url'], 'pay');
    await hooksOf(endpoint, 3);
    await stripeCall(cloud, '/refunds', { payment_intent: String(session['payment_intent']), amount: '100' });
    await hooksOf(endpoint, 4);
    await stripeCall(cloud, `/checkout/sessions/${String((await checkout())['id'])}/expire`, {});
    const hooks = await hooksOf(endpoint, 5);
    expect(types(hooks)).toEqual([
      'payment_intent.payment_failed',
      'payment_intent.succeeded',
      'checkout.session.completed',
      'charge.refunded',
      'checkout.session.expired',
    ]);
    expect(at(hooks[3]?.event, 'data', 'object')).toMatchObject({ amount_refunded: 100, refunded: false });
  });

  test('an endpoint gets the events it asked for, of its own account', async () => {
    await using refunds = await receiver();
    await using other = await receiver();
    await using all = await receiver();
    await cloud.control.addWebhook({ url: refunds.url, events: ['charge.refunded'] });
    await cloud.control.addWebhook({ url: other.url, secretKey: 'sk_test_two' });
    await cloud.control.addWebhook({ url: all.url });
    await press((await checkout())['url'], 'pay');
    await hooksOf(all, 2);
    await settled();
    expect([refunds.hooks.length, other.hooks.length]).toEqual([0, 0]);
    await press((await checkout(1))['url'], 'pay');
    await hooksOf(other, 2);
    await settled();
    expect(all.hooks).toHaveLength(2);
  });

  test('an endpoint made through Stripe’s own API gets a secret that is shown once', async () => {
    await using endpoint = await receiver();
    const made = await stripeCall(cloud, '/webhook_endpoints', {
      url: endpoint.url,
      'enabled_events[]': '*',
    });
    const secret = String(made.json['secret']);
    expect(secret).toMatch(/^whsec_/);
    expect((await stripeCall(cloud, '/webhook_endpoints')).text).not.toContain(secret);
    await press((await checkout())['url'], 'pay');
    expect(isSigned((await hooksOf(endpoint, 1))[0] ?? { body: '', signature: '', event: {} }, secret)).toBe(
      true,
    );
    const headers = { authorization: 'Bearer sk_test_one' };
    const path = `${cloud.cloud}/v1/webhook_endpoints/${String(made.json['id'])}`;
    expect(
      (await fetch(path, { method: 'DELETE', headers: { authorization: 'Bearer sk_test_two' } })).status,
    ).toBe(404);
    expect((await fetch(path, { method: 'DELETE', headers })).status).toBe(200);
    expect((await fetch(path, { method: 'DELETE', headers })).status).toBe(404);
  });
});

describe('where webhooks may go', () => {
  test.each([
    'http://192.0.2.1/hook',
    'http://example.com/hook',
    'https://127.0.0.1/hook',
    'http://localhost.example.com/hook',
    'http://127.0.0.1.example.com/',
    'http://0.0.0.0/hook',
    'file:///etc/passwd',
    'nowhere',
  ])('%s is refused by both APIs', async (url) => {
    await expect(cloud.control.addWebhook({ url })).rejects.toThrow('422');
    const { status, json } = await stripeCall(cloud, '/webhook_endpoints', { url, 'enabled_events[]': '*' });
    expect([status, at(json, 'error', 'code')]).toEqual([400, 'url_invalid']);
  });

  test('a name under .localhost reaches this machine whatever it resolves to', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url.replace('127.0.0.1', 'tenant-a.localhost') });
    await press((await checkout())['url'], 'pay');
    expect(types(await hooksOf(endpoint, 2))).toContain('checkout.session.completed');
  });
});

describe('delivery', () => {
  test('a delivery is repeated until a 2xx, with the same event and a signature of its own time', async () => {
    await using endpoint = await receiver();
    const { secret } = await cloud.control.addWebhook({
      url: endpoint.url,
      events: ['payment_intent.succeeded'],
    });
    endpoint.answers.push(500, 302);
    await press((await checkout())['url'], 'pay');
    const hooks = await hooksOf(endpoint, 3);
    expect(new Set(hooks.map(({ body }) => body)).size).toBe(1);
    expect(hooks.every((hook) => isSigned(hook, secret))).toBe(true);
    const [delivery] = await settled();
    expect(delivery?.state).toBe('delivered');
    expect(delivery?.attempts.map(({ status, answer }) => [status, answer])).toEqual([
      [500, 'seen'],
      [302, 'seen'],
      [200, 'seen'],
    ]);
  });

  test('a delivery has failed when its attempts are used up, also when nobody listens', async () => {
    const closed = await receiver();
    await closed[Symbol.asyncDispose]();
    await cloud.control.addWebhook({ url: closed.url, events: ['payment_intent.succeeded'] });
    await press((await checkout())['url'], 'pay');
    const failed = await until('failure', async () =>
      (await cloud.control.webhookDeliveries()).find(({ state }) => state === 'failed'),
    );
    expect(failed.attempts.map(({ status }) => status)).toEqual([null, null, null]);
  });

  test('a receiver that fails does not hold up the others', async () => {
    await using bad = await receiver();
    await using good = await receiver();
    bad.answers.push(500, 500, 500, 500, 500, 500);
    await cloud.control.addWebhook({ url: bad.url });
    await cloud.control.addWebhook({ url: good.url });
    await press((await checkout())['url'], 'pay');
    expect(types(await hooksOf(good, 2))).toEqual(['payment_intent.succeeded', 'checkout.session.completed']);
  });

  test('copies: every event arrives as often as asked, with the same id', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url, events: ['checkout.session.completed'] });
    await cloud.control.setWebhookPolicy({ copies: 3 });
    await press((await checkout())['url'], 'pay');
    const hooks = await hooksOf(endpoint, 3);
    expect(new Set(hooks.map(({ event }) => event['id'])).size).toBe(1);
    expect(await settled()).toHaveLength(3);
  });

  test('reversed: the session is completed before its payment succeeded', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url });
    await cloud.control.setWebhookPolicy({ order: 'reversed' });
    await press((await checkout())['url'], 'pay');
    expect(types(await hooksOf(endpoint, 2))).toEqual([
      'checkout.session.completed',
      'payment_intent.succeeded',
    ]);
  });

  test('hold: nothing goes out until it is released, in the order wanted then', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url });
    await cloud.control.setWebhookPolicy({ hold: true });
    const session = await checkout();
    await press(session['url'], 'pay');
    await stripeCall(cloud, '/refunds', { payment_intent: String(session['payment_intent']) });
    expect((await cloud.control.webhookDeliveries()).map(({ state }) => state)).toEqual([
      'held',
      'held',
      'held',
    ]);
    expect(endpoint.hooks).toEqual([]);
    await cloud.control.setWebhookPolicy({ order: 'reversed' });
    expect(await cloud.control.releaseWebhooks()).toBe(3);
    expect(types(await hooksOf(endpoint, 3))).toEqual([
      'charge.refunded',
      'checkout.session.completed',
      'payment_intent.succeeded',
    ]);
    expect(await cloud.control.releaseWebhooks()).toBe(0);
  });

  test('delay: the delivery waits, and a reset calls it off', async () => {
    await using endpoint = await receiver();
    const payDelayed = async (delayMs: number) => {
      await cloud.control.addWebhook({ url: endpoint.url, events: ['checkout.session.completed'] });
      await cloud.control.setWebhookPolicy({ delayMs });
      const session = await checkout();
      await press(session['url'], 'pay');
      return session['id'];
    };
    await payDelayed(200);
    expect((await cloud.control.webhookDeliveries()).map(({ state }) => state)).toEqual(['waiting']);
    await cloud.control.reset();
    expect(await cloud.control.webhookDeliveries()).toEqual([]);
    const second = await payDelayed(300);
    const hooks = await hooksOf(endpoint, 1);
    expect(hooks.map(({ event }) => at(event, 'data', 'object', 'id'))).toEqual([second]);
  });

  test('a reset while one delivery awaits its retry and the next its turn harms nothing', async () => {
    await using own = await spawnFakeCloud({ webhookRetryMs: [60_000] });
    await using endpoint = await receiver();
    endpoint.answers.push(500);
    await own.control.addWebhook({ url: endpoint.url });
    await own.control.setWebhookPolicy({ delayMs: 300 });
    await press((await stripeCall(own, '/checkout/sessions', CHECKOUT)).json['url'], 'pay');
    await hooksOf(endpoint, 1);
    await own.control.reset();
    expect(await own.control.webhookDeliveries()).toEqual([]);
  });

  test('resend: the same event once more', async () => {
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url, events: ['checkout.session.completed'] });
    await press((await checkout())['url'], 'pay');
    const [first] = await hooksOf(endpoint, 1);
    await cloud.control.resendWebhook(String(first?.event['id']));
    expect((await hooksOf(endpoint, 2))[1]?.body).toBe(first?.body);
  });

  test('signatures can be made wrong or old, for a receiver that must refuse them', async () => {
    await using endpoint = await receiver();
    const { secret } = await cloud.control.addWebhook({
      url: endpoint.url,
      events: ['payment_intent.succeeded'],
    });
    await cloud.control.setWebhookPolicy({ signature: 'wrong' });
    await press((await checkout())['url'], 'pay');
    await hooksOf(endpoint, 1);
    await cloud.control.setWebhookPolicy({ signature: 'old' });
    await press((await checkout())['url'], 'pay');
    const [wrong, old] = await hooksOf(endpoint, 2);
    if (wrong === undefined || old === undefined) throw new Error('two webhooks were awaited');
    expect([isSigned(wrong, secret), isSigned(old, secret)]).toEqual([false, true]);
    const ageS = Math.floor(Date.now() / 1000) - Number(/^t=(\d+)/.exec(old.signature)?.[1]);
    expect(ageS).toBeGreaterThanOrEqual(3_600);
  });

  test('a policy out of bounds is refused and changes nothing', async () => {
    await expect(cloud.control.setWebhookPolicy({ copies: 6 })).rejects.toThrow(
      'body.copies: must be between 1 and 5',
    );
    await using endpoint = await receiver();
    await cloud.control.addWebhook({ url: endpoint.url, events: ['payment_intent.succeeded'] });
    await press((await checkout())['url'], 'pay');
    await hooksOf(endpoint, 1);
    expect(await settled()).toHaveLength(1);
  });
});

test('a webhook address given at start is served from the start, and after a reset with the same secret', async () => {
  await using endpoint = await receiver();
  await using own = await spawnFakeCloud({ webhookUrl: endpoint.url });
  const secret = own.stripe.webhookSecret ?? '';
  const pay = async () => press((await stripeCall(own, '/checkout/sessions', CHECKOUT)).json['url'], 'pay');
  await pay();
  await hooksOf(endpoint, 2);
  await own.control.reset();
  await pay();
  const hooks = await hooksOf(endpoint, 4);
  expect(hooks.every((hook) => isSigned(hook, secret))).toBe(true);
});
