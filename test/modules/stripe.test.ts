/**
 * Stripe from the client's click to the booked payment and back: whole host, real HTTP, the fake cloud's Stripe-shaped API with signed
 * webhooks that come twice, late, reversed, or forged.
 */
import { createHmac } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { allowPorts, useTestHost } from '../support/host.ts';
import { invoiceRow, newInvoice, paymentsOf } from '../support/invoices.ts';
import { shippedFolder } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const SK = 'sk_test_the_only_one';
const RETURN = 'http://127.0.0.1:4300/t/x/return';
const CANCEL = 'http://127.0.0.1:4300/t/x/cancel';

let cloud: FakeCloud;
let server: ServerType;
let origin = '';
let instanceId = '';
let secret = '';

beforeAll(async () => {
  cloud = await spawnFakeCloud({ stripeKeys: [SK, 'sk_test_another'], webhookRetryMs: [50, 100, 200] });
  const listening = await new Promise<AddressInfo>((resolve) => {
    server = serve(
      {
        // The host knows itself by its public address only.
        fetch: (request) => {
          const { pathname, search } = new URL(request.url);
          return host().bulkhead.app.fetch(new Request(`http://127.0.0.1:4300${pathname}${search}`, request));
        },
        port: 0,
        hostname: '127.0.0.1',
      },
      resolve,
    );
  });
  origin = `http://127.0.0.1:${listening.port}`;
  await host().publishFolder(shippedFolder('Payment/Stripe'));
  await allowPorts(host().a, [Number(new URL(cloud.cloud).port)]);
  instanceId = await host().a.installedWithInstance('Stripe', settings());
  const endpoint = await cloud.control.addWebhook({
    url: origin + (await host().a.hook(instanceId)),
    secretKey: SK,
  });
  secret = endpoint.secret;
  await save({ webhook_secret: secret });
});
afterEach(async () => {
  await cloud.control.setWebhookPolicy({});
  await cloud.control.clearFaults();
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await cloud.stop();
});

function settings(more: Record<string, unknown> = {}) {
  return { secret_key: SK, sandbox: true, api_url: cloud.cloud, checkout_url: cloud.cloud, ...more };
}

async function save(more: Record<string, unknown>): Promise<void> {
  const values = settings(more);
  const saved = await host().a.panel.instances.save({ instanceId, values, accountId: host().a.adminId });
  expect(saved).toEqual({ ok: true });
}

function client() {
  return { id: host().a.clientId, kind: 'client' as const, permissions: [] };
}

async function checkout(invoiceId: string): Promise<string> {
  const { a } = host();
  const urls = { returnUrl: RETURN, cancelUrl: CANCEL };
  const answer = await a.panel.gateways.pay({
    tenantId: a.id,
    invoiceId,
    instanceId,
    account: client(),
    ...urls,
  });
  if (answer.kind !== 'redirect') throw new Error(JSON.stringify(answer));
  return answer.to;
}

/** Presses a button of Stripe's page. @returns where it leads */
async function press(page: string, outcome: 'pay' | 'decline' | 'cancel'): Promise<string> {
  const body = new URLSearchParams({ outcome });
  const answer = await fetch(page, { method: 'POST', body, redirect: 'manual' });
  return answer.headers.get('location') ?? '';
}

function returned(invoiceId: string, address: string): Promise<void> {
  const { a } = host();
  const query = Object.fromEntries(new URL(address).searchParams);
  return a.panel.gateways.returned({ tenantId: a.id, invoiceId, instanceId, query, account: client() });
}

async function paid(invoiceId: string): Promise<void> {
  await until(
    'the invoice to be paid',
    async () => (await invoiceRow(host().a, invoiceId)).status === 'paid',
  );
}

/** Until every delivery has arrived or was given up. */
async function delivered(): Promise<{ statuses: (number | null)[] }> {
  return until('deliveries to end', async () => {
    const all = await cloud.control.webhookDeliveries();
    const open = all.some(({ state }) => state === 'waiting' || state === 'held');
    return !open && { statuses: all.flatMap(({ attempts }) => attempts.map(({ status }) => status)) };
  });
}

async function deliver(body: string, header: string, path?: string): Promise<number> {
  const to = origin + (path ?? (await host().a.hook(instanceId)));
  const headers = { 'content-type': 'application/json', 'stripe-signature': header };
  return (await fetch(to, { method: 'POST', body, headers })).status;
}

function sign(body: string, key: string, atMs = Date.now()): string {
  const time = Math.floor(atMs / 1_000);
  return `t=${time},v1=${createHmac('sha256', key).update(`${time}.${body}`).digest('hex')}`;
}

