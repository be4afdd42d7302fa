/** Makes the module's tables. Every statement may run again on what is there, since activate() does. */
import { id, string, timestamps, type Kysely } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('monitoring_checks')
    .ifNotExists()
    .$call(id)
    .addColumn('name', string(), (column) => column.notNull())
    .addColumn('type', string(), (column) => column.notNull())
    .addColumn('target', string(), (column) => column.notNull())
    .addColumn('config', 'jsonb', (column) => column.notNull())
    .addColumn('interval', 'integer', (column) => column.notNull().defaultTo(60))
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .$call(timestamps)
    .execute();
  await db.schema
    .createTable('monitoring_results')
    .ifNotExists()
    .$call(id)
    .addColumn('check_id', 'bigint', (column) =>
      column.notNull().references('monitoring_checks.id').onDelete('cascade'),
    )
    .addColumn('status', 'boolean', (column) => column.notNull())
    .addColumn('response_time', 'integer')
    .addColumn('error_message', string())
    .addColumn('checked_at', 'timestamptz', (column) => column.notNull())
    .$call(timestamps)
    .execute();
  await db.schema
    .createIndex('monitoring_results_check_id_checked_at_index')
    .ifNotExists()
    .on('monitoring_results')
    .columns(['check_id', 'checked_at'])
    .execute();
}
