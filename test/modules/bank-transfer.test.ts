/** Bank transfer as a client and an admin use it: the page with the reference, the list, and the button that says it has arrived. */
import { describe, expect, test } from 'vitest';
import type { ModuleRequest } from '../../sandbox/contract/invocation.ts';
import { useTestHost } from '../support/host.ts';
import { invoiceRow, newInvoice, paymentsOf } from '../support/invoices.ts';
import { shippedFolder } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

let instance = '';
async function ready(): Promise<string> {
  if (instance === '') {
    await host().publishFolder(shippedFolder('Payment/BankTransfer'));
    instance = await host().a.installedWithInstance('BankTransfer');
  }
  return instance;
}

async function page(invoiceId: string, instanceId?: string): Promise<string> {
  const { a } = host();
  const answer = await a.panel.gateways.pay({
    tenantId: a.id,
    invoiceId,
    instanceId: instanceId ?? (await ready()),
    account: { id: a.clientId, kind: 'client', permissions: [] },
    returnUrl: 'http://127.0.0.1:4300/return',
    cancelUrl: 'http://127.0.0.1:4300/cancel',
  });
  if (answer.kind !== 'html') throw new Error(JSON.stringify(answer));
  return answer.html;
}

function referenceIn(html: string): string {
  return /BT[0-9A-F]{8}/.exec(html)?.[0] ?? '';
}

async function admin(path: string, method: 'GET' | 'POST', permissions: readonly string[] = ['*']) {
  const { a } = host();
  const request: ModuleRequest = {
    method,
    url: `http://127.0.0.1/${path}`,
    headers: [],
    body: { text: '' },
    params: {},
  };
  return a.panel.modules.adminPage({
    installationId: await a.installationId('BankTransfer'),
    path,
    request,
    account: { id: a.adminId, kind: 'admin', permissions },
  });
}

async function listed(): Promise<string> {
  const answer = await admin('transfers', 'GET');
  return answer.kind === 'html' ? answer.html : '';
}

async function idOf(reference: string): Promise<string> {
  const row = (await listed()).split('<tr>').find((part) => part.includes(reference)) ?? '';
  return /transfers\/(\d+)\/confirm/.exec(row)?.[1] ?? '';
}

describe('the client’s page', () => {
  test('shows reference, amount, the account for the currency and the instructions [BNK-04] [BNK-13] [BNK-15]', async () => {
    await ready();
    const html = await page(await newInvoice(host().a, 123_450));
    const reference = referenceIn(html);
    expect(reference).toMatch(/^BT[0-9A-F]{8}$/);
    for (const text of [
      '$1,234.50',
      'Example Bank USA',
      'YourCompany LLC',
      '1234567890',
      '021000021',
      'EXBKUS33',
    ])
      expect(html).toContain(text);
    expect(html).toContain(`write ${reference} as the title`);
  });

  test('shows the EUR account for EUR, and USD’s for what it does not know [BNK-14] [BNK-16]', async () => {
    await ready();
    const eur = await page(await newInvoice(host().a, 1_000, 'EUR'));
    for (const text of [
      'Example Bank Europe',
      'YourCompany EU',
      'DE89370400440532013000',
      'EXBKDEFF',
      '€10.00',
    ])
      expect(eur).toContain(text);
    const yen = await page(await newInvoice(host().a, 1_000, 'JPY'));
    expect(yen).toContain('Example Bank USA');
    expect(yen).toContain('¥1,000');
  });

  test('keeps its reference when it is opened again; another invoice or account has another', async () => {
    await ready();
    const invoice = await newInvoice(host().a, 2_000);
    const reference = referenceIn(await page(invoice));
    expect(referenceIn(await page(invoice))).toBe(reference);
    expect(referenceIn(await page(await newInvoice(host().a, 2_000)))).not.toBe(reference);
    const settings = { usd_bank_name: 'Second Bank', instructions: 'Write {reference}, please.' };
    const second = await host().a.newInstance('BankTransfer', 'Second', settings);
    const html = await page(invoice, second);
    expect(referenceIn(html)).not.toBe(reference);
    expect(html).toContain('Second Bank');
    expect(html).toContain(`Write ${referenceIn(html)}, please.`);
  });

  test('stores the instruction as the guide does [BNK-05] [BNK-08] [BNK-09] [BNK-10]', async () => {
    await ready();
    const invoice = await newInvoice(host().a, 3_300);
    const reference = referenceIn(await page(invoice));
    const { schema_name: schema } = await host().a.installation('BankTransfer');
    const { sql } = host().bulkhead.databases.modules;
    const tables = await sql`select attname from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema ?? ''} and c.relname = 'bank_transfer_payments' and a.attnum > 0`;
    const names = tables.map((row) => String(row['attname']));
    expect(names).toEqual(
      expect.arrayContaining(
        'invoice_uuid amount currency reference status expires_at created_at'.split(' '),
      ),
    );
    expect(await listed()).toContain(reference);
    const inSevenDays = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
    expect(await listed()).toContain(inSevenDays);
  });
});

describe('a transfer that arrived', () => {
  test('pays its invoice once, through the account the client was told [BNK-18]', async () => {
    await ready();
    const invoice = await newInvoice(host().a, 4_400);
    const reference = referenceIn(await page(invoice));
    const path = `transfers/${await idOf(reference)}/confirm`;
    const answers = await Promise.all([admin(path, 'POST'), admin(path, 'POST')]);
    expect(answers.map((answer) => answer.kind)).toEqual(['json', 'json']);
    await until('the payment', async () => (await invoiceRow(host().a, invoice)).status === 'paid');
    expect(await paymentsOf(host().a, invoice)).toMatchObject([
      { transaction_id: reference, amount_minor: 4_400, instance_id: instance, currency: 'USD' },
    ]);
    await until('the list to say so', async () => {
      const again = await admin(path, 'POST');
      return again.kind === 'json' && again.status === 409;
    });
    expect(await paymentsOf(host().a, invoice)).toHaveLength(1);
  });

  test('is confirmed only by who may; others see the list without the button', async () => {
    await ready();
    const invoice = await newInvoice(host().a, 5_500);
    const reference = referenceIn(await page(invoice));
    const path = `transfers/${await idOf(reference)}/confirm`;
    const view = ['Payment-BankTransfer-view-transfers'];
    expect(await refusal(() => admin(path, 'POST', view))).toMatch(/^NOT_GRANTED/);
    const answer = await admin('transfers', 'GET', view);
    expect(answer.kind === 'html' && answer.html).toContain(reference);
    expect(answer.kind === 'html' && answer.html).not.toContain('/confirm');
    expect(await admin('transfers/999999/confirm', 'POST')).toMatchObject({ kind: 'json', status: 404 });
    expect(await admin('transfers/x/confirm', 'POST')).toMatchObject({ kind: 'json', status: 404 });
    expect(await paymentsOf(host().a, invoice)).toEqual([]);
  });

  test('is read in Polish by a Polish tenant', async () => {
    await ready();
    await host()
      .a.panel.db.updateTable('tenants')
      .set({ locale: 'pl' })
      .where('id', '=', host().a.id)
      .execute();
    await host().a.panel.instances.setActive({
      instanceId: instance,
      active: true,
      accountId: host().a.adminId,
    });
    expect(await page(await newInvoice(host().a, 600))).toContain('w tytule przelewu wpisz BT');
  });
});
