/** Makes the module's tables, where they are not there yet: activate() runs again on data that was kept. */
import { string, timestamps, uuid, type Kysely } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('cloud_server_groups')
    .ifNotExists()
    .$call(uuid)
    .addColumn('name', string(), (column) => column.notNull().unique())
    .addColumn('description', string())
    .$call(timestamps)
    .execute();
  await db.schema
    .createTable('cloud_servers')
    .ifNotExists()
    .$call(uuid)
    .addColumn('group_uuid', 'uuid', (column) => column.notNull().references('cloud_server_groups.uuid'))
    .addColumn('name', string(), (column) => column.notNull().unique())
    .addColumn('host', string(), (column) => column.notNull())
    .addColumn('username', string(), (column) => column.notNull())
    .addColumn('password', 'text', (column) => column.notNull())
    .addColumn('api_key', 'text')
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .addColumn('ssl', 'boolean', (column) => column.notNull().defaultTo(true))
    .addColumn('port', 'integer', (column) => column.notNull().defaultTo(443))
    .addColumn('max_accounts', 'integer', (column) => column.notNull().defaultTo(0))
    .$call(timestamps)
    .execute();
  await db.schema
    .createIndex('cloud_servers_active_group_uuid_index')
    .ifNotExists()
    .on('cloud_servers')
    .columns(['active', 'group_uuid'])
    .execute();
}
