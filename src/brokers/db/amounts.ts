/** How many tables and indexes there are against how many were granted; counted after each change of tables, before it counts. */
import type { Grant } from '../../../sandbox/contract/capabilities.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { ModuleConnection, RunOptions } from '../../database/modules/connection.ts';
import type { InstallationNames } from '../../database/modules/names.ts';

/** Each index makes every write slower and the catalog larger. */
const INDEXES_PER_TABLE = 20;

/** @throws HostError NOT_GRANTED naming what to raise in the manifest, LIMIT for indexes */
export async function checkAmounts(
  connection: ModuleConnection,
  names: InstallationNames,
  grant: Grant<'db'>,
  bounds: RunOptions,
): Promise<void> {
  const { rows } = await connection.run(
    `select count(*) filter (where relkind = 'r')::int4, count(*) filter (where relkind = 'i')::int4
     from pg_class where relnamespace = $1::regnamespace`,
    [names.schema],
    bounds,
  );
  const tables = Number(rows[0]?.[0]);
  const indexes = Number(rows[0]?.[1]);
  if (tables > grant.tables) {
    throw new HostError(
      'NOT_GRANTED',
      `db: table number ${tables} is not granted, ${grant.tables} are; raise permissions.db.tables.`,
    );
  }
  if (indexes > grant.tables * INDEXES_PER_TABLE) {
    throw new HostError('LIMIT', `db: more than ${INDEXES_PER_TABLE} indexes for each table granted.`);
  }
}
