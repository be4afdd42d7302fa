/** The guide's payment methods: its snippets in a module of their own, Stripe's session, and BankTransfer's table, as the modules ship. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowPorts, useTestHost } from '../support/host.ts';
import { invoiceRow, newInvoice, paymentsOf } from '../support/invoices.ts';
import { type ModuleSource, shippedFolder } from '../support/modules.ts';
import { recordingApi, type RecordingApi } from './guide-api.ts';
import { ID, STRING, tableShape } from './guide-support.ts';

const host = useTestHost({ worker: true });
const RETURN = 'http://127.0.0.1:4300/return';
const CANCEL = 'http://127.0.0.1:4300/cancel';
const SIGNING = 'whsec_of_the_guide';

/** The guide's snippets: a session made of the invoice, a settings page, webhooks by type. */
const GATEWAY: ModuleSource = {
  name: 'GuideGateway',
  type: 'Payment',
  manifest: {
    settings: [
      { key: 'publishable_key', title: 'Publishable key', type: 'text' },
      { key: 'secret_key', title: 'Secret key', type: 'secret' },
      { key: 'webhook_secret', title: 'Webhook secret', type: 'secret' },
      { key: 'sandbox', title: 'Sandbox', type: 'switch' },
    ],
    permissions: {
      secrets: {
        secret_key: { title: 'Secret key', hosts: [] },
        webhook_secret: { title: 'Webhook secret', hosts: [] },
      },
      invoices: { access: ['read', 'record'] },
    },
  },
  prelude: `import { json, response } from 'bulkhead';
    class StripeClient {
      constructor(config) { this.config = config; }
      createSession(session) { return { ...session, sandbox: this.config.sandbox, key: this.config.secret_key }; }
    }`,
  members: `
    getModuleData(data) {
      return { publishable_key: data.publishable_key ?? '', secret_key: data.secret_key ?? '', webhook_secret: data.webhook_secret ?? '', sandbox: data.sandbox ?? false };
    }
    getSettingsPage(data) { return this.view('admin_area.settings', data); }
    getClientAreaHtml(data) {
      const invoice = data.invoice;
      const session = new StripeClient(this.module_data).createSession({
        referenceId: invoice.uuid,
        invoiceId: invoice.number,
        description: 'Invoice #' + invoice.number,
        amount: invoice.due_amount,
        currency: invoice.currency,
        customer: invoice.client.email,
        return_url: this.getReturnUrl(),
        cancel_url: this.getCancelUrl(),
      });
      return this.view('client_area', { session });
    }
    async apiWebhookPost(request) {
      const payload = request.all();
      const signature = request.headers.get('x-signature') ?? '';
      if (!(await this.secrets.verifyHmac('webhook_secret', request.rawBody, signature))) return response('bad signature', 400);
      switch (payload.type ?? '') {
        case 'payment_intent.succeeded': return this.onPaymentSuccess(payload);
        case 'payment_intent.payment_failed': return this.onPaymentFailed(payload);
        default: return response('ok', 200);
      }
    }
    async onPaymentSuccess(payload) {
      const { booked } = await this.invoices.recordPayment({
        invoice_uuid: payload.invoice, transaction_id: payload.id, amount: payload.amount, currency: payload.currency,
      });
      this.logInfo('transaction', { id: payload.id }, { booked });
      return { status: 'success', booked };
    }
    async onPaymentFailed(payload) {
      await this.invoices.recordFailure({ invoice_uuid: payload.invoice, reason: payload.reason });
      return response('failure recorded', 200);
    }
  `,
  files: {
    'views/client_area.liquid':
      '<form>{% for part in session %}<i>{{ part[0] }}={{ part[1] }}</i>{% endfor %}</form>',
    'views/admin_area/settings.liquid':
      '<input readonly value="{{ webhook_url }}"><b>{{ publishable_key }}</b>',
  },
};

let gateway = '';

beforeAll(async () => {
  await host().publish(GATEWAY);
  gateway = await host().a.installedWithInstance('GuideGateway', {
    publishable_key: 'pk_1',
    secret_key: 'sk_of_the_guide',
    webhook_secret: SIGNING,
    sandbox: true,
  });
});

