/** Invoices for tests: made as billing makes them, and what came in for them as the tables have it. */
import { createInvoice } from '../../src/billing/invoices.ts';
import type { Tenant } from './tenant.ts';

/** An unpaid invoice of the tenant's client. @returns its id */
export async function newInvoice(tenant: Tenant, amountMinor: number, currency = 'USD'): Promise<string> {
  const invoice = await tenant.panel.db.transaction().execute((trx) =>
    createInvoice(trx, {
      tenantId: tenant.id,
      clientId: tenant.clientId,
      currency,
      useCredit: false,
      items: [{ kind: 'other', serviceId: null, description: 'VPS S, one month', amountMinor }],
    }),
  );
  return invoice.id;
}

export async function invoiceRow(tenant: Tenant, invoiceId: string) {
  return tenant.panel.db
    .selectFrom('invoices')
    .selectAll()
    .where('id', '=', invoiceId)
    .where('tenant_id', '=', tenant.id)
    .executeTakeFirstOrThrow();
}

export async function paymentsOf(tenant: Tenant, invoiceId: string) {
  return tenant.panel.db
    .selectFrom('payments')
    .selectAll()
    .where('invoice_id', '=', invoiceId)
    .orderBy('created_at')
    .execute();
}
