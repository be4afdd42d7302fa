/**
 * The wall behind the guard: the same attacks as an installation's roles themselves, with no parser in between. What still works
 * here is listed with what stops it elsewhere.
 */
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import { forPostgresJs } from '../../src/database/endpoint.ts';
import { rolePassword, useModules } from '../brokers/db-support.ts';
import type { Installation } from '../brokers/db-support.ts';
import { useTestDatabase } from '../support/database.ts';

const modules = useModules();
const host = useTestDatabase();
let victim: Installation;
let attacker: Installation;
const open: postgres.Sql[] = [];

function connect(role: string, database = modules().database.endpoint): postgres.Sql {
  const sql = postgres({
    ...forPostgresJs({ ...database, user: role, password: rolePassword(role) }),
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
  });
  open.push(sql);
  return sql;
}

beforeAll(async () => {
  victim = await modules().install();
  attacker = await modules().install();
  for (const who of [victim, attacker]) {
    await modules().activate(who, async (env) =>
      env.call('db', 'query', { sql: 'create table items (id int primary key)', parameters: [] }),
    );
  }
});

afterAll(async () => {
  await Promise.all(open.map(async (sql) => sql.end({ timeout: 1 })));
});

/** Each as a role of its own session, in a fresh transaction, so that one attack does not help the next. */
async function outcome(role: string, statement: string): Promise<string> {
  const sql = connect(role);
  try {
    await sql.unsafe(statement).simple();
    return 'works';
  } catch (error) {
    return error instanceof postgres.PostgresError ? error.code : String(error);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const DENIED = /^(?:42501|42P01|0LP01|42704|22023|0A000)$/;

describe.each(['login', 'owner'] as const)('as the %s role, without the guard', (which) => {
  const role = () => attacker.names[which];

  test.each([
    ['set role of the host', () => `set role ${modules().database.endpoint.user}`],
    ['set role postgres', () => 'set role postgres'],
    ['set role of the neighbour', () => `set role ${victim.names.login}`],
    ['set role of the neighbour’s owner', () => `set role ${victim.names.owner}`],
    ['set session authorization', () => 'set session authorization postgres'],
    ['set_config of the role', () => "select set_config('role', 'postgres', false)"],
    [
      'role inside query_to_xml',
      () => `select query_to_xml('select * from ${victim.names.schema}.items', true, true, '')`,
    ],
    ['the neighbour’s rows', () => `select * from ${victim.names.schema}.items`],
    ['writing the neighbour’s rows', () => `insert into ${victim.names.schema}.items values (1)`],
    ['dropping the neighbour’s table', () => `drop table ${victim.names.schema}.items`],
    [
      'a key to the neighbour’s table',
      () =>
        `alter table ${attacker.names.schema}.items add foreign key (id) references ${victim.names.schema}.items`,
    ],
    ['a table in public', () => 'create table public.t (a int)'],
    ['a table in the neighbour’s schema', () => `create table ${victim.names.schema}.t (a int)`],
    ['a schema', () => 'create schema mine'],
    ['a database', () => 'create database mine'],
    ['a role', () => 'create role mine'],
    ['a temporary table', () => 'create temp table t (a int)'],
    ['an extension', () => `create extension file_fdw schema ${attacker.names.schema}`],
    ['an untrusted language', () => 'create language plpython3u'],
    ['files', () => "select pg_read_file('/etc/passwd')"],
    ['folders', () => "select pg_ls_dir('/')"],
    ['copy from a file', () => `copy ${attacker.names.schema}.items from '/etc/passwd'`],
    ['copy to a program', () => `copy ${attacker.names.schema}.items to program 'id'`],
    ['passwords', () => 'select rolpassword from pg_authid'],
    ['more connections for itself', () => `alter role ${role()} connection limit -1`],
    ['another’s password', () => `alter role ${victim.names.login} password 'x'`],
    ['more memory for sorting on disk', () => 'set temp_file_limit = -1'],
    [
      'ending the neighbour’s sessions',
      () =>
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${modules().database.endpoint.user}'`,
    ],
    ['settings of the server', () => 'alter system set work_mem = 1'],
    ['replication', () => "select pg_create_physical_replication_slot('x')"],
  ])('%s is denied', async (_name, statement) => {
    expect(await outcome(role(), statement())).toMatch(DENIED);
  });

  test('the host’s database is closed', async () => {
    await expect(connect(role(), host().endpoint)`select 1`).rejects.toMatchObject({ code: '42501' });
  });

  test('a connection beyond the limit of the role is refused', async () => {
    await using admin = connectHost(modules().database.admin, { max: 1 });
    const [row] =
      await admin.sql`select rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication from pg_roles where rolname = ${role()}`;
    expect(row).toEqual({
      rolconnlimit: 32,
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolbypassrls: false,
      rolreplication: false,
    });
  });
});

describe('as the login role', () => {
  const inOwn = (statement: string) => statement.replaceAll('items', `${attacker.names.schema}.items`);

  test.each([
    'create table t (a int)',
    "create function f() returns int language sql as 'select 1'",
    'create view v as select 1',
    'create type c as (a int)',
    'create sequence s',
    'create operator === (leftarg = int, rightarg = int, function = int4eq)',
  ])('%s: it can make nothing in its own schema', async (statement) => {
    const sql = connect(attacker.names.login);
    await sql.unsafe(`set search_path = ${attacker.names.schema}`);
    await expect(sql.unsafe(statement)).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:42501|3F000)$/),
    });
  });

  test.each([
    'create trigger t after insert on items for each row execute function suppress_redundant_updates_trigger()',
    'create rule r as on insert to items do nothing',
    'create index i on items (id)',
    'alter table items add column a int',
    'truncate items',
    'drop table items',
  ])('%s: it can change nothing about its own tables', async (statement) => {
    expect(await outcome(attacker.names.login, inOwn(statement))).toBe('42501');
  });

  test('a right it has is not handed on', async () => {
    // PostgreSQL warns and grants nothing.
    await outcome(attacker.names.login, inOwn('grant select on items to public'));
    await expect(
      connect(victim.names.login).unsafe(`select * from ${attacker.names.schema}.items`),
    ).rejects.toMatchObject({ code: '42501' });
  });

  test('several statements in one text do not run in the protocol the host speaks', async () => {
    const lease = await modules().pools.acquire(
      { role: attacker.names.login, schema: attacker.names.schema },
      { deadlineAt: performance.now() + 2_000 },
    );
    const run = lease.connection.run('reset role; delete from items', [], {
      stopAt: performance.now() + 1_000,
      maxBytes: 1_000,
    });
    await expect(run).rejects.toMatchObject({ code: '42601' });
    lease.release();
  });

  test('what it did to its session is gone with the connection’s settings: they were sent at startup', async () => {
    const identity = { role: attacker.names.login, schema: attacker.names.schema };
    const lease = await modules().pools.acquire(identity, { deadlineAt: performance.now() + 2_000 });
    const bounds = { stopAt: performance.now() + 2_000, maxBytes: 10_000 };
    await lease.connection.run('set search_path = pg_catalog', [], bounds);
    await lease.connection.run('reset all', [], bounds);
    const { rows } = await lease.connection.run(
      'select current_schema()::text, current_setting($1)',
      ['statement_timeout'],
      bounds,
    );
    expect(rows).toEqual([[attacker.names.schema, '6s']]);
    lease.connection.retire();
    lease.release();
  });
});
