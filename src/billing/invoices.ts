/**
 * Invoices: made with a number that leaves no gap, paid by payments and credit, cancelled, given back as credit. Each function works
 * within the caller's transaction. Locks are taken in one order everywhere, so that no two of them wait for each other:
 * service, the tenant's number, invoice, client's credit.
 */
import type { Selectable } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { InvoicesTable } from '../database/tables.ts';
import type { Trx } from '../jobs/task.ts';
import { addCredit, lockCredit } from './credit.ts';
import { BILLING_LIMITS } from './limits.ts';
import { takeInvoiceNumber } from './settings.ts';
import { noteRenewals } from './renewals.ts';
import { mostOff, type TaxRule, withTax } from './tax.ts';
import { tell } from './tell.ts';

export type Invoice = Selectable<InvoicesTable>;

export interface NewItem {
  readonly kind: 'setup' | 'period' | 'use' | 'change' | 'other';
  readonly serviceId: string | null;
  readonly description: string;
  readonly quantity?: number;
  readonly amountMinor: number;
  readonly periodFrom?: Date;
  readonly periodTo?: Date;
}

export interface NewInvoice {
  readonly tenantId: string;
  readonly clientId: string;
  readonly currency: string;
  /** Absent: the tenant's days from now. */
  readonly dueAt?: Date;
  readonly items: readonly NewItem[];
  /** Whether the client's credit pays it at once; absent: as the tenant's setting says. */
  readonly useCredit?: boolean;
}

const NUMBER_DIGITS = 5;
const DAY_MS = 86_400_000;

export function isOpen(invoice: Pick<Invoice, 'status'>): boolean {
  return invoice.status === 'unpaid' || invoice.status === 'overdue';
}

export function dueMinor(invoice: Pick<Invoice, 'status' | 'total_minor' | 'paid_minor'>): number {
  return isOpen(invoice) ? invoice.total_minor - invoice.paid_minor : 0;
}

/** Of the lines: tax may come on top. */
function sumOf(items: readonly NewItem[]): number {
  if (items.length === 0 || items.length > BILLING_LIMITS.invoiceItems)
    throw new HostError('BAD_INPUT', `An invoice has 1 to ${BILLING_LIMITS.invoiceItems} items.`);
  const total = items.reduce((sum, item) => sum + item.amountMinor, 0);
  const fits = (amount: number): boolean =>
    Number.isSafeInteger(amount) && Math.abs(amount) <= BILLING_LIMITS.amountMaxMinor;
  if (!items.every((item) => fits(item.amountMinor)) || !fits(total) || total < 0)
    throw new HostError(
      'BAD_INPUT',
      'The amounts of an invoice are whole minor units and not less than nothing.',
    );
  return total;
}

