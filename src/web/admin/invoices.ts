/** Invoices of the tenant: the list with what is outstanding, one invoice with all that may be done with it, and a new one by hand. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { creditBalance } from '../../billing/credit.ts';
import { clientChoices } from '../choices.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import {
  checkForm,
  errorsOf,
  fieldErrors,
  idFrom,
  majorText,
  minorUnits,
  type RawForm,
  readForm,
} from '../forms.ts';
import { creditRows, INVOICE_STATUSES, invoiceItems, invoicePayments, invoiceRows } from '../invoice-rows.ts';
import { WEB_LIMITS } from '../limits.ts';
import { readLines, shownLines } from './invoice-lines.ts';
import { need } from '../need.ts';
import { type Note, withNote } from '../notes.ts';
import { pageNumber, paged, rowsFrom } from '../paging.ts';
import { accountPage, type Panel } from '../panel.ts';

const TEXT_CHARS = 100;
const Text = v.pipe(v.string(), v.trim(), v.maxLength(200, 'Use at most 200 characters.'));
const Day = v.pipe(v.string(), v.isoDate('A day is expected.'));
const PaymentForm = v.object({
  amount: v.string(),
  reference: v.pipe(Text, v.minLength(1, 'Say how it came in.')),
});
const DueForm = v.object({ due: Day });
const RefundForm = v.object({
  amount: v.string(),
  reason: v.optional(Text, ''),
  via: v.picklist(['gateway', 'hand']),
});
const SettleForm = v.object({ arrived: v.picklist(['yes', 'no']) });
const NewForm = v.looseObject({
  client: v.pipe(v.string(), v.uuid('Choose a client.')),
  due: v.union([v.literal(''), Day], 'A day is expected.'),
});

const Totals = v.object({ unpaid: v.number(), overdue: v.number(), paid_month: v.number() });

async function totals(panel: Panel, tenantId: string): Promise<v.InferOutput<typeof Totals>> {
  const { rows } = await sql`
    select
      coalesce(sum(total_minor - paid_minor) filter (where status in ('unpaid', 'overdue')), 0)::float8 as unpaid,
      coalesce(sum(total_minor - paid_minor) filter (where status = 'overdue'), 0)::float8 as overdue,
      (select coalesce(sum(amount_minor - refunded_minor), 0)::float8 from payments
        where tenant_id = ${tenantId} and created_at > now() - interval '30 days') as paid_month
    from invoices where tenant_id = ${tenantId}`.execute(panel.deps.db);
  return v.parse(Totals, rows[0]);
}

async function readInvoices(panel: Panel, c: AccountContext) {
  const page = pageNumber(c.req.query('page'));
  const status = INVOICE_STATUSES.find((known) => known === c.req.query('status'));
  const text = c.req.query('q')?.slice(0, TEXT_CHARS) ?? '';
  let query = invoiceRows(panel, c.get('tenant').id);
  if (status !== undefined) query = query.where('invoices.status', '=', status);
  if (text !== '') {
    const pattern = `%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
    query = query.where(
      sql<boolean>`(invoices.label ilike ${pattern} or accounts.name ilike ${pattern} or accounts.email ilike ${pattern})`,
    );
  }
  const rows = await query
    .orderBy('invoices.created_at', 'desc')
    .limit(WEB_LIMITS.pageRows + 1)
    .offset(rowsFrom(page))
    .execute();
  return { ...paged(c.req.url, page, rows), filter: { status, q: text } };
}

async function invoiceOf(panel: Panel, c: AccountContext) {
  const row = await invoiceRows(panel, c.get('tenant').id)
    .where('invoices.id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such invoice.');
  return row;
}

function refundsOf(panel: Panel, invoiceId: string) {
  return panel.deps.db
    .selectFrom('refunds')
    .innerJoin('payments', 'payments.id', 'refunds.payment_id')
    .selectAll('refunds')
    .select('payments.transaction_id as paid_as')
    .where('payments.invoice_id', '=', invoiceId)
    .orderBy('refunds.created_at')
    .execute();
}

async function invoicePage(panel: Panel, c: AccountContext, errors: FormErrors = {}): Promise<Response> {
  need(c, 'billing.view');
  const invoice = await invoiceOf(panel, c);
  const [items, payments, refunds, credit, balance] = await Promise.all([
    invoiceItems(panel, invoice.id),
    invoicePayments(panel, invoice.id),
    refundsOf(panel, invoice.id),
    creditRows(panel, { invoiceId: invoice.id }),
    creditBalance(panel.deps.db, c.get('tenant').id, invoice.client_id),
  ]);
  const canRefund = await Promise.all(
    payments.map(async ({ instance_id: id }) => id !== null && panel.deps.gateways.canRefund(id)),
  );
  const status = Object.keys(errors).length === 0 ? 200 : 422;
  const data = {
    title: invoice.label,
    crumb: { href: `${c.get('tenantBase')}/admin/invoices`, title: c.get('t')('menu.invoices') },
    invoice,
    items,
    payments: payments.map((payment, index) => ({
      ...payment,
      canRefund: canRefund[index] === true,
      left_minor: payment.amount_minor - payment.refunded_minor,
      left: majorText(payment.amount_minor - payment.refunded_minor, payment.currency),
    })),
    refunds,
    credit,
    balance,
    isOpen: invoice.status === 'unpaid' || invoice.status === 'overdue',
    due: majorText(invoice.due_minor, invoice.currency),
    dueDay: invoice.due_at.toISOString().slice(0, 10),
    errors,
  };
  return accountPage(panel, c, 'admin/invoice', data, status);
}

function amountOf(text: string, currency: string): number {
  const minor = minorUnits(text, currency);
  if (minor === undefined || minor === 0)
    throw new HostError(
      'BAD_INPUT',
      `An amount in ${currency} is expected, for example ${majorText(1_250, currency)}.`,
    );
  return minor;
}

/** One thing that is done with an invoice: a form of its page, which says what was wrong with it. */
function doing<S extends v.GenericSchema>(
  panel: Panel,
  schema: S,
  note: Note,
  work: (
    c: AccountContext,
    invoice: Awaited<ReturnType<typeof invoiceOf>>,
    form: v.InferOutput<S>,
  ) => Promise<unknown>,
) {
  return async (c: AccountContext): Promise<Response> => {
    need(c, 'billing.manage');
    const invoice = await invoiceOf(panel, c);
    const form = await checkForm(c, schema);
    if (!form.ok) return invoicePage(panel, c, form.errors);
    try {
      await work(c, invoice, form.value);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return invoicePage(panel, c, errors);
    }
    return c.redirect(withNote(`${c.get('tenantBase')}/admin/invoices/${invoice.id}`, note), 303);
  };
}

