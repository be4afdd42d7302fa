/**
 * Paying an invoice: the choice among what the tenant offers, the gateway's own page in its frame or the way to its site, and coming back.
 * Choosing is a form, so that no foreign page can begin a payment; where a module sends the client was compared with its grant.
 */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { OfferedGateway } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom } from '../forms.ts';
import { liveStream } from '../live.ts';
import { withNote } from '../notes.ts';
import { invoiceHome, payUrls } from './pay-urls.ts';
import { accountPage, fragment, type Panel } from '../panel.ts';

const ChoiceForm = v.object({ instance: v.pipe(v.string(), v.uuid()) });
const Shown = v.object({
  title: v.fallback(v.string(), ''),
  description: v.fallback(v.string(), ''),
  icon: v.fallback(v.string(), 'fas fa-credit-card'),
});
const QUERY_ENTRIES = 20;
const QUERY_CHARACTERS = 500;

async function invoiceOf(panel: Panel, c: AccountContext) {
  const invoice = await panel.deps.db
    .selectFrom('invoices')
    .select(['id', 'label', 'status', 'currency', 'total_minor', 'paid_minor'])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('client_id', '=', c.get('account').accountId)
    .where('id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (invoice === undefined) throw new HostError('NOT_FOUND', 'There is no such invoice.');
  const isOpen = invoice.status === 'unpaid' || invoice.status === 'overdue';
  return { ...invoice, dueMinor: isOpen ? invoice.total_minor - invoice.paid_minor : 0 };
}
type Invoice = Awaited<ReturnType<typeof invoiceOf>>;

function choices(gateways: readonly OfferedGateway[]) {
  return gateways.map(({ instanceId, name, manifest }) => {
    const { title, description, icon } = v.parse(Shown, manifest);
    return { instanceId, name, title, description, icon };
  });
}

async function choicePage(panel: Panel, c: AccountContext, wrong?: readonly string[]): Promise<Response> {
  const invoice = await invoiceOf(panel, c);
  if (invoice.dueMinor === 0) return c.redirect(invoiceHome(c, invoice.id), 303);
  const offered = choices(await panel.deps.gateways.offered(c.get('tenant').id));
  const data = { ...headOf(c, invoice), invoice, offered, wrong };
  return accountPage(panel, c, 'client/pay', data, wrong === undefined ? 200 : 422);
}

function headOf(c: AccountContext, invoice: Invoice) {
  return {
    title: c.get('t')('pay.title', { number: invoice.label }),
    crumb: { href: invoiceHome(c, invoice.id), title: invoice.label },
    home: invoiceHome(c, invoice.id),
  };
}

async function choose(panel: Panel, c: AccountContext): Promise<Response> {
  const invoice = await invoiceOf(panel, c);
  const form = await checkForm(c, ChoiceForm);
  if (!form.ok) return choicePage(panel, c, [c.get('t')('pay.choose_one')]);
  const instanceId = form.value.instance;
  const account = c.get('account');
  try {
    const response = await panel.deps.gateways.pay({
      tenantId: c.get('tenant').id,
      invoiceId: invoice.id,
      instanceId,
      account: { id: account.accountId, kind: 'client', permissions: [] },
      ...payUrls(c, { invoiceId: invoice.id, instanceId }),
    });
    if (response.kind === 'redirect') return await leavePage(panel, c, invoice, response.to);
    const html = response.kind === 'html' ? response.html : '';
    const owner = { what: 'page', accountId: account.accountId, invoiceId: invoice.id, instanceId } as const;
    const key = panel.payPages.put(owner, html, panel.deps.now());
    return c.redirect(`${invoiceHome(c, invoice.id)}/pay/${instanceId}?page=${key}`, 303);
  } catch (error) {
    const mistakes = errorsOf(error);
    if (mistakes === undefined) throw error;
    return choicePage(panel, c, Object.values(mistakes).flat());
  }
}

/** By a page and not by a status: the policy of our forms lets none lead to another site. */
async function leavePage(panel: Panel, c: AccountContext, invoice: Invoice, to: string): Promise<Response> {
  const { href, host } = new URL(to);
  c.header('Refresh', `1;url=${href}`);
  const data = { ...headOf(c, invoice), to: href, host };
  return accountPage(panel, c, 'client/pay-leave', data);
}

async function framePage(panel: Panel, c: AccountContext): Promise<Response> {
  const invoice = await invoiceOf(panel, c);
  if (invoice.dueMinor === 0) return c.redirect(invoiceHome(c, invoice.id), 303);
  const instanceId = idFrom(c.req.param('instance'));
  const gateway = choices(await panel.deps.gateways.offered(c.get('tenant').id)).find(
    (offered) => offered.instanceId === instanceId,
  );
  if (gateway === undefined) throw new HostError('NOT_FOUND', 'This way to pay is not offered any more.');
  const frames = `${c.get('tenantBase')}/m/pay/${invoice.id}/${instanceId}`;
  const key = c.req.query('page') ?? '';
  return accountPage(panel, c, 'client/pay-frame', {
    ...headOf(c, invoice),
    invoice,
    gateway,
    frames,
    frame: `${frames}/page?${new URLSearchParams({ page: key }).toString()}`,
  });
}

/** A form in the gateway's frame was answered with a granted address, which was kept for whom it was made. */
async function leaveAfterForm(panel: Panel, c: AccountContext): Promise<Response> {
  const invoice = await invoiceOf(panel, c);
  const { accountId } = c.get('account');
  const instanceId = idFrom(c.req.param('instance'));
  const owner = { what: 'address', accountId, invoiceId: invoice.id, instanceId } as const;
  const to = panel.payPages.take(c.req.query('to') ?? '', owner, panel.deps.now());
  if (to === undefined) return c.redirect(`${invoiceHome(c, invoice.id)}/pay`, 303);
  return leavePage(panel, c, invoice, to);
}

function queryOf(c: AccountContext): Record<string, string> {
  const entries = [...new URL(c.req.url).searchParams].slice(0, QUERY_ENTRIES);
  return Object.fromEntries(entries.map(([key, value]) => [key, value.slice(0, QUERY_CHARACTERS)]));
}

async function back(panel: Panel, c: AccountContext): Promise<Response> {
  const invoice = await invoiceOf(panel, c);
  const { accountId } = c.get('account');
  await panel.deps.gateways.returned({
    tenantId: c.get('tenant').id,
    invoiceId: invoice.id,
    instanceId: idFrom(c.req.param('instance')),
    query: queryOf(c),
    account: { id: accountId, kind: 'client', permissions: [] },
  });
  return c.redirect(`${invoiceHome(c, invoice.id)}/payment`, 303);
}

export function payPages(app: AccountApp, panel: Panel): void {
  app.get('/invoices/:id/pay', (c) => choicePage(panel, c));
  app.post('/invoices/:id/pay', (c) => choose(panel, c));
  app.get('/invoices/:id/pay/:instance', (c) => framePage(panel, c));
  app.get('/invoices/:id/pay/:instance/leave', (c) => leaveAfterForm(panel, c));
  app.get('/invoices/:id/return/:instance', (c) => back(panel, c));
  app.get('/invoices/:id/cancelled/:instance', async (c) => {
    const invoice = await invoiceOf(panel, c);
    return c.redirect(withNote(`${invoiceHome(c, invoice.id)}/pay`, 'payment-given-up'), 303);
  });

  /** After coming back: paid, or not yet, which changes by itself once the gateway tells. */
  app.get('/invoices/:id/payment', async (c) => {
    const invoice = await invoiceOf(panel, c);
    return accountPage(panel, c, 'client/pay-back', { ...headOf(c, invoice), invoice });
  });
  app.get('/invoices/:id/payment/events', async (c) => {
    await invoiceOf(panel, c);
    return liveStream(c, async () => {
      const { status, paid_minor: paid } = await invoiceOf(panel, c);
      return `${status} ${paid}`;
    });
  });
  app.get('/invoices/:id/payment/state', async (c) => {
    const invoice = await invoiceOf(panel, c);
    return fragment(panel, c, 'parts/pay-state', { invoice, home: invoiceHome(c, invoice.id) });
  });
}