export async function createInvoice(trx: Trx, input: NewInvoice): Promise<Invoice> {
  const sum = sumOf(input.items);
  const { number, settings } = await takeInvoiceNumber(trx, input.tenantId);
  const rule: TaxRule = { rateBp: settings.tax_rate_bp, included: settings.prices_include_tax };
  const { taxMinor, totalMinor: total } = withTax(sum, rule);
  const invoice = await trx
    .insertInto('invoices')
    .values({
      tenant_id: input.tenantId,
      client_id: input.clientId,
      number,
      label: `${settings.invoice_prefix}${String(number).padStart(NUMBER_DIGITS, '0')}`,
      currency: input.currency,
      total_minor: total,
      tax_rate_bp: rule.rateBp,
      tax_included: rule.included,
      tax_minor: taxMinor,
      due_at: input.dueAt ?? new Date(Date.now() + settings.due_days * DAY_MS),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await addItems(trx, invoice.id, input.items);
  await tellOf(trx, 'InvoiceCreated', invoice);
  if (total === 0) return settle(trx, invoice, 0);
  return (input.useCredit ?? settings.auto_credit) ? payByCredit(trx, invoice, null) : invoice;
}

export async function addItems(trx: Trx, invoiceId: string, items: readonly NewItem[]): Promise<void> {
  await trx
    .insertInto('invoice_items')
    .values(
      items.map((item) => ({
        invoice_id: invoiceId,
        service_id: item.serviceId,
        kind: item.kind,
        description: item.description,
        quantity: item.quantity ?? 1,
        amount_minor: item.amountMinor,
        period_from: item.periodFrom ?? null,
        period_to: item.periodTo ?? null,
      })),
    )
    .execute();
}

/** Held until the transaction ends. @throws HostError NOT_FOUND, also for another tenant's */
export async function lockInvoice(trx: Trx, tenantId: string, invoiceId: string): Promise<Invoice> {
  const invoice = await trx
    .selectFrom('invoices')
    .selectAll()
    .where('id', '=', invoiceId)
    .where('tenant_id', '=', tenantId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (invoice === undefined) throw new HostError('NOT_FOUND', 'There is no such invoice.');
  return invoice;
}

async function change(
  trx: Trx,
  id: string,
  set: Partial<
    Pick<
      Invoice,
      | 'status'
      | 'total_minor'
      | 'tax_minor'
      | 'paid_minor'
      | 'refunded_minor'
      | 'paid_at'
      | 'cancelled_at'
      | 'due_at'
    >
  >,
): Promise<Invoice> {
  return trx.updateTable('invoices').set(set).where('id', '=', id).returningAll().executeTakeFirstOrThrow();
}

/** Counts an amount that came in towards a locked, open invoice; the whole of it makes it paid. */
export async function settle(trx: Trx, invoice: Invoice, amountMinor: number): Promise<Invoice> {
  const paid = invoice.paid_minor + amountMinor;
  if (paid < invoice.total_minor) return change(trx, invoice.id, { paid_minor: paid });
  const settled = await change(trx, invoice.id, { paid_minor: paid, status: 'paid', paid_at: new Date() });
  await tellOf(trx, 'InvoicePaid', settled);
  await noteRenewals(trx, settled.id);
  return settled;
}

/** Pays what is due of a locked invoice with the client's credit, as far as it goes. */
export async function payByCredit(trx: Trx, invoice: Invoice, accountId: string | null): Promise<Invoice> {
  const due = dueMinor(invoice);
  if (due === 0) return invoice;
  const { balanceMinor } = await lockCredit(trx, invoice.tenant_id, invoice.client_id);
  const amountMinor = Math.min(due, balanceMinor);
  if (amountMinor === 0) return invoice;
  await addCredit(trx, {
    tenantId: invoice.tenant_id,
    clientId: invoice.client_id,
    kind: 'applied',
    amountMinor: -amountMinor,
    currency: invoice.currency,
    invoiceId: invoice.id,
    accountId,
  });
  return settle(trx, invoice, amountMinor);
}

/** What was paid of a locked invoice goes to the client's credit. A paid one counts as refunded then. */
export async function returnToCredit(
  trx: Trx,
  invoice: Invoice,
  note: string,
  accountId: string | null = null,
): Promise<Invoice> {
  const kept = invoice.paid_minor - invoice.refunded_minor;
  if (kept === 0) return invoice;
  await addCredit(trx, {
    tenantId: invoice.tenant_id,
    clientId: invoice.client_id,
    kind: 'returned',
    amountMinor: kept,
    currency: invoice.currency,
    invoiceId: invoice.id,
    note,
    accountId,
  });
  return change(trx, invoice.id, {
    refunded_minor: invoice.paid_minor,
    ...(invoice.status === 'paid' ? { status: 'refunded' as const } : {}),
  });
}

/** A locked, open invoice asks for nothing any more; what was paid of it becomes credit. @throws HostError CONFLICT */
export async function cancelLocked(trx: Trx, invoice: Invoice, accountId: string | null): Promise<Invoice> {
  if (!isOpen(invoice))
    throw new HostError('CONFLICT', `An invoice that is ${invoice.status} cannot be cancelled.`);
  const cancelled = await change(trx, invoice.id, { status: 'cancelled', cancelled_at: new Date() });
  return returnToCredit(trx, cancelled, 'The invoice was cancelled.', accountId);
}

/** How an invoice was taxed when it was made. */
export function taxRuleOf(invoice: Pick<Invoice, 'tax_rate_bp' | 'tax_included'>): TaxRule {
  return { rateBp: invoice.tax_rate_bp, included: invoice.tax_included };
}

/** Takes from the lines of a locked, open invoice, so that at most what is due falls away with the tax on it. @returns how much it took */
export async function reduceLocked(trx: Trx, invoice: Invoice, item: NewItem): Promise<number> {
  const rule = taxRuleOf(invoice);
  const { total_minor: total, tax_minor: tax, paid_minor: paid } = invoice;
  const sum = rule.included ? total : total - tax;
  const taken = mostOff({ sumMinor: sum, paidMinor: paid, wantedMinor: -item.amountMinor }, rule);
  if (taken <= 0) return 0;
  await addItems(trx, invoice.id, [{ ...item, amountMinor: -taken }]);
  const { taxMinor, totalMinor } = withTax(sum - taken, rule);
  const reduced = await change(trx, invoice.id, { total_minor: totalMinor, tax_minor: taxMinor });
  if (dueMinor(reduced) === 0) await settle(trx, reduced, 0);
  return taken;
}

export async function setDueDate(trx: Trx, invoice: Invoice, dueAt: Date): Promise<void> {
  if (!isOpen(invoice))
    throw new HostError('CONFLICT', `An invoice that is ${invoice.status} has no due date.`);
  await change(trx, invoice.id, {
    due_at: dueAt,
    status: dueAt.getTime() > Date.now() ? 'unpaid' : 'overdue',
  });
}

async function tellOf(trx: Trx, name: 'InvoiceCreated' | 'InvoicePaid', invoice: Invoice): Promise<void> {
  await tell(trx, {
    name,
    tenantId: invoice.tenant_id,
    payload: {
      invoice_uuid: invoice.id,
      number: invoice.label,
      client_uuid: invoice.client_id,
      total_minor: invoice.total_minor,
      currency: invoice.currency,
    },
  });
}
