/** Pages of invoices and credit: each for its own tenant and client only, behind its permission, and what is typed reaches the use case whole. */
import { beforeAll, describe, expect, test } from 'vitest';
import { readBillingSettings, saveBillingSettings } from '../../src/billing/settings.ts';
import { newClient, newInvoice } from '../billing/support.ts';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const ADMIN = '/t/acme/admin';
let invoiceId = '';
let othersInvoiceId = '';

beforeAll(async () => {
  const { db, seeded } = panel();
  const payer = { tenantId: seeded.tenantId, clientId: seeded.clientId };
  ({ id: invoiceId } = await newInvoice(db, payer, 1_250));
  const otherClient = { ...payer, clientId: await newClient(db, seeded.tenantId) };
  ({ id: othersInvoiceId } = await newInvoice(db, otherClient, 990));
});

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  return visitor;
}

async function client() {
  const visitor = panel().visitor();
  await visitor.signIn('client', 'carl@client.test');
  return visitor;
}

function lastCall(name: string): unknown {
  return panel().deps.called.findLast((call) => call.name === name)?.input;
}

describe('an admin', () => {
  test('sees invoices and books what came in, in the currency’s digits', async () => {
    const visitor = await admin();
    const list = await (await visitor.get(`${ADMIN}/invoices?status=unpaid&q=INV`)).text();
    expect(list).toContain('INV-00001');
    const form = { amount: '12,5', reference: 'Transfer 1' };
    const booked = await visitor.post(`${ADMIN}/invoices/${invoiceId}/payments`, form);
    expect(booked.status).toBe(303);
    expect(lastCall('bookByHand')).toMatchObject({ invoiceId, amountMinor: 1_250, reference: 'Transfer 1' });
  });

  test.each([
    ['no amount', { amount: '', reference: 'x' }],
    ['an amount of nothing', { amount: '0', reference: 'x' }],
    ['more digits than the currency has', { amount: '1.255', reference: 'x' }],
    ['less than nothing', { amount: '-3', reference: 'x' }],
    ['no reference', { amount: '1', reference: ' ' }],
  ])('is told what is wrong with %s', async (_what, form) => {
    const visitor = await admin();
    panel().deps.called.length = 0;
    expect((await visitor.post(`${ADMIN}/invoices/${invoiceId}/payments`, form)).status).toBe(422);
    expect(panel().deps.called).toEqual([]);
  });

  test('sets how the tenant bills, and is told what cannot be', async () => {
    const visitor = await admin();
    const form = {
      invoice_prefix: 'A-',
      due_days: '14',
      invoice_ahead_days: '3',
      suspend_after_days: '5',
      terminate_after_days: '',
      orders_per_hour: '9',
      pay_first: 'on',
      tax_rate_bp: '8,25',
    };
    expect((await visitor.post(`${ADMIN}/billing`, form)).status).toBe(303);
    expect(lastCall('saveBillingSettings')).toMatchObject({
      settings: {
        due_days: 14,
        terminate_after_days: null,
        pay_first: true,
        auto_credit: false,
        tax_rate_bp: 825,
      },
    });
    expect((await visitor.post(`${ADMIN}/billing`, { ...form, due_days: '-1' })).status).toBe(422);
    for (const rate of ['-1', '8.255', '101', 'much'])
      expect((await visitor.post(`${ADMIN}/billing`, { ...form, tax_rate_bp: rate })).status).toBe(422);
    expect((await visitor.post(`${ADMIN}/billing`, { ...form, terminate_after_days: '0' })).status).toBe(422);
  });

  test('writes an invoice of several lines, and is told which of them is wrong', async () => {
    const visitor = await admin();
    const { seeded, deps } = panel();
    const form = (quantity: string) => ({
      client: seeded.clientId,
      due: '',
      description: ['Setup', 'Hours of work', ''],
      quantity: ['1', quantity, '1'],
      amount: ['12,50', '40', ''],
    });
    expect((await visitor.post(`${ADMIN}/invoices/new`, form('3'))).status).toBe(303);
    expect(deps.called.at(-1)?.input).toMatchObject({
      clientId: seeded.clientId,
      items: [
        { description: 'Setup', quantity: 1, amountMinor: 1_250 },
        { description: 'Hours of work', quantity: 3, amountMinor: 12_000 },
      ],
    });
    deps.called.length = 0;
    const refused = await visitor.post(`${ADMIN}/invoices/new`, form('1.5'));
    expect(refused.status).toBe(422);
    expect(await refused.text()).toContain('Hours of work');
    const more = await visitor.post(`${ADMIN}/invoices/new`, { ...form('3'), more: '1' });
    expect(more.status).toBe(200);
    expect(await more.text()).toContain('Hours of work');
    expect(deps.called).toEqual([]);
  });

  test('without the permission sees and changes no money', async () => {
    const { db, seeded, deps } = panel();
    await db
      .updateTable('roles')
      .set({ permissions: ['services.view', 'clients.manage'] })
      .where('tenant_id', '=', seeded.tenantId)
      .execute();
    deps.auth.sessions.forget(seeded.adminId);
    const visitor = await admin();
    deps.called.length = 0;
    for (const path of [
      '/invoices',
      `/invoices/${invoiceId}`,
      '/invoices/new',
      '/billing',
      `/clients/${seeded.clientId}/billing`,
    ])
      expect([path, (await visitor.get(ADMIN + path)).status]).toEqual([path, 403]);
    for (const path of [`/invoices/${invoiceId}/cancel`, `/clients/${seeded.clientId}/credit`, '/billing'])
      expect([path, (await visitor.post(ADMIN + path, {})).status]).toEqual([path, 403]);
    expect(deps.called).toEqual([]);
    await db
      .updateTable('roles')
      .set({ permissions: ['*'] })
      .where('tenant_id', '=', seeded.tenantId)
      .execute();
    deps.auth.sessions.forget(seeded.adminId);
  });

  test('of another tenant finds none of it', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'hank@globex.test', { tenant: 'globex' });
    const { seeded, deps } = panel();
    deps.called.length = 0;
    for (const path of [`/invoices/${invoiceId}`, `/clients/${seeded.clientId}/billing`])
      expect((await visitor.get(`/t/globex/admin${path}`)).status).toBe(404);
    for (const path of ['payments', 'credit', 'cancel', 'due'])
      expect((await visitor.post(`/t/globex/admin/invoices/${invoiceId}/${path}`, {})).status).toBe(404);
    expect((await visitor.post(`/t/globex/admin/clients/${seeded.clientId}/credit`, {})).status).toBe(404);
    expect(await (await visitor.get('/t/globex/admin/invoices')).text()).not.toContain('INV-00001');
    expect(deps.called).toEqual([]);
  });
});

