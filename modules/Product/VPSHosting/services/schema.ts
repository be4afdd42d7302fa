/** Makes the module's tables. Every statement may run again on what is there, since activate() does. */
import { id, ipAddress, oneOf, string, timestamps, type Kysely } from 'bulkhead';
import { SERVER_STATUSES, type Tables } from '../models/tables.ts';

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('vps_servers')
    .ifNotExists()
    .$call(id)
    .addColumn('service_uuid', 'uuid', (column) => column.notNull())
    .addColumn('server_id', string())
    .addColumn('ip_address', ipAddress)
    .addColumn('hostname', string(), (column) => column.notNull())
    .addColumn('root_password', string(), (column) => column.notNull())
    .addColumn(
      'status',
      'text',
      oneOf('status', SERVER_STATUSES, (column) => column.notNull()),
    )
    .addColumn('server_specs', 'jsonb', (column) => column.notNull())
    .$call(timestamps)
    .execute();
  await db.schema
    .createIndex('vps_servers_service_uuid_status_index')
    .ifNotExists()
    .on('vps_servers')
    .columns(['service_uuid', 'status'])
    .execute();
  // A job that runs again after a crash must not store its server twice.
  await db.schema
    .createIndex('vps_servers_server_id_unique')
    .ifNotExists()
    .unique()
    .on('vps_servers')
    .column('server_id')
    .execute();
  await db.schema
    .createTable('vps_images')
    .ifNotExists()
    .$call(id)
    .addColumn('image_id', string(), (column) => column.notNull().unique())
    .addColumn('name', string(), (column) => column.notNull())
    .addColumn('os_family', string(), (column) => column.notNull())
    .addColumn('version', string(), (column) => column.notNull())
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .$call(timestamps)
    .execute();
}
