/** What a gateway's module is called for after it recorded something: once, by the queue, and not if it did so itself. */
import { beforeAll, expect, test } from 'vitest';
import { useTestHost } from '../support/host.ts';
import { invoiceRow, newInvoice, paymentsOf } from '../support/invoices.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

const MEMBERS = `
  async apiWebhookPost(request) {
    const told = request.all();
    if (told.ported) return told.failed ? this.onPaymentFailed(told) : this.onPaymentSuccess(told);
    return told.failed ? this.fail(told) : this.book(told);
  }
  book(told) {
    return this.invoices.recordPayment({
      invoice_uuid: told.invoice, transaction_id: told.id, amount: 500, fee: 5, currency: 'USD', payload: told });
  }
  async fail(told) {
    await this.invoices.recordFailure({ invoice_uuid: told.invoice, reason: 'declined', payload: told });
    return { ok: true };
  }
  async onPaymentSuccess(payload) {
    if (payload.id === 'broken') throw new Error('the mail server is away');
    const { booked } = await this.book(payload);
    return { status: 'success', booked, payload };
  }
  async onPaymentFailed(payload) {
    await this.fail(payload);
    return { status: 'success', payload };
  }
`;
const GATEWAY = {
  name: 'Caller',
  type: 'Payment' as const,
  members: MEMBERS,
  manifest: { permissions: { invoices: ['read', 'record'] } },
};

let instance = '';
beforeAll(async () => {
  await host().publish(GATEWAY);
  instance = await host().a.installedWithInstance('Caller');
});

async function tell(body: Record<string, unknown>): Promise<number> {
  const { a, bulkhead } = host();
  const answer = await bulkhead.app.fetch(
    new Request(`http://127.0.0.1:4300${await a.hook(instance)}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  );
  return answer.status;
}

async function callsFor(invoiceId: string) {
  return host()
    .a.panel.db.selectFrom('tasks')
    .selectAll()
    .where('tenant_id', '=', host().a.id)
    .where('method', 'in', ['onPaymentSuccess', 'onPaymentFailed'])
    .where('instance_id', '=', instance)
    .execute()
    .then((rows) => rows.filter(({ tags }) => tags.includes(`invoice:${invoiceId}`)));
}

async function endedCalls(invoiceId: string, count: number) {
  await until('the calls to end', async () => {
    const calls = await callsFor(invoiceId);
    return calls.length >= count && calls.every(({ finished_at: ended }) => ended !== null);
  });
  return callsFor(invoiceId);
}

test('onPaymentSuccess runs once for a payment that was booked, however often it is told (A18)', async () => {
  const invoice = await newInvoice(host().a, 500);
  const told = { invoice, id: 'tx-once' };
  const statuses = await Promise.all(Array.from({ length: 5 }, () => tell(told)));
  expect(statuses).toEqual([200, 200, 200, 200, 200]);
  const [payment] = await paymentsOf(host().a, invoice);
  expect(await endedCalls(invoice, 1)).toMatchObject([
    {
      method: 'onPaymentSuccess',
      status: 'completed',
      instance_id: instance,
      result: {
        booked: false,
        payload: {
          ...told,
          payment: {
            uuid: payment?.id,
            invoice_uuid: invoice,
            transaction_id: 'tx-once',
            amount: 500,
            fee: 5,
            currency: 'USD',
          },
        },
      },
    },
  ]);
  expect(await tell(told)).toBe(200);
  expect(await callsFor(invoice)).toHaveLength(1);
});

test('onPaymentFailed runs once for each failed attempt, and its own recording in it calls nothing more (A18)', async () => {
  const invoice = await newInvoice(host().a, 500);
  await tell({ invoice, id: 'tx-no', failed: true });
  await tell({ invoice, id: 'tx-no', failed: true });
  const calls = await endedCalls(invoice, 2);
  expect(calls).toHaveLength(2);
  for (const call of calls)
    expect(call).toMatchObject({
      method: 'onPaymentFailed',
      status: 'completed',
      result: { payload: { id: 'tx-no', failure: { reason: 'declined', invoice_uuid: invoice } } },
    });
});

test('a module that calls them itself from its webhook, as the guide’s do, is not called again (A18)', async () => {
  const paid = await newInvoice(host().a, 500);
  const failed = await newInvoice(host().a, 500);
  expect(await tell({ invoice: paid, id: 'tx-ported', ported: true })).toBe(200);
  expect(await tell({ invoice: failed, id: 'tx-ported-no', ported: true, failed: true })).toBe(200);
  expect(await paymentsOf(host().a, paid)).toHaveLength(1);
  expect([...(await callsFor(paid)), ...(await callsFor(failed))]).toEqual([]);
});

test('its failure shows on its task and unbooks nothing', async () => {
  const invoice = await newInvoice(host().a, 500);
  await tell({ invoice, id: 'broken' });
  expect(await endedCalls(invoice, 1)).toMatchObject([
    { status: 'failed', error: { message: expect.stringContaining('the mail server is away') } },
  ]);
  expect(await invoiceRow(host().a, invoice)).toMatchObject({ status: 'paid', paid_minor: 500 });
});

test('what a person books by hand is no module’s payment', async () => {
  const { a } = host();
  const invoiceId = await newInvoice(a, 500);
  await a.panel.invoicing.bookByHand({
    tenantId: a.id,
    invoiceId,
    amountMinor: 500,
    reference: 'cash',
    accountId: a.adminId,
  });
  expect(await callsFor(invoiceId)).toEqual([]);
});
