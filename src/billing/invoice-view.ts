/** An invoice as modules see it (contract A18): what is due, what for, and whose it is; no address, no other client's line. */
import { sql } from 'kysely';
import type { InvoiceView } from '../../sandbox/contract/kinds/payment.ts';
import type { Db } from '../jobs/task.ts';
import { dueMinor } from './invoices.ts';

const DESCRIPTION_CHARACTERS = 500;

export interface InvoiceFilter {
  readonly status?: 'unpaid' | 'paid' | 'cancelled' | 'refunded' | 'overdue' | undefined;
  readonly clientId?: string | undefined;
  /** The last one of the page before. */
  readonly after?: string | undefined;
}

function views(db: Db, tenantId: string) {
  return db
    .selectFrom('invoices as invoice')
    .innerJoin('accounts as client', 'client.id', 'invoice.client_id')
    .select((e) => [
      'invoice.id',
      'invoice.label',
      'invoice.status',
      'invoice.currency',
      'invoice.total_minor',
      'invoice.paid_minor',
      'client.id as client_id',
      'client.name',
      'client.email',
      e
        .selectFrom('invoice_items')
        .select(sql<string | null>`string_agg(description, ', ' order by id)`.as('text'))
        .whereRef('invoice_items.invoice_id', '=', 'invoice.id')
        .as('description'),
    ])
    .where('invoice.tenant_id', '=', tenantId);
}
type Row = Awaited<ReturnType<ReturnType<typeof views>['execute']>>[number];

function viewOf(row: Row): InvoiceView {
  return {
    uuid: row.id,
    number: row.label,
    status: row.status,
    due_amount: dueMinor(row),
    total_amount: row.total_minor,
    currency: row.currency,
    description: (row.description ?? '').slice(0, DESCRIPTION_CHARACTERS),
    client: { uuid: row.client_id, name: row.name, email: row.email },
  };
}

/** Undefined for another tenant's as well. */
export async function readInvoiceView(
  db: Db,
  tenantId: string,
  invoiceId: string,
): Promise<InvoiceView | undefined> {
  const row = await views(db, tenantId).where('invoice.id', '=', invoiceId).executeTakeFirst();
  return row === undefined ? undefined : viewOf(row);
}

/** Newest first. */
export async function listInvoiceViews(
  db: Db,
  tenantId: string,
  filter: InvoiceFilter,
  size: number,
): Promise<{ invoices: InvoiceView[]; next: string | undefined }> {
  let query = views(db, tenantId)
    .orderBy('invoice.number', 'desc')
    .limit(size + 1);
  if (filter.status !== undefined) query = query.where('invoice.status', '=', filter.status);
  if (filter.clientId !== undefined) query = query.where('invoice.client_id', '=', filter.clientId);
  if (filter.after !== undefined)
    query = query.where('invoice.number', '<', (e) =>
      e
        .selectFrom('invoices as last')
        .select('last.number')
        .where('last.tenant_id', '=', tenantId)
        .where('last.id', '=', filter.after ?? ''),
    );
  const invoices = (await query.execute()).map(viewOf);
  return {
    invoices: invoices.slice(0, size),
    next: invoices.length > size ? invoices[size - 1]?.uuid : undefined,
  };
}
