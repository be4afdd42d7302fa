/** Invoices as lists and pages show them, for the admin's area and the client's. */
import { sql } from 'kysely';
import type { Panel } from './panel.ts';
import { WEB_LIMITS } from './limits.ts';

export const INVOICE_STATUSES = ['unpaid', 'overdue', 'paid', 'refunded', 'cancelled'] as const;

export function invoiceRows(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('invoices')
    .innerJoin('accounts', 'accounts.id', 'invoices.client_id')
    .select([
      'invoices.id',
      'invoices.label',
      'invoices.number',
      'invoices.status',
      'invoices.currency',
      'invoices.total_minor',
      'invoices.tax_minor',
      'invoices.tax_rate_bp',
      'invoices.tax_included',
      'invoices.paid_minor',
      'invoices.refunded_minor',
      'invoices.due_at',
      'invoices.created_at',
      'invoices.paid_at',
      'invoices.cancelled_at',
      'invoices.client_id',
      'accounts.name as client',
      'accounts.email as client_email',
      sql<number>`case when invoices.status in ('unpaid', 'overdue') then invoices.total_minor - invoices.paid_minor else 0 end`.as(
        'due_minor',
      ),
    ])
    .where('invoices.tenant_id', '=', tenantId);
}

export function invoiceItems(panel: Panel, invoiceId: string) {
  return panel.deps.db
    .selectFrom('invoice_items')
    .selectAll()
    .where('invoice_id', '=', invoiceId)
    .orderBy(sql`kind = 'setup'`)
    .orderBy('period_from')
    .orderBy('id')
    .execute();
}

/** What paid it: payments of gateways and people, and credit. */
export function invoicePayments(panel: Panel, invoiceId: string) {
  return panel.deps.db
    .selectFrom('payments')
    .leftJoin('instances', 'instances.id', 'payments.instance_id')
    .select([
      'payments.id',
      'payments.instance_id',
      'payments.transaction_id',
      'payments.amount_minor',
      'payments.applied_minor',
      'payments.fee_minor',
      'payments.refunded_minor',
      'payments.currency',
      'payments.created_at',
      'instances.name as gateway',
    ])
    .where('payments.invoice_id', '=', invoiceId)
    .orderBy('payments.created_at')
    .limit(WEB_LIMITS.pageRows)
    .execute();
}

export function creditRows(panel: Panel, by: { invoiceId: string } | { clientId: string }) {
  const rows = panel.deps.db
    .selectFrom('credit_entries')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(WEB_LIMITS.pageRows);
  return 'invoiceId' in by
    ? rows.where('invoice_id', '=', by.invoiceId).execute()
    : rows.where('client_id', '=', by.clientId).execute();
}