export function invoicePages(app: AccountApp, panel: Panel): void {
  const { invoicing } = panel.deps;
  const by = (c: AccountContext, invoiceId: string) => ({
    tenantId: c.get('tenant').id,
    invoiceId,
    accountId: c.get('account').accountId,
  });

  app.get('/invoices', async (c) => {
    need(c, 'billing.view');
    const { rows, paging, filter } = await readInvoices(panel, c);
    return accountPage(panel, c, 'admin/invoices', {
      title: c.get('t')('menu.invoices'),
      invoices: rows,
      paging,
      filter,
      statuses: INVOICE_STATUSES,
      totals: await totals(panel, c.get('tenant').id),
    });
  });

  const newPage = async (c: AccountContext, refused?: { errors: FormErrors; values: RawForm }) => {
    need(c, 'billing.manage');
    const data = {
      title: c.get('t')('billing.new_invoice'),
      crumb: { href: `${c.get('tenantBase')}/admin/invoices`, title: c.get('t')('menu.invoices') },
      clients: await clientChoices(panel, c.get('tenant').id),
      values: refused?.values ?? { client: c.req.query('client') },
      lines: shownLines(refused?.values ?? {}),
      tax: await panel.deps.invoicing.settings(c.get('tenant').id),
      errors: refused?.errors ?? {},
    };
    const wrong = Object.keys(data.errors).length > 0;
    return accountPage(panel, c, 'admin/invoice-new', data, wrong ? 422 : 200);
  };
  app.get('/invoices/new', (c) => newPage(c));
  app.post('/invoices/new', async (c) => {
    need(c, 'billing.manage');
    const raw = await readForm(c);
    if (raw['more'] !== undefined) return newPage(c, { errors: {}, values: raw });
    const form = v.safeParse(NewForm, { ...raw });
    const { currency } = c.get('tenant');
    const example = majorText(1_250, currency);
    const { lines, errors } = readLines(raw, currency, c.get('t')('billing.amount_expected', { example }));
    if (!form.success || Object.keys(errors).length > 0)
      return newPage(c, {
        errors: { ...errors, ...(form.success ? {} : fieldErrors(form.issues)) },
        values: raw,
      });
    const { client, due } = form.output;
    const { invoiceId } = await invoicing.create({
      tenantId: c.get('tenant').id,
      clientId: client,
      items: lines,
      dueAt: due === '' ? null : new Date(due),
    });
    return c.redirect(withNote(`${c.get('tenantBase')}/admin/invoices/${invoiceId}`, 'invoice-created'), 303);
  });

  app.get('/invoices/:id', (c) => invoicePage(panel, c));
  app.post(
    '/invoices/:id/payments',
    doing(panel, PaymentForm, 'payment-booked', (c, invoice, { amount, reference }) =>
      invoicing.bookByHand({
        ...by(c, invoice.id),
        amountMinor: amountOf(amount, invoice.currency),
        reference,
      }),
    ),
  );
  app.post(
    '/invoices/:id/credit',
    doing(panel, v.object({}), 'credit-used', (c, invoice) => invoicing.useCredit(by(c, invoice.id))),
  );
  app.post(
    '/invoices/:id/cancel',
    doing(panel, v.object({}), 'invoice-cancelled', (c, invoice) => invoicing.cancel(by(c, invoice.id))),
  );
  app.post(
    '/invoices/:id/due',
    doing(panel, DueForm, 'due-date-set', (c, invoice, { due }) =>
      invoicing.setDueDate({ ...by(c, invoice.id), dueAt: new Date(due) }),
    ),
  );
  app.post(
    '/invoices/:id/payments/:payment/refund',
    doing(panel, RefundForm, 'refund-noted', (c, invoice, { amount, reason, via }) => {
      const refund = {
        tenantId: c.get('tenant').id,
        invoiceId: invoice.id,
        paymentId: idFrom(c.req.param('payment')),
        amountMinor: amountOf(amount, invoice.currency),
        reason,
        accountId: c.get('account').accountId,
      };
      return via === 'gateway' ? panel.deps.gateways.refund(refund) : invoicing.refundByHand(refund);
    }),
  );
  app.post(
    '/invoices/:id/refunds/:refund',
    doing(panel, SettleForm, 'refund-noted', (c, invoice, { arrived }) =>
      invoicing.settleRefund({
        tenantId: c.get('tenant').id,
        invoiceId: invoice.id,
        refundId: idFrom(c.req.param('refund')),
        arrived: arrived === 'yes',
      }),
    ),
  );
}
