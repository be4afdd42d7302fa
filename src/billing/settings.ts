/** What a tenant decided about billing. A tenant that never opened the page has no row, and the defaults of the table. */
import type { Selectable } from 'kysely';
import type { BillingSettingsTable } from '../database/tables.ts';
import type { Db, Trx } from '../jobs/task.ts';

export type BillingSettings = Omit<Selectable<BillingSettingsTable>, 'tenant_id' | 'next_invoice_number'>;

const COLUMNS = [
  'invoice_prefix',
  'pay_first',
  'due_days',
  'invoice_ahead_days',
  'suspend_after_days',
  'terminate_after_days',
  'auto_credit',
  'orders_per_hour',
  'tax_rate_bp',
  'prices_include_tax',
] as const;

export async function readBillingSettings(db: Db, tenantId: string): Promise<BillingSettings> {
  const read = async () =>
    db.selectFrom('billing_settings').select(COLUMNS).where('tenant_id', '=', tenantId).executeTakeFirst();
  const row = await read();
  if (row !== undefined) return row;
  await db
    .insertInto('billing_settings')
    .values({ tenant_id: tenantId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await read()) ?? readBillingSettings(db, tenantId);
}

export async function saveBillingSettings(
  db: Db,
  tenantId: string,
  settings: BillingSettings,
): Promise<void> {
  await db
    .insertInto('billing_settings')
    .values({ tenant_id: tenantId, ...settings })
    .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet(settings))
    .execute();
}

/** The next number of the tenant's invoices. Its row stays locked until the transaction ends: numbers have no gaps. */
export async function takeInvoiceNumber(
  trx: Trx,
  tenantId: string,
): Promise<{ number: number; settings: BillingSettings }> {
  await readBillingSettings(trx, tenantId);
  const { next_invoice_number: next, ...settings } = await trx
    .updateTable('billing_settings')
    .set((e) => ({ next_invoice_number: e('next_invoice_number', '+', 1) }))
    .where('tenant_id', '=', tenantId)
    .returning([...COLUMNS, 'next_invoice_number'])
    .executeTakeFirstOrThrow();
  return { number: next - 1, settings };
}
