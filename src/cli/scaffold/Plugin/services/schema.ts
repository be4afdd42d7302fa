/** Makes the module's tables, where they are not there yet. */
import { id, string, timestamps, type Kysely } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('notes')
    .ifNotExists()
    .$call(id)
    .addColumn('text', string(), (column) => column.notNull())
    .$call(timestamps)
    .execute();
}
