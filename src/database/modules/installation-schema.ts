/**
 * A schema and two roles for one installation. The owner makes tables for activate() and update(); the login may read and write
 * rows and can make nothing anywhere, so that no view, trigger or operator of a module is ever run by another role.
 * All of it works for a host without superuser rights (CREATEROLE on PostgreSQL 16): the role that made a role may grant it to
 * itself, without inheriting its rights, and takes its part by SET ROLE.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { HostSql } from '../connect.ts';
import type { InstallationNames } from './names.ts';
import { scramVerifier } from './passwords.ts';
import type { RolePassword } from './passwords.ts';
import { lockDatabaseRights } from './rights-lock.ts';
import type { Transaction } from './rights-lock.ts';

/** Of one role, over all processes of a deployment: a wall behind each process's own count. */
const CONNECTIONS_PER_ROLE = 32;
/** Dropping waits for running statements; their connections were ended just before. */
const DROP_LOCK_TIMEOUT_MS = 5_000;

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

async function roleExists(sql: Transaction, role: string): Promise<boolean> {
  const [found] = await sql`select 1 from pg_roles where rolname = ${role}`;
  return found !== undefined;
}

async function createRole(sql: Transaction, role: string, password: string): Promise<void> {
  const verb = (await roleExists(sql, role)) ? 'alter' : 'create';
  const verifier = await scramVerifier(password);
  await sql.unsafe(
    `${verb} role ${role} with login nocreatedb nocreaterole connection limit ${CONNECTIONS_PER_ROLE} password ${text(verifier)}`,
  );
  await sql.unsafe(`grant ${role} to current_user with inherit false, set true`);
}

async function currentDatabase(sql: Transaction): Promise<string> {
  const [row] = await sql<{ name: string }[]>`select quote_ident(current_database()) as name`;
  if (row === undefined) throw new HostError('INTERNAL', 'The modules database did not tell its name.');
  return row.name;
}

/** Holds off a second flow that works on the same installation. */
async function lockInstallation(sql: Transaction, names: InstallationNames): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${names.schema}, 0))`;
}

/**
 * Makes the schema and roles of an installation; sets passwords and rights anew if they are there already.
 * @param sql a connection to the modules' database as the host
 */
export async function createInstallationSchema(
  sql: HostSql,
  names: InstallationNames,
  rolePassword: RolePassword,
): Promise<void> {
  const { schema, owner, login } = names;
  await sql.begin(async (trx) => {
    await lockInstallation(trx, names);
    await createRole(trx, owner, rolePassword(owner));
    await createRole(trx, login, rolePassword(login));
    await lockDatabaseRights(trx);
    await trx.unsafe(`grant connect on database ${await currentDatabase(trx)} to ${owner}, ${login}`);
    await trx.unsafe(`create schema if not exists ${schema} authorization ${owner}`);
    await trx.unsafe(`set local role ${owner}`);
    await trx.unsafe(`grant usage on schema ${schema} to ${login}`);
    await grantRows(trx, names);
  });
}

/** Rights on rows, as the owner: for tables that are there, and for those the owner makes later. */
async function grantRows(trx: Transaction, { schema, owner, login }: InstallationNames): Promise<void> {
  const rows = 'select, insert, update, delete';
  await trx.unsafe(`grant ${rows} on all tables in schema ${schema} to ${login}`);
  await trx.unsafe(`grant usage on all sequences in schema ${schema} to ${login}`);
  const later = `alter default privileges for role ${owner} in schema ${schema} grant`;
  await trx.unsafe(`${later} ${rows} on tables to ${login}`);
  await trx.unsafe(`${later} usage on sequences to ${login}`);
}

/**
 * Drops the schema with all its rows, and both roles. Does nothing if they are gone. Close the pools of the installation before
 * (ModulePools.drain); sessions of other processes are ended here.
 */
export async function dropInstallationSchema(sql: HostSql, names: InstallationNames): Promise<void> {
  const { schema, owner, login } = names;
  await sql.begin(async (trx) => {
    await lockInstallation(trx, names);
    await trx.unsafe(`set local lock_timeout = ${DROP_LOCK_TIMEOUT_MS}`);
    const roles = [];
    for (const role of [login, owner]) if (await roleExists(trx, role)) roles.push(role);
    for (const role of roles) await endSessions(trx, role);
    if (roles.includes(owner)) {
      await trx.unsafe(`set local role ${owner}`);
      await trx.unsafe(`drop schema if exists ${schema} cascade`);
      await trx.unsafe('reset role');
    }
    // It waits for others like it, each of them short, and not for statements.
    await trx.unsafe('set local lock_timeout = 0');
    await lockDatabaseRights(trx);
    await trx.unsafe(`set local lock_timeout = ${DROP_LOCK_TIMEOUT_MS}`);
    if (roles.includes(owner)) {
      // Default privileges, which are the owner's and name the login, and what both may do with the database.
      await trx.unsafe(`set local role ${owner}`);
      await trx.unsafe(`drop owned by ${owner}`);
      await trx.unsafe('reset role');
    }
    const database = await currentDatabase(trx);
    for (const role of roles) {
      await trx.unsafe(`revoke all on database ${database} from ${role}`);
      await trx.unsafe(`drop role ${role}`);
    }
  });
}

/** A role may end its own sessions; the host takes its part to do so. */
async function endSessions(trx: Transaction, role: string): Promise<void> {
  await trx.unsafe(`alter role ${role} nologin`);
  await trx.unsafe(`set local role ${role}`);
  await trx`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role} and pid <> pg_backend_pid()`;
  await trx.unsafe('reset role');
}
