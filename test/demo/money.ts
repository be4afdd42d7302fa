/** The demo's chapter on money: an order that is paid first, through Stripe's own page, and the messages that people get of it. */
import { saveBillingSettings, readBillingSettings } from '../../src/billing/settings.ts';
import type { Demo } from '../../src/cli/demo/start.ts';
import { openBrowser } from '../support/browser.ts';
import type { Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';
import { begin, expect, step } from './steps.ts';
import type { Walk } from './walk.ts';

const PRICE_MINOR = 500;

export async function earn(walk: Walk, running: Demo): Promise<void> {
  begin('5. Paid ahead: an order, an invoice, Stripe, a server, and messages');
  const { acme } = walk;
  const stripeId = await step(
    'Stripe: installed, one account with its own key and webhook address',
    () => installStripe(acme, running),
    (id) => `account ${id}`,
  );
  await step('Email and Slack: senders of the tenant’s own', () => installSenders(acme, running));
  await step('the tenant wants payment before anything is made', () => payFirst(acme, true));
  const serviceId = await step(
    'a client orders: an invoice, and no server yet',
    async () => {
      const id = await acme.order(await acme.productNamed('VPS M'), {
        hostname: 'paid.example.com',
        image_id: 'ubuntu-20.04',
      });
      expect((await acme.tasks(id)).length === 0, 'a task was queued before the payment');
      return id;
    },
    (id) => id,
  );
  const invoice = await invoiceOf(acme, serviceId);
  const checkout = await step(
    'the client chooses Stripe and is sent to its page, a granted host',
    () => chooseStripe(running, invoice.id, stripeId),
    (url) => url,
  );
  await step(
    'paid there: Stripe’s signed webhook books the payment, once',
    () => pay(walk, running, checkout, invoice.id),
    (text) => text,
  );
  await step(
    'and the server is made',
    () => acme.reached(serviceId, 'completed', 'active'),
    (service) => `service ${service.status}`,
  );
  await step(
    'the client has mail of it, the staff’s channel a message',
    () => messages(running),
    (lines) => lines.join('\n'),
  );
  await payFirst(acme, false);
}

async function payFirst(acme: Tenant, pay_first: boolean): Promise<void> {
  const settings = await readBillingSettings(acme.panel.db, acme.id);
  await saveBillingSettings(acme.panel.db, acme.id, { ...settings, pay_first });
}

async function installStripe(acme: Tenant, { cloud, state, server }: Demo): Promise<string> {
  const settings = {
    secret_key: state.cloud.stripeKey,
    sandbox: true,
    api_url: cloud.cloud,
    checkout_url: cloud.cloud,
  };
  const instanceId = await acme.installedWithInstance('Stripe', settings);
  const url = (server.url ?? '') + (await acme.hook(instanceId));
  const { secret } = await cloud.control.addWebhook({ url, secretKey: state.cloud.stripeKey });
  const values = { ...settings, webhook_secret: secret };
  const saved = await acme.panel.instances.save({ instanceId, values, accountId: acme.adminId });
  expect(saved.ok, JSON.stringify(saved));
  return instanceId;
}

async function installSenders(acme: Tenant, { cloud }: Demo): Promise<void> {
  const { host, port, username, password } = cloud.smtp;
  await acme.installedWithInstance('Email', {
    server: host,
    port,
    encryption: 'none',
    username,
    password,
    from_email: 'hello@acme.example',
    from_name: 'Acme Hosting',
  });
  const slackId = await acme.installedWithInstance('SlackNotification', {
    webhook_url: cloud.slack,
    server: cloud.cloud,
  });
  const email = await acme.panel.db
    .selectFrom('instances as instance')
    .innerJoin('installations as installation', 'installation.id', 'instance.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .select('instance.id')
    .where('instance.tenant_id', '=', acme.id)
    .where('module.name', '=', 'Email')
    .executeTakeFirstOrThrow();
  await acme.rule('client_administrative', [email.id]);
  await acme.rule('client_operational', [email.id, slackId]);
}

async function invoiceOf(acme: Tenant, serviceId: string) {
  const { db } = acme.panel;
  const invoice = await db
    .selectFrom('invoices as invoice')
    .innerJoin('invoice_items as item', 'item.invoice_id', 'invoice.id')
    .select(['invoice.id', 'invoice.label', 'invoice.total_minor', 'invoice.status'])
    .where('invoice.tenant_id', '=', acme.id)
    .where('item.service_id', '=', serviceId)
    .executeTakeFirstOrThrow();
  expect(invoice.status === 'unpaid' && invoice.total_minor === PRICE_MINOR, JSON.stringify(invoice));
  return invoice;
}

/** As the client's browser does it. @returns the address of the payment page */
async function chooseStripe({ server, state }: Demo, invoiceId: string, instance: string): Promise<string> {
  const login = state.tenants.find(({ slug }) => slug === 'acme')?.client;
  if (login === undefined) throw new Error('acme');
  const browser = openBrowser(server.url ?? '');
  await browser.signIn('/t/acme', login);
  const answer = await browser.post(`/t/acme/invoices/${invoiceId}/pay`, { instance });
  const url = answer.headers.get('refresh')?.split('url=')[1];
  if (url === undefined) throw new Error(`paying answered ${answer.status}`);
  return url;
}

async function pay({ acme }: Walk, { cloud }: Demo, checkout: string, invoiceId: string): Promise<string> {
  await cloud.control.setWebhookPolicy({ copies: 3 });
  const body = new URLSearchParams({ outcome: 'pay' });
  await fetch(checkout, { method: 'POST', body, redirect: 'manual' });
  const { db } = acme.panel;
  const status = async () =>
    (await db.selectFrom('invoices').select('status').where('id', '=', invoiceId).executeTakeFirstOrThrow())
      .status;
  await until('the invoice to be paid', async () => (await status()) === 'paid');
  await until('every delivery', async () =>
    (await cloud.control.webhookDeliveries()).every(({ state }) => state === 'delivered'),
  );
  const payments = await db.selectFrom('payments').select('id').where('invoice_id', '=', invoiceId).execute();
  expect(payments.length === 1, `${payments.length} payments were booked`);
  await cloud.control.setWebhookPolicy({});
  return 'three copies of the webhook, one payment';
}

async function messages({ cloud }: Demo): Promise<string[]> {
  return until('mail and chat', async () => {
    const mails = (await cloud.control.mails()).map(({ to, subject }) => `mail to ${to.join()}: ${subject}`);
    const chats = (await cloud.control.slackMessages()).map(({ summary }) => `chat: ${summary}`);
    return mails.length >= 2 && chats.length >= 1 && [...mails, ...chats];
  });
}
