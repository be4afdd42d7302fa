/**
 * kill -9 around a booking and a refund, of the server and of the sandbox process: what the gateway tells again is booked once, nothing
 * that was told is lost, and money that was sent back is sent once.
 */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import { type ModuleSource, shippedFolder } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { Gate, type Hold, type Side } from './gate.ts';
import { FaultGround } from './ground.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const SECRET = 'whsec_of_the_faults';
const STRIPE_KEY = 'sk_test_faults';

/** Asks its gateway before and after the booking, so that a kill can fall exactly there. */
const TELLER: ModuleSource = {
  name: 'Teller',
  type: 'Payment',
  manifest: {
    settings: [{ key: 'api_url', type: 'text', title: 'API address', required: true }],
    permissions: {
      http: { hosts: ['{settings.api_url}'], methods: ['GET'] },
      invoices: ['read', 'record'],
    },
  },
  members: `
    async apiWebhookPost(request) {
      const told = request.all();
      await fetch(this.module_data.api_url + '/before');
      const { booked } = await this.invoices.recordPayment({
        invoice_uuid: told.invoice, transaction_id: told.id, amount: told.amount, currency: 'USD',
      });
      await fetch(this.module_data.api_url + '/after');
      return { booked };
    }`,
};

const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });
type Prepared = v.InferOutput<typeof Prepared>;
const Account = v.object({ instanceId: v.string(), hookId: v.string() });
type Account = v.InferOutput<typeof Account>;
const Delivered = v.object({ status: v.number() });
const Refund = v.object({ refundId: v.string(), taskId: v.string() });

let ground: FaultGround;
let cloud: FakeCloud;
let gate: Gate;
let server: ServerProcess;

beforeAll(async () => {
  ground = await FaultGround.open();
  cloud = await spawnFakeCloud({ stripeKeys: [STRIPE_KEY] });
  gate = await Gate.to(cloud.cloud);
  await ground.publish(TELLER);
  await ground.publishFolder(shippedFolder('Payment/Stripe'));
  server = await ground.start();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await ground?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await cloud.control.reset();
});

type Victim = 'runner' | 'server';

async function kill(victim: Victim): Promise<void> {
  if (victim === 'server') {
    await server.kill();
    server = await ground.start();
    return;
  }
  for (const pid of v.parse(v.array(v.number()), await server.ask('runners'))) process.kill(pid, 'SIGKILL');
}

async function open(
  name: string,
  settings: Record<string, unknown>,
): Promise<{ made: Prepared; account: Account }> {
  const made = v.parse(Prepared, await server.ask('prepare', { name, ports: [gate.port] }));
  await server.ask('enable', made);
  const account = v.parse(Account, await server.ask('account', { ...made, settings }));
  return { made, account };
}

async function invoice(made: Prepared, amountMinor: number): Promise<string> {
  return v.parse(v.string(), await server.ask('invoice', { ...made, amountMinor }));
}

async function payments(invoiceId: string) {
  const { db } = ground.ground.host;
  return db.selectFrom('payments').selectAll().where('invoice_id', '=', invoiceId).execute();
}