function succeeded(invoice: string, id: string, amount: number): string {
  const object = { id, status: 'succeeded', amount, amount_received: amount, currency: 'usd' };
  return JSON.stringify({
    id: `evt_${id}`,
    type: 'payment_intent.succeeded',
    livemode: false,
    data: { object: { ...object, metadata: { invoice_uuid: invoice } } },
  });
}

describe('paying by Stripe', () => {
  test('sends the client to Stripe’s page, and the signed webhook books amount and fee [PY-10] [PY-24]', async () => {
    const invoice = await newInvoice(host().a, 10_000);
    const page = await checkout(invoice);
    expect(page.startsWith(`${cloud.cloud}/c/pay/cs_`)).toBe(true);
    expect((await invoiceRow(host().a, invoice)).status).toBe('unpaid');
    expect(await press(page, 'pay')).toContain(`${RETURN}?session_id=cs_`);
    await paid(invoice);
    const [payment, ...more] = await paymentsOf(host().a, invoice);
    expect(more).toEqual([]);
    expect(payment).toMatchObject({ amount_minor: 10_000, fee_minor: 175, instance_id: instanceId });
    expect(payment?.transaction_id).toMatch(/^pi_/);
  });

  test('books once when the webhook comes three times and its events reversed', async () => {
    await cloud.control.setWebhookPolicy({ copies: 3, order: 'reversed' });
    const invoice = await newInvoice(host().a, 2_000);
    await press(await checkout(invoice), 'pay');
    await paid(invoice);
    const { statuses } = await delivered();
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await paymentsOf(host().a, invoice)).toHaveLength(1);
  });

  test('the page the client comes back to books it, and the webhook that was held up changes nothing', async () => {
    await cloud.control.setWebhookPolicy({ hold: true });
    const invoice = await newInvoice(host().a, 3_000);
    const back = await press(await checkout(invoice), 'pay');
    await returned(invoice, back);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid' });
    await cloud.control.releaseWebhooks();
    await delivered();
    expect(await paymentsOf(host().a, invoice)).toHaveLength(1);
  });

  test('webhook and return page at the same moment book once', async () => {
    await cloud.control.setWebhookPolicy({ hold: true, copies: 5 });
    const invoice = await newInvoice(host().a, 3_100);
    const back = await press(await checkout(invoice), 'pay');
    await Promise.all([cloud.control.releaseWebhooks(), returned(invoice, back), returned(invoice, back)]);
    await delivered();
    expect(await paymentsOf(host().a, invoice)).toHaveLength(1);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid', paid_minor: 3_100 });
  });

  test('an address that was typed proves nothing: unpaid, made up, or another invoice’s session', async () => {
    await cloud.control.setWebhookPolicy({ hold: true });
    const [one, two] = [await newInvoice(host().a, 4_000), await newInvoice(host().a, 4_000)];
    const page = await checkout(one);
    const unpaid = `${RETURN}?session_id=${page.split('/').at(-1)}`;
    for (const address of [
      unpaid,
      `${RETURN}?session_id=cs_test_made_up`,
      `${RETURN}?session_id=../x`,
      RETURN,
    ])
      await returned(one, address);
    expect(await paymentsOf(host().a, one)).toEqual([]);
    await returned(two, await press(page, 'pay'));
    // Nor is the other invoice paid by who shows its session elsewhere: that is for its own return, and for the webhook.
    for (const invoice of [one, two]) expect(await paymentsOf(host().a, invoice)).toEqual([]);
    await cloud.control.releaseWebhooks();
    await paid(one);
  });

  test('a second click shares the session; after paying it says so instead of asking again', async () => {
    await cloud.control.setWebhookPolicy({ hold: true });
    const invoice = await newInvoice(host().a, 5_000);
    const [first, second] = await Promise.all([checkout(invoice), checkout(invoice)]);
    expect(second).toBe(first);
    await press(first, 'pay');
    const { a } = host();
    const urls = { returnUrl: RETURN, cancelUrl: CANCEL };
    const again = await a.panel.gateways.pay({
      tenantId: a.id,
      invoiceId: invoice,
      instanceId,
      account: client(),
      ...urls,
    });
    expect(again.kind === 'html' && again.html).toContain('Please do not pay again');
    await cloud.control.releaseWebhooks();
    await paid(invoice);
  });

  test('a declined card books nothing; the client may try again [PY-25]', async () => {
    const invoice = await newInvoice(host().a, 6_000);
    const page = await checkout(invoice);
    await press(page, 'decline');
    await delivered();
    expect((await invoiceRow(host().a, invoice)).status).toBe('unpaid');
    expect((await host().a.logs('Stripe')).some((line) => line.includes('payment failed'))).toBe(true);
    await press(page, 'pay');
    await paid(invoice);
  });

  test('a fee Stripe does not tell is no reason to lose the payment', async () => {
    const path = '/v1/charges/*';
    await cloud.control.addFault({ match: { path }, kind: 'status', status: 500, forever: true });
    const invoice = await newInvoice(host().a, 6_500);
    await press(await checkout(invoice), 'pay');
    await paid(invoice);
  });
});

