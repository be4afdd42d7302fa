/** Makes the module's tables, where they are not there yet. */
import { id, oneOf, string, timestamps, type Kysely } from 'bulkhead';
import { ACCOUNT_STATUSES, type Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('cloud_accounts')
    .ifNotExists()
    .$call(id)
    .addColumn('service_uuid', 'uuid', (column) => column.notNull().unique())
    .addColumn('external_id', string(), (column) => column.notNull())
    .addColumn('domain', string(), (column) => column.notNull())
    .addColumn('username', string(), (column) => column.notNull())
    .addColumn(
      'status',
      'text',
      oneOf('status', ACCOUNT_STATUSES, (column) => column.notNull()),
    )
    .$call(timestamps)
    .execute();
}