async function pay(invoiceId: string, instanceId: string) {
  const { a } = host();
  return a.panel.gateways.pay({
    tenantId: a.id,
    invoiceId,
    instanceId,
    account: { id: a.clientId, kind: 'client', permissions: [] },
    returnUrl: RETURN,
    cancelUrl: CANCEL,
  });
}

async function deliver(payload: object): Promise<{ status: number; text: string }> {
  const body = JSON.stringify(payload);
  const request = new Request(`http://127.0.0.1:4300${await host().a.hook(gateway)}`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-signature': createHmac('sha256', SIGNING).update(body).digest('hex'),
    },
  });
  const response = await host().bulkhead.app.fetch(request);
  return { status: response.status, text: await response.text() };
}

describe('getClientAreaHtml(data)', () => {
  it('makes a session of invoice and settings and renders views/client_area with it [PY-07..PY-09 PY-11..PY-17]', async () => {
    const { a } = host();
    const invoiceId = await newInvoice(a, 123_450, 'EUR');
    const number = `INV-${String((await invoiceRow(a, invoiceId)).number).padStart(5, '0')}`;
    const shown = await pay(invoiceId, gateway);
    if (shown.kind !== 'html') throw new Error(JSON.stringify(shown));
    for (const part of [
      `referenceId=${invoiceId}`,
      `invoiceId=${number}`,
      `description=Invoice #${number}`,
      'amount=123450',
      'currency=EUR',
      `customer=client@${a.slug}.example`,
      'sandbox=true',
    ])
      expect(shown.html).toContain(`<i>${part}</i>`);
    expect(shown.html).toContain(`return_url=${RETURN}`);
    expect(shown.html).toContain(`cancel_url=${CANCEL}`);
    // The key is a handle here too: it would be replaced on its way to a host it is bound to.
    expect(shown.html).toContain('key=bhs_');
    expect(shown.html).not.toContain('sk_of_the_guide');
  });
});

describe('getSettingsPage(data)', () => {
  it('renders the admin’s page with the generated webhook address [PY-18 PY-19]', async () => {
    const { a } = host();
    const page = await a.panel.modules.settingsPage({
      instanceId: gateway,
      account: { id: a.adminId, kind: 'admin', permissions: ['*'] },
    });
    const { webhookUrl } = await a.panel.instances.form(gateway);
    expect(page).toMatchObject({ kind: 'html' });
    expect(page.kind === 'html' && page.html).toContain(`value="${webhookUrl ?? ''}"`);
    expect(page.kind === 'html' && page.html).toContain('<b>pk_1</b>');
  });
});

describe('apiWebhookPost(request)', () => {
  it('takes the payload by request.all(), and by its type marks the invoice paid, records the failure, or says ok [PY-20 PY-22..PY-28 WH-02]', async () => {
    const { a } = host();
    const invoice = await newInvoice(a, 900);
    const failed = { type: 'payment_intent.payment_failed', id: 'pi_0', invoice, reason: 'card declined' };
    expect(await deliver(failed)).toEqual({ status: 200, text: 'failure recorded' });
    expect((await invoiceRow(a, invoice)).status).toBe('unpaid');
    const event = await a.panel.db
      .selectFrom('events')
      .select('payload')
      .where('tenant_id', '=', a.id)
      .where('name', '=', 'PaymentFailed')
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(event.payload)).toContain('card declined');

    const payload = { type: 'payment_intent.succeeded', id: 'pi_1', invoice, amount: 900, currency: 'USD' };
    expect(JSON.parse((await deliver(payload)).text)).toEqual({ status: 'success', booked: true });
    expect(JSON.parse((await deliver(payload)).text)).toEqual({ status: 'success', booked: false });
    expect((await invoiceRow(a, invoice)).status).toBe('paid');
    expect(await paymentsOf(a, invoice)).toMatchObject([{ transaction_id: 'pi_1', amount_minor: 900 }]);
    expect(await a.logs('GuideGateway')).toContain('module info transaction {"id":"pi_1"} {"booked":true}');

    expect(await deliver({ type: 'customer.created' })).toEqual({ status: 200, text: 'ok' });
    expect(await deliver({})).toEqual({ status: 200, text: 'ok' });
  });
});