describe('a delivery that is not Stripe’s', () => {
  const forged = async (header: (body: string) => string, path?: string): Promise<number> => {
    const invoice = await newInvoice(host().a, 7_000);
    const body = succeeded(invoice, `pi_forged${Math.random()}`, 7_000);
    const status = await deliver(body, header(body), path);
    expect(await paymentsOf(host().a, invoice)).toEqual([]);
    return status;
  };

  test('is refused: another secret, no signature, an old time, a body that was changed', async () => {
    expect(await forged((body) => sign(body, 'whsec_another'))).toBe(400);
    expect(await forged(() => '')).toBe(400);
    expect(await forged((body) => sign(body, secret, Date.now() - 301_000))).toBe(400);
    expect(await forged((body) => sign(body, secret, Date.now() + 301_000))).toBe(400);
    expect(await forged((body) => sign(`${body} `, secret))).toBe(400);
    expect(await forged((body) => sign(body, secret).replace('v1=', 'v0='))).toBe(400);
  });

  test('is refused at the address of another account, whose secret it was not signed with', async () => {
    const second = await host().a.newInstance(
      'Stripe',
      'Second',
      settings({ webhook_secret: 'whsec_second' }),
    );
    const path = await host().a.hook(second);
    expect(await forged((body) => sign(body, secret), path)).toBe(400);
    const invoice = await newInvoice(host().a, 7_100);
    const body = succeeded(invoice, 'pi_of_the_second', 7_100);
    expect(await deliver(body, sign(body, 'whsec_second'), path)).toBe(200);
    expect(await paymentsOf(host().a, invoice)).toMatchObject([{ instance_id: second }]);
  });

  test('of another tenant’s account cannot pay this tenant’s invoice', async () => {
    const foreign = await host().b.installedWithInstance(
      'Stripe',
      settings({ webhook_secret: 'whsec_foreign' }),
    );
    const path = await host().b.hook(foreign);
    expect(await forged((body) => sign(body, 'whsec_foreign'), path)).toBe(404);
  });

  test('of the test mode is refused while test mode is off', async () => {
    await save({ sandbox: false });
    expect(await forged((body) => sign(body, secret))).toBe(400);
    await save({ sandbox: true });
  });

  test('that is no payment of ours is taken and changes nothing', async () => {
    const other = '{"id":"evt_1","type":"customer.created","livemode":false,"data":{"object":{}}}';
    expect(await deliver(other, sign(other, secret))).toBe(200);
    const stray = succeeded('', 'pi_stray', 10).replace('"invoice_uuid":""', '"other":"x"');
    expect(await deliver(stray, sign(stray, secret))).toBe(200);
  });
});

