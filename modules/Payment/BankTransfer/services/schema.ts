/** Makes the module's table; may run again on what is there, since activate() does. */
import { id, oneOf, sql, string, type Kysely } from 'bulkhead';
import { TRANSFER_STATUSES, type Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('bank_transfer_payments')
    .ifNotExists()
    .$call(id)
    .addColumn('invoice_uuid', 'uuid', (column) => column.notNull())
    .addColumn('invoice_number', string(), (column) => column.notNull())
    .addColumn('instance_uuid', 'uuid', (column) => column.notNull())
    .addColumn('amount', 'bigint', (column) => column.notNull())
    .addColumn('currency', string(), (column) => column.notNull())
    .addColumn('reference', string(), (column) => column.notNull().unique())
    .addColumn(
      'status',
      'text',
      oneOf('status', TRANSFER_STATUSES, (column) => column.notNull().defaultTo('awaiting_transfer')),
    )
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .addColumn('received_at', 'timestamptz')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
  await db.schema
    .createIndex('bank_transfer_payments_invoice_uuid_status_index')
    .ifNotExists()
    .on('bank_transfer_payments')
    .columns(['invoice_uuid', 'status'])
    .execute();
}
