/** Paying with a mouse: from the invoice to Stripe's page and back, and a bank transfer that an admin says has arrived. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { newInvoice } from '../support/invoices.ts';
import { packSource } from '../support/modules.ts';
import { PAY_FORM } from '../support/pay-form.ts';
import { type Payments, setUpPayments } from './support/payments.ts';
import { moduleFrame, useStage } from './support/stage.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 });

const stage = useStage();
let payments: Payments;

beforeAll(async () => {
  payments = await setUpPayments(stage().demo, stage().acme);
});

describe('a client', () => {
  it('is taken to Stripe’s page, pays there, comes back, and the invoice is paid', async () => {
    const invoiceId = await newInvoice(stage().acme, 4_200);
    const { page, home, complaints, context } = await stage().signIn('client');
    await page.goto(`${stage().origin}${home}/invoices/${invoiceId}`);
    await page.click(`a[href$="/invoices/${invoiceId}/pay"]`);
    await page.check(`input[value="${payments.stripeAccountId}"]`, { force: true });
    await page.click('form[action$="/pay"] button[type=submit]');
    await page.waitForURL((url) => url.href.startsWith(`${stage().demo.cloud.cloud}/c/pay/`));
    await page.click('button[value=pay]');
    await page.waitForURL((url) => url.pathname.endsWith(`/invoices/${invoiceId}/payment`));
    await page.getByText('is paid').waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('fills in a form in the module’s frame, which its module answers, and the invoice is paid', async () => {
    const tenant = stage().acme;
    const { bulkhead } = stage().demo.server;
    await bulkhead.publish(await packSource(PAY_FORM), { status: 'published' });
    const instanceId = await tenant.installedWithInstance('PayForm');
    const invoiceId = await newInvoice(tenant, 1_900);
    const { page, home, complaints, context } = await stage().signIn('client');
    await page.goto(`${stage().origin}${home}/invoices/${invoiceId}/pay/${instanceId}`);
    const frame = await moduleFrame(page);
    await frame.locator('input[name=card]').fill('wrong');
    await frame.getByRole('button', { name: 'Pay' }).click();
    await frame.getByText('This card was declined.').waitFor();
    await frame.locator('input[name=card]').fill('good');
    await frame.getByRole('button', { name: 'Pay' }).click();
    await page.waitForURL((url) => url.pathname.endsWith(`/invoices/${invoiceId}/payment`));
    await page.getByText('is paid').waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('sees the bank’s details in the module’s frame; the page after it changes by itself once an admin confirms', async () => {
    const { openInvoiceId, bankAccountId } = payments;
    const client = await stage().signIn('client');
    await client.page.goto(`${stage().origin}${client.home}/invoices/${openInvoiceId}/pay/${bankAccountId}`);
    const frame = await moduleFrame(client.page);
    const reference = (await frame.locator('code').first().textContent()) ?? '';
    expect(reference).toMatch(/^BT[0-9A-F]{8}$/);
    await client.page.goto(`${stage().origin}${client.home}/invoices/${openInvoiceId}/payment`);
    await client.page.getByText('waiting for your payment').waitFor();

    const admin = await stage().signIn('admin');
    await admin.page.goto(`${stage().origin}${admin.home}/modules/Payment/BankTransfer/transfers`);
    const list = await moduleFrame(admin.page);
    await list.locator('tr', { hasText: reference }).locator('button').click();
    await client.page.getByText('is paid').waitFor();
    expect([...client.complaints, ...admin.complaints]).toEqual([]);
    await client.context.close();
    await admin.context.close();
  });
});