describe('an admin’s page of a service', () => {
  test('ends it with its period and takes that back, for the tenant’s own and with the permission', async () => {
    const visitor = await admin();
    const { seeded, deps } = panel();
    deps.called.length = 0;
    const service = `${ADMIN}/services/${seeded.serviceId}`;
    expect((await visitor.post(`${service}/cancel`, {})).status).toBe(303);
    const of = { tenantId: seeded.tenantId, serviceId: seeded.serviceId };
    expect(lastCall('cancelService')).toEqual({ ...of, actor: 'admin' });
    expect((await visitor.post(`${service}/keep`, {})).status).toBe(303);
    expect(lastCall('keepService')).toEqual(of);
    const nobodys = `${ADMIN}/services/${invoiceId}`;
    expect((await visitor.post(`${nobodys}/cancel`, {})).status).toBe(404);
    expect((await visitor.post(`${nobodys}/keep`, {})).status).toBe(404);
  });
});

describe('a client', () => {
  test('sees the own invoices, and no other’s', async () => {
    const visitor = await client();
    const list = await (await visitor.get('/t/acme/invoices')).text();
    expect(list).toContain('INV-00001');
    expect(list).not.toContain('INV-00002');
    const invoice = await (await visitor.get(`/t/acme/invoices/${invoiceId}`)).text();
    expect(invoice).toContain('$12.50');
    expect(invoice).toContain(`/t/acme/invoices/${invoiceId}/pay`);
    expect((await visitor.get(`/t/acme/invoices/${othersInvoiceId}`)).status).toBe(404);
  });

  test('sees before ordering what the tax comes to, as the invoice will have it', async () => {
    const visitor = await client();
    const staff = await admin();
    const { db, seeded } = panel();
    const pages = async () => [
      await (await visitor.get(`/t/acme/order/${seeded.productId}`)).text(),
      await (await staff.get(`${ADMIN}/services/new?product=${seeded.productId}`)).text(),
    ];
    for (const page of await pages()) expect(page).not.toContain('tax');
    const price = {
      product_id: seeded.productId,
      period: 'biennially',
      setup_minor: 100,
      amount_minor: 1_111,
    };
    await db
      .insertInto('prices')
      .values({ ...price, period: 'biennially' })
      .execute();
    const settings = await readBillingSettings(db, seeded.tenantId);
    const tax = { ...settings, tax_rate_bp: 2_300, prices_include_tax: false };
    await saveBillingSettings(db, seeded.tenantId, tax);
    try {
      for (const page of await pages()) {
        expect(page).toContain('€13.67 with 23 % tax');
        expect(page).toContain('€1.23');
      }
      await saveBillingSettings(db, seeded.tenantId, { ...tax, prices_include_tax: true });
      for (const page of await pages()) {
        expect(page).toContain('23 % tax, included');
        expect(page).not.toContain('€13.67');
      }
    } finally {
      await saveBillingSettings(db, seeded.tenantId, settings);
      await db.deleteFrom('prices').where('period', '=', 'biennially').execute();
    }
  });

  test('is told how hours are billed before ordering, and for which hours an invoice asks', async () => {
    const visitor = await client();
    const { db, seeded } = panel();
    const order = async (): Promise<string> =>
      (await visitor.get(`/t/acme/order/${seeded.productId}`)).text();
    expect(await order()).not.toContain('Billed daily for the hours used');
    const price = {
      product_id: seeded.productId,
      period: 'hourly',
      setup_minor: 0,
      amount_minor: 3,
    } as const;
    await db.insertInto('prices').values(price).execute();
    expect(await order()).toContain('Billed daily for the hours used');
    const used = {
      kind: 'use',
      serviceId: seeded.serviceId,
      description: 'A server',
      quantity: 24,
      amountMinor: 72,
      periodFrom: new Date('2026-03-01T10:20:00Z'),
      periodTo: new Date('2026-03-02T10:20:00Z'),
    } as const;
    const payer = { tenantId: seeded.tenantId, clientId: seeded.clientId };
    const { id } = await newInvoice(db, payer, 72, { items: [used] });
    const page = await (await visitor.get(`/t/acme/invoices/${id}`)).text();
    expect(page).toContain('Hours used: 24 × $0.03');
    expect(page).toContain('datetime="2026-03-01T10:20:00.000Z"');
    expect(page).toContain('datetime="2026-03-02T10:20:00.000Z"');
    await db
      .deleteFrom('prices')
      .where('product_id', '=', seeded.productId)
      .where('period', '=', 'hourly')
      .execute();
  });

  test('uses credit for, and cancels, only what is the own', async () => {
    const visitor = await client();
    const { seeded, deps } = panel();
    deps.called.length = 0;
    expect((await visitor.post(`/t/acme/invoices/${othersInvoiceId}/credit`, {})).status).toBe(404);
    expect((await visitor.post(`/t/acme/services/${seeded.otherServiceId}/-/cancel`, {})).status).toBe(404);
    expect((await visitor.post(`/t/acme/services/${seeded.otherServiceId}/-/keep`, {})).status).toBe(404);
    expect(deps.called).toEqual([]);
    expect((await visitor.post(`/t/acme/services/${seeded.serviceId}/-/cancel`, {})).status).toBe(303);
    expect(lastCall('cancelService')).toEqual({
      tenantId: seeded.tenantId,
      serviceId: seeded.serviceId,
      actor: 'client',
    });
  });
});
