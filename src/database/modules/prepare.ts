/**
 * The modules' database: one beside the host's own, so that advisory locks, notifications and the catalog of the two never meet.
 * PostgreSQL lets every role connect to every database and make temporary tables by default; here that is taken back.
 */
import type { HostSql } from '../connect.ts';
import { lockDatabaseRights } from './rights-lock.ts';
import type { Transaction } from './rights-lock.ts';

/** What PUBLIC may call in a fresh database and no module needs. Taken back where the host is a superuser: a second wall behind the guard. */
const PUBLIC_FUNCTIONS = [
  'pg_advisory_lock',
  'pg_advisory_lock_shared',
  'pg_advisory_xact_lock',
  'pg_advisory_xact_lock_shared',
  'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared',
  'pg_try_advisory_xact_lock',
  'pg_try_advisory_xact_lock_shared',
  'pg_notify',
  'pg_logical_emit_message',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
  'lo_create',
  'lo_creat',
  'lo_from_bytea',
  'lo_put',
  'lo_open',
  'query_to_xml',
  'query_to_xmlschema',
  'query_to_xml_and_xmlschema',
  'cursor_to_xml',
  'table_to_xml',
  'schema_to_xml',
  'database_to_xml',
  'ts_stat',
];

/** Makes the database if it is not there. @param sql a connection to any database of the server, as a role with CREATEDB */
export async function createModulesDatabase(sql: HostSql, database: string): Promise<void> {
  const [existing] = await sql`select 1 from pg_database where datname = ${database}`;
  if (existing !== undefined) return;
  try {
    await sql`create database ${sql(database)} template template0`;
  } catch (error) {
    // Another process of this deployment was quicker.
    const [made] = await sql`select 1 from pg_database where datname = ${database}`;
    if (made === undefined) throw error;
  }
}

/**
 * Closes the modules' database to every role that is not let in by name. May run at every start.
 * @param sql a connection to the modules' database as its owner
 */
export async function prepareModulesDatabase(sql: HostSql): Promise<void> {
  await sql.begin(async (trx) => {
    await lockDatabaseRights(trx);
    await close(trx);
  });
}

async function close(sql: Transaction): Promise<void> {
  const [database] = await sql<{ name: string; superuser: boolean }[]>`
    select current_database() as name, rolsuper as superuser from pg_roles where rolname = current_user`;
  if (database === undefined) return;
  await sql`revoke connect, temporary on database ${sql(database.name)} from public`;
  await sql`revoke all on schema public from public`;
  if (database.superuser) await closeAsSuperuser(sql);
}

async function closeAsSuperuser(sql: Transaction): Promise<void> {
  await sql`revoke usage on language plpgsql from public`;
  const functions = await sql<{ signature: string }[]>`
    select oid::regprocedure::text as signature from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and proname = any(${PUBLIC_FUNCTIONS})`;
  for (const { signature } of functions) {
    await sql.unsafe(`revoke execute on function ${signature} from public`);
    // The host, where another superuser did this for it.
    await sql.unsafe(`grant execute on function ${signature} to pg_database_owner`);
  }
}