async function invoiceRow(id: string) {
  const { db } = ground.ground.host;
  return db.selectFrom('invoices').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

/** One delivery; its status, or what became of it when the server died meanwhile. */
async function deliver(
  account: Account,
  body: object,
  headers: [string, string][] = [],
): Promise<number | string> {
  const message = { hookId: account.hookId, body: JSON.stringify(body), headers };
  try {
    return v.parse(Delivered, await server.ask('deliver', message)).status;
  } catch (error) {
    return error instanceof Error ? error.message : 'lost';
  }
}

const MOMENTS: readonly (readonly [string, string, number])[] = [
  ['before the booking', 'GET /before', 0],
  ['after the booking and before its answer', 'GET /after', 1],
];

describe.each(['server', 'runner'] as const)('kill -9 of the %s in a webhook', (victim) => {
  it.each(MOMENTS)('%s: told again, it is booked once', async (_moment, match, bookedByThen) => {
    const { made, account } = await open('Teller', { api_url: gate.url });
    const invoiceId = await invoice(made, 1_250);
    const told = { invoice: invoiceId, id: 'tx-1', amount: 1_250 };
    const hold = gate.shut(match, 'request');
    const first = deliver(account, told);
    await hold.reached;
    await kill(victim);
    hold.drop();
    // The gateway hears no 2xx, so it tells again.
    expect(await first).not.toBe(200);
    expect(await payments(invoiceId)).toHaveLength(bookedByThen);
    await until('the delivery to be taken', async () => (await deliver(account, told)) === 200);
    expect(await deliver(account, told)).toBe(200);
    expect(await payments(invoiceId)).toHaveLength(1);
    expect(await invoiceRow(invoiceId)).toMatchObject({ status: 'paid', paid_minor: 1_250 });
  });
});

/** A payment that Stripe knows, and its webhook. */
async function paidByStripe(made: Prepared, account: Account, amount: number): Promise<string> {
  const invoiceId = await invoice(made, amount);
  const form = new URLSearchParams({
    mode: 'payment',
    'line_items[0][price_data][currency]': 'usd',
    'line_items[0][price_data][unit_amount]': String(amount),
    'line_items[0][price_data][product_data][name]': 'Invoice',
    'payment_intent_data[metadata][invoice_uuid]': invoiceId,
    success_url: 'http://127.0.0.1/back',
  });
  const headers = { authorization: `Bearer ${STRIPE_KEY}` };
  const made_ = await fetch(`${cloud.cloud}/v1/checkout/sessions`, { method: 'POST', body: form, headers });
  const session = v.parse(v.object({ url: v.string(), payment_intent: v.string() }), await made_.json());
  await fetch(session.url, {
    method: 'POST',
    body: new URLSearchParams({ outcome: 'pay' }),
    redirect: 'manual',
  });
  const object = { id: session.payment_intent, status: 'succeeded', amount, amount_received: amount };
  const event = {
    id: 'evt_1',
    type: 'payment_intent.succeeded',
    livemode: false,
    data: { object: { ...object, currency: 'usd', metadata: { invoice_uuid: invoiceId } } },
  };
  const time = Math.floor(Date.now() / 1_000);
  const mac = createHmac('sha256', SECRET)
    .update(`${time}.${JSON.stringify(event)}`)
    .digest('hex');
  expect(await deliver(account, event, [['stripe-signature', `t=${time},v1=${mac}`]])).toBe(200);
  return invoiceId;
}

const SIDES: readonly (readonly [string, Side])[] = [
  ['before its request was sent', 'request'],
  ['after its effect and before its answer', 'answer'],
];

describe.each(['server', 'runner'] as const)('kill -9 of the %s during a refund', (victim) => {
  it.each(SIDES)('%s: the money goes back once, and that is noted', async (_moment, side) => {
    const settings = { api_url: gate.url, secret_key: STRIPE_KEY, webhook_secret: SECRET, sandbox: true };
    const { made, account } = await open('Stripe', settings);
    const invoiceId = await paidByStripe(made, account, 2_000);
    const paymentId = (await payments(invoiceId))[0]?.id ?? '';
    const hold: Hold = gate.shut('POST /v1/refunds', side);
    const { refundId } = v.parse(
      Refund,
      await server.ask('refund', { ...made, invoiceId, paymentId, amountMinor: 2_000 }),
    );
    await hold.reached;
    await kill(victim);
    hold.drop();
    const { db } = ground.ground.host;
    await until('the refund to be done', async () => {
      const row = await db
        .selectFrom('refunds')
        .select('status')
        .where('id', '=', refundId)
        .executeTakeFirstOrThrow();
      return row.status === 'done';
    });
    expect(await cloud.control.effects('refund.created')).toHaveLength(1);
    expect(await invoiceRow(invoiceId)).toMatchObject({ status: 'refunded', refunded_minor: 2_000 });
  });
});