describe('Stripe', () => {
  let api: RecordingApi;
  const session = {
    id: 'cs_1',
    status: 'open',
    payment_status: 'unpaid',
    client_reference_id: null,
    payment_intent: null,
  };
  beforeAll(async () => {
    api = await recordingApi(() => ({ status: 200, body: { ...session, url: `${api.origin}/c/pay/cs_1` } }));
    await allowPorts(host().a, [api.port]);
    await host().publishFolder(shippedFolder('Payment/Stripe'));
  });
  afterAll(async () => api[Symbol.asyncDispose]());

  it('creates a session from reference, number, description, amount, currency and both addresses, and sends the client there [PY-09 PY-10 STR-01]', async () => {
    const { a } = host();
    const stripe = await a.installedWithInstance('Stripe', {
      secret_key: 'sk_test_recorded',
      sandbox: true,
      api_url: api.origin,
      checkout_url: api.origin,
    });
    const invoice = await newInvoice(a, 4_200);
    const number = `INV-${String((await invoiceRow(a, invoice)).number).padStart(5, '0')}`;
    expect(await pay(invoice, stripe)).toMatchObject({ kind: 'redirect', to: `${api.origin}/c/pay/cs_1` });
    const [asked] = api.asked;
    expect(asked).toMatchObject({
      method: 'POST',
      path: '/v1/checkout/sessions',
      headers: { authorization: 'Bearer sk_test_recorded' },
    });
    expect(Object.fromEntries(new URLSearchParams(String(asked?.body)))).toMatchObject({
      client_reference_id: invoice,
      'payment_intent_data[metadata][invoice_number]': number,
      'line_items[0][price_data][product_data][name]': `Invoice #${number}`,
      'line_items[0][price_data][unit_amount]': '4200',
      'line_items[0][price_data][currency]': 'usd',
      success_url: expect.stringMatching(`^${RETURN}`),
      cancel_url: CANCEL,
    });
  });
});

describe('BankTransfer', () => {
  it('makes the table that the guide’s example writes to, column by column [BNK-01 BNK-05..BNK-12]', async () => {
    await host().publishFolder(shippedFolder('Payment/BankTransfer'));
    await host().a.installedWithInstance('BankTransfer');
    const id = await host().a.installationId('BankTransfer');
    const { columns, references } = await tableShape(host().bulkhead, id, 'bank_transfer_payments');
    expect(columns).toMatchObject({
      id: ID,
      invoice_uuid: 'uuid not null',
      amount: 'bigint not null',
      currency: STRING,
      reference: STRING,
      status: "text not null default 'awaiting_transfer'::text",
      expires_at: 'timestamp with time zone not null',
      created_at: 'timestamp with time zone not null default now()',
    });
    expect(references).toEqual([]);
  });

  it('shows reference, details, amount, currency and instructions of an invoice, and keeps what it told [BNK-02 BNK-03 BNK-04 BNK-13..BNK-17]', async () => {
    const { a } = host();
    const instance = await a.newInstance('BankTransfer', 'Second');
    const shown = async (currency: string): Promise<string> => {
      const page = await pay(await newInvoice(a, 12_345, currency), instance);
      return page.kind === 'html' ? page.html : JSON.stringify(page);
    };
    const usd = await shown('USD');
    const reference = /BT[0-9A-F]{8}/.exec(usd)?.[0] ?? 'no reference';
    for (const text of [
      'Example Bank USA',
      'YourCompany LLC',
      '1234567890',
      '021000021',
      'EXBKUS33',
      '123.45',
      'USD',
    ])
      expect(usd).toContain(text);
    // The instructions name the reference once more.
    expect(usd.split(reference).length).toBeGreaterThan(2);
    const eur = await shown('EUR');
    for (const text of [
      'Example Bank Europe',
      'YourCompany EU',
      'DE89370400440532013000',
      'EXBKDEFF',
      '123.45',
    ])
      expect(eur).toContain(text);
    expect(await shown('GBP')).toContain('Example Bank USA');
  });
});
