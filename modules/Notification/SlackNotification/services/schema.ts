/** Makes the module's table; may run again on what is there, since activate() does. */
import { id, oneOf, sql, string, type Kysely } from 'bulkhead';
import { MESSAGE_STATUSES, type Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('slack_messages')
    .ifNotExists()
    .$call(id)
    .addColumn('instance_uuid', 'uuid')
    .addColumn('recipient', string(), (column) => column.notNull())
    .addColumn('subject', string(), (column) => column.notNull())
    .addColumn(
      'status',
      'text',
      oneOf('status', MESSAGE_STATUSES, (column) => column.notNull()),
    )
    .addColumn('error', string(), (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
  await db.schema
    .createIndex('slack_messages_created_at_index')
    .ifNotExists()
    .on('slack_messages')
    .column('created_at')
    .execute();
}
