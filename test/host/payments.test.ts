/** Recording payments: once, by the instance it came through, on the tenant's own invoices, and never because a page was shown. */
import { describe, expect, test } from 'vitest';
import type { ModuleRequest } from '../../sandbox/contract/invocation.ts';
import { BILLING_LIMITS } from '../../src/billing/limits.ts';
import { useTestHost } from '../support/host.ts';
import { invoiceRow, newInvoice, paymentsOf } from '../support/invoices.ts';
import { PAY_FORM } from '../support/pay-form.ts';
import type { ModuleSource } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

const MEMBERS = `
  async apiWebhookPost(request) {
    const told = request.all();
    if (told.failed) { await this.invoices.recordFailure({ invoice_uuid: told.invoice, reason: 'declined' }); return { ok: true }; }
    const { booked, invoice } = await this.invoices.recordPayment({
      invoice_uuid: told.invoice, transaction_id: told.id, amount: told.amount, fee: 29, currency: told.currency ?? 'usd', payload: told,
    });
    return { booked, status: invoice.status, due: invoice.due_amount };
  }
  book(params) { return this.invoices.recordPayment({ currency: 'USD', ...params }); }
  bookJob(params) { return this.book(params).then((data) => ({ status: 'success', data })); }
  later(params) { return this.tasks.add({ method: 'bookJob', params, instance: params.instance }); }
  read(params) { return this.invoices.get(params.uuid); }
  list(params) { return this.invoices.list(params); }
`;
const permissions = { invoices: ['read', 'record'], tasks: {} };
const GATEWAY: ModuleSource = {
  name: 'Teller',
  type: 'Payment',
  members: MEMBERS,
  manifest: { permissions },
};
const NOSY: ModuleSource = { name: 'Nosy', type: 'Plugin', members: MEMBERS, manifest: { permissions } };

let instance = '';
async function teller(): Promise<string> {
  if (instance === '') {
    await host().publish(GATEWAY);
    instance = await host().a.installedWithInstance('Teller');
  }
  return instance;
}