describe('a refund', () => {
  const refundOf = async (amountMinor: number, of: number) => {
    const { a } = host();
    const invoice = await newInvoice(a, of);
    await press(await checkout(invoice), 'pay');
    await paid(invoice);
    const paymentId = (await paymentsOf(a, invoice))[0]?.id ?? '';
    const begin = () =>
      a.panel.gateways.refund({
        tenantId: a.id,
        invoiceId: invoice,
        paymentId,
        amountMinor,
        reason: 'asked',
        accountId: a.adminId,
      });
    return { invoice, paymentId, begin };
  };
  const ended = (refundId: string) =>
    until('the refund to end', async () => {
      const row = await host()
        .a.panel.db.selectFrom('refunds')
        .selectAll()
        .where('id', '=', refundId)
        .executeTakeFirstOrThrow();
      return row.status !== 'pending' && row;
    });
  const refundsAtStripe = async (): Promise<number> => (await cloud.control.effects('refund.created')).length;
  const match = { path: '/v1/refunds', method: 'POST' };

  test('goes back through the account it came by, in part, and never more than is left [PY-29]', async () => {
    const before = await refundsAtStripe();
    const { invoice, begin } = await refundOf(600, 1_000);
    const { refundId } = await begin();
    expect(await ended(refundId)).toMatchObject({ status: 'done', method: 'gateway', amount_minor: 600 });
    expect((await ended(refundId)).transaction_id).toMatch(/^re_/);
    expect(await refusal(begin)).toMatch(/^BAD_INPUT/);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ refunded_minor: 600 });
    expect(await refundsAtStripe()).toBe(before + 1);
  });

  test('two at once for the whole amount send it once', async () => {
    const before = await refundsAtStripe();
    const { begin } = await refundOf(1_500, 1_500);
    const both = await Promise.allSettled([begin(), begin()]);
    const begun = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value.refundId] : []));
    expect(begun).toHaveLength(1);
    expect(await ended(begun[0] ?? '')).toMatchObject({ status: 'done' });
    expect(await refundsAtStripe()).toBe(before + 1);
  });

  test('that Stripe refuses has failed, and what it took may be given back again', async () => {
    const { begin, paymentId } = await refundOf(700, 700);
    await cloud.control.addFault({ match, kind: 'status', status: 402 });
    expect(await ended((await begin()).refundId)).toMatchObject({ status: 'failed' });
    const { refunded_minor: refunded } = await host()
      .a.panel.db.selectFrom('payments')
      .select('refunded_minor')
      .where('id', '=', paymentId)
      .executeTakeFirstOrThrow();
    expect(refunded).toBe(0);
    expect(await ended((await begin()).refundId)).toMatchObject({ status: 'done' });
  });

  test('whose answer is lost is in doubt; when a person lets it go on it has been sent once', async () => {
    const before = await refundsAtStripe();
    const { begin } = await refundOf(800, 800);
    await cloud.control.addFault({ match, kind: 'drop', when: 'after' });
    const { refundId, taskId } = await begin();
    expect(await ended(refundId)).toMatchObject({ status: 'in_doubt', finished_at: null });
    await host().a.panel.jobs.retry(taskId, host().a.adminId);
    await until('the refund to be done', async () => (await ended(refundId)).status === 'done');
    expect(await refundsAtStripe()).toBe(before + 1);
  });

  test('that is on its way cannot be settled by a person: its money would be free to go twice', async () => {
    const before = await refundsAtStripe();
    const { begin, invoice } = await refundOf(500, 500);
    await cloud.control.addFault({ match, kind: 'delay', delayMs: 1_000 });
    const { refundId } = await begin();
    const { a } = host();
    const settle = () =>
      a.panel.invoicing.settleRefund({ tenantId: a.id, invoiceId: invoice, refundId, arrived: false });
    expect(await refusal(settle)).toMatch(/^CONFLICT: This refund is being sent/);
    expect(await ended(refundId)).toMatchObject({ status: 'done' });
    expect(await invoiceRow(a, invoice)).toMatchObject({ status: 'refunded' });
    expect(await refundsAtStripe()).toBe(before + 1);
  });

  test('that a person has settled is not sent by its task any more', async () => {
    const before = await refundsAtStripe();
    const { begin, invoice } = await refundOf(900, 900);
    await cloud.control.addFault({ match, kind: 'drop', when: 'before' });
    const { refundId, taskId } = await begin();
    expect(await ended(refundId)).toMatchObject({ status: 'in_doubt' });
    const { a } = host();
    await a.panel.invoicing.settleRefund({ tenantId: a.id, invoiceId: invoice, refundId, arrived: false });
    await a.panel.jobs.retry(taskId, a.adminId);
    await until('the task to be refused', async () => {
      const task = await a.panel.db
        .selectFrom('tasks')
        .selectAll()
        .where('id', '=', taskId)
        .executeTakeFirst();
      return JSON.stringify(task?.error).includes('This refund has ended');
    });
    expect(await refundsAtStripe()).toBe(before);
  });
});

describe('where Stripe may send a client', () => {
  test('is checkout.stripe.com and the domain of its settings, and nowhere else', async () => {
    const invoice = await newInvoice(host().a, 8_000);
    await save({ checkout_url: 'https://pay.example.com' });
    expect(await refusal(() => checkout(invoice))).toMatch(/^NOT_GRANTED: redirect: host .*redirect\.hosts/);
    await save({});
    expect(await checkout(invoice)).toContain('/c/pay/');
  });

  test('an account that is off is not offered, and pays nothing', async () => {
    const { instances, gateways } = host().a.panel;
    const accountId = host().a.adminId;
    await instances.setActive({ instanceId, active: false, accountId });
    const ids = (await gateways.offered(host().a.id)).map((gateway) => gateway.instanceId);
    expect(ids).not.toContain(instanceId);
    expect(await refusal(async () => checkout(await newInvoice(host().a, 900)))).toMatch(/^NOT_FOUND/);
    await instances.setActive({ instanceId, active: true, accountId });
  });

  test('another client’s invoice, a paid one, or another tenant’s cannot be begun', async () => {
    const foreign = await newInvoice(host().b, 900);
    expect(await refusal(() => checkout(foreign))).toMatch(/^NOT_FOUND/);
    const done = await newInvoice(host().a, 910);
    const body = succeeded(done, 'pi_done', 910);
    await deliver(body, sign(body, secret));
    expect(await refusal(() => checkout(done))).toMatch(/^CONFLICT/);
  });
});