async function tell(body: Record<string, unknown>): Promise<{ status: number; body: unknown }> {
  const path = await host().a.hook(await teller());
  const answer = await host().bulkhead.app.fetch(
    new Request(`http://127.0.0.1:4300${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  );
  return { status: answer.status, body: await answer.json() };
}

describe('a form in a gateway’s page', () => {
  const setUp = async () => {
    // The other tenant: what its client begins to pay is not counted towards this one's.
    const { b: a, publish } = host();
    const [, seen] = await Promise.all([publish(PAY_FORM), newInvoice(a, 1_250)]);
    const instanceId = await a.installedWithInstance('PayForm');
    const send = async (card: string, clientId = a.clientId) => {
      const request: ModuleRequest = {
        method: 'POST',
        url: 'http://127.0.0.1/pay',
        headers: [['content-type', 'application/x-www-form-urlencoded']],
        body: { text: `card=${card}` },
        params: {},
      };
      return a.panel.gateways.submit({
        tenantId: a.id,
        invoiceId: seen,
        instanceId,
        account: { id: clientId, kind: 'client', permissions: [] },
        returnUrl: 'http://127.0.0.1:4300/return',
        cancelUrl: 'http://127.0.0.1:4300/cancel',
        request,
      });
    };
    return { a, invoiceId: seen, send };
  };

  test('reaches its module, which may ask its gateway, record, and send the client on', async () => {
    const { a, invoiceId, send } = await setUp();
    expect(await send('bad')).toMatchObject({ kind: 'html', html: expect.stringContaining('declined') });
    expect(await send('3ds')).toMatchObject({ kind: 'redirect', to: 'https://acs.bank.example/3ds' });
    expect(await refusal(() => send('elsewhere'))).toMatch(/^NOT_GRANTED/);
    expect(await refusal(() => send('good', '11111111-1111-4111-8111-111111111111'))).toMatch(/^NOT_FOUND/);
    expect(await paymentsOf(a, invoiceId)).toEqual([]);
    expect(await send('good')).toMatchObject({ kind: 'redirect', to: 'http://127.0.0.1:4300/return' });
    expect(await invoiceRow(a, invoiceId)).toMatchObject({ status: 'paid' });
    expect(await refusal(() => send('good'))).toMatch(/^CONFLICT/);
    expect(await paymentsOf(a, invoiceId)).toHaveLength(1);
  });

  test('is refused by name where its module takes none', async () => {
    const { a } = host();
    const instanceId = await teller();
    const invoiceId = await newInvoice(a, 1_250);
    const send = () =>
      a.panel.gateways.submit({
        tenantId: a.id,
        invoiceId,
        instanceId,
        account: { id: a.clientId, kind: 'client', permissions: [] },
        returnUrl: 'http://127.0.0.1:4300/return',
        cancelUrl: 'http://127.0.0.1:4300/cancel',
        request: { method: 'POST', url: 'http://127.0.0.1/', headers: [], body: { text: '' }, params: {} },
      });
    expect(await refusal(send)).toMatch(/^NOT_FOUND: .*clientAreaPost/);
  });
});

describe('recordPayment', () => {
  test('books an invoice as paid, with fee and what the gateway told', async () => {
    const invoice = await newInvoice(host().a, 1_250);
    expect(await tell({ invoice, id: 'tx-1', amount: 1_250 })).toEqual({
      status: 200,
      body: { booked: true, status: 'paid', due: 0 },
    });
    expect(await paymentsOf(host().a, invoice)).toMatchObject([
      { amount_minor: 1_250, fee_minor: 29, currency: 'USD', instance_id: instance, transaction_id: 'tx-1' },
    ]);
    expect(await tell({ invoice, id: 'tx-1', amount: 1_250 })).toMatchObject({ body: { booked: false } });
  });

  test('books 100 concurrent duplicates of one webhook once', async () => {
    const invoice = await newInvoice(host().a, 700);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => tell({ invoice, id: 'tx-100', amount: 700 })),
    );
    const booked = answers.filter(({ body }) => JSON.stringify(body).includes('"booked":true'));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
    expect(booked).toHaveLength(1);
    expect(await paymentsOf(host().a, invoice)).toHaveLength(1);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid', paid_minor: 700 });
  });

  test('the same transaction of two instances is two payments', async () => {
    await teller();
    const second = await host().a.newInstance('Teller', 'Second');
    const invoice = await newInvoice(host().a, 1_000);
    for (const instanceId of [instance, second]) {
      const installationId = await host().a.installationId('Teller');
      await host().bulkhead.invoker.invoke({
        installationId,
        instanceId,
        purpose: 'delivery',
        calls: [
          {
            target: { on: 'module' },
            method: 'book',
            args: [{ invoice_uuid: invoice, transaction_id: 'tx-same', amount: 400 }],
          },
        ],
      });
    }
    expect(await paymentsOf(host().a, invoice)).toHaveLength(2);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'unpaid', paid_minor: 800 });
  });

  test('refuses another tenant’s invoice, another currency and amounts that are none', async () => {
    const foreign = await newInvoice(host().b, 500);
    const own = await newInvoice(host().a, 500);
    expect((await tell({ invoice: foreign, id: 'tx-f', amount: 500 })).status).toBe(404);
    expect((await tell({ invoice: own, id: 'tx-c', amount: 500, currency: 'eur' })).status).toBe(422);
    for (const amount of [0, -5, 1.5, 1e20, '500'])
      expect((await tell({ invoice: own, id: 'tx-a', amount })).status).toBe(422);
    expect(await paymentsOf(host().b, foreign)).toEqual([]);
    expect(await paymentsOf(host().a, own)).toEqual([]);
  });

  test('is refused while a page is shown, without an instance, and to a module that takes no payments', async () => {
    await teller();
    const invoice = await newInvoice(host().a, 500);
    const params = { invoice_uuid: invoice, transaction_id: 'tx-p', amount: 500 };
    const installationId = await host().a.installationId('Teller');
    const call = { target: { on: 'module' as const }, method: 'book', args: [params] };
    const as = (instanceId: string | null, purpose: 'request' | 'delivery') =>
      refusal(() => host().bulkhead.invoker.invoke({ installationId, instanceId, purpose, calls: [call] }));
    expect(await as(instance, 'request')).toContain('never while a page is shown');
    expect(await as(null, 'delivery')).toContain('runs for no instance');
    await host().publish(NOSY);
    const nosy = await host().a.installed('Nosy');
    const plugin = () =>
      host().bulkhead.invoker.invoke({ installationId: nosy, purpose: 'delivery', calls: [call] });
    expect(await refusal(plugin)).toContain('only payment modules');
    expect(await paymentsOf(host().a, invoice)).toEqual([]);
  });

  test('an admin’s page books by a task of the instance', async () => {
    await teller();
    const invoice = await newInvoice(host().a, 500);
    const params = { invoice_uuid: invoice, transaction_id: 'tx-job', amount: 500, instance };
    await host().a.call('Teller', 'later', params);
    await until('the job’s payment', async () => (await paymentsOf(host().a, invoice)).length === 1);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid' });
  });

  test('what is not granted is refused: reading and recording apart', async () => {
    await host().publish({ ...GATEWAY, name: 'Narrow' });
    const narrow = await host().a.installedWithInstance('Narrow');
    const installationId = await host().a.installationId('Narrow');
    const { lines } = await host().a.consent('Narrow');
    const read = lines.filter(({ id }) => id === 'invoices.access:read');
    expect(read).toHaveLength(1);
    const answers = Object.fromEntries(
      lines.map(({ id }) => [id, { granted: id !== 'invoices.access:record' }]),
    );
    await host().a.panel.catalog.grant({ installationId, answers, accountId: host().a.adminId });
    const invoice = await newInvoice(host().a, 500);
    const call = (method: string, args: unknown[]) =>
      host().bulkhead.invoker.invoke({
        installationId,
        instanceId: narrow,
        purpose: 'delivery',
        calls: [{ target: { on: 'module' }, method, args }],
      });
    const params = { invoice_uuid: invoice, transaction_id: 'tx-n', amount: 500 };
    expect(await refusal(() => call('book', [params]))).toMatch(/^NOT_GRANTED/);
    const { results } = await call('read', [{ uuid: invoice }]);
    expect(results[0]).toMatchObject({
      value: { uuid: invoice, due_amount: 500, currency: 'USD', client: { uuid: host().a.clientId } },
    });
  });

  test('a failure is told, and one that comes after the payment is no news', async () => {
    const invoice = await newInvoice(host().a, 500);
    expect((await tell({ invoice, failed: true })).status).toBe(200);
    await tell({ invoice, id: 'tx-after', amount: 500 });
    expect((await tell({ invoice, failed: true })).status).toBe(200);
    expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid' });
  });
});

describe('beginning to pay', () => {
  test('is refused to a client who does it without end, and to nobody else', async () => {
    const { a } = host();
    const instanceId = await teller();
    const invoiceId = await newInvoice(a, 500);
    const begin = (accountId: string) => () =>
      a.panel.gateways.pay({
        tenantId: a.id,
        invoiceId,
        instanceId,
        account: { id: accountId, kind: 'client', permissions: [] },
        returnUrl: 'http://127.0.0.1/back',
        cancelUrl: 'http://127.0.0.1/away',
      });
    for (let count = 0; count < BILLING_LIMITS.paymentsBegun; count++) await begin(a.clientId)();
    expect(await refusal(begin(a.clientId))).toMatch(/^LIMIT: You began to pay very often; please wait/);
    expect(await refusal(begin(a.adminId))).toMatch(/^NOT_FOUND/);
  });

  test('leads to the hosts of the instance’s own settings, not of another’s', async () => {
    await host().publish({
      ...GATEWAY,
      name: 'Leading',
      manifest: {
        permissions: { ...permissions, redirect: { hosts: ['{settings.shop}'] } },
        settings: [{ key: 'shop', type: 'text', title: 'Shop' }],
      },
    });
    const { a } = host();
    const one = await a.installedWithInstance('Leading', { shop: 'one.example.com' });
    const two = await a.newInstance('Leading', 'Two', { shop: 'two.example.com' });
    const installationId = await a.installationId('Leading');
    const may = (of: { instanceId?: string }, shop: string) =>
      a.panel.modules.mayLeaveTo({ installationId, ...of }, `https://${shop}.example.com/pay`);
    expect(await may({ instanceId: one }, 'one')).toBe(true);
    expect(await may({ instanceId: one }, 'two')).toBe(false);
    expect(await may({ instanceId: two }, 'two')).toBe(true);
    expect(await may({}, 'one')).toBe(false);
  });
});

describe('invoices', () => {
  test('lists the tenant’s own only, newest first, page by page', async () => {
    await teller();
    const foreign = await newInvoice(host().b, 900);
    const own = [await newInvoice(host().a, 901), await newInvoice(host().a, 902)];
    const page = (await host().a.call('Teller', 'list', { size: 1 })) as { invoices: { uuid: string }[] };
    expect(page).toMatchObject({ invoices: [{ uuid: own[1], due_amount: 902 }], next: own[1] });
    expect(await host().a.call('Teller', 'list', { size: 1, after: own[1] })).toMatchObject({
      invoices: [{ uuid: own[0] }],
    });
    expect(JSON.stringify(await host().a.call('Teller', 'list', { size: 200 }))).not.toContain(foreign);
    expect(await refusal(() => host().a.call('Teller', 'read', { uuid: foreign }))).toMatch(/^NOT_FOUND/);
  });

  test('an instance that payments came through cannot be deleted', async () => {
    await tell({ invoice: await newInvoice(host().a, 100), id: 'tx-keep', amount: 100 });
    const remove = () => host().a.panel.instances.remove(instance, host().a.adminId);
    expect(await refusal(remove)).toMatch(/^CONFLICT: Payments came through it/);
  });
});
