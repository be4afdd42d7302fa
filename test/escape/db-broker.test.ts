/** A hostile module at the db capability: everything it may send, against a neighbour whose rows and secret must stay what they are. */
import { beforeAll, describe, expect, test } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import type { Env } from '../../sandbox/guest/env.ts';
import { useModules } from '../brokers/db-support.ts';
import type { Installation } from '../brokers/db-support.ts';

const CANARY = 'canary-7f3a9c';
const modules = useModules();
let victim: Installation;
let attacker: Installation;

function query(env: Env, sql: string, parameters: unknown[] = []) {
  return env.call('db', 'query', { sql, parameters });
}

/** Sends a text as a page would and as activate() would; returns all that came back, errors included. */
async function attack(sql: string, parameters: unknown[] = []): Promise<{ code: string; text: string }[]> {
  const answers = [];
  for (const options of [{}, { purpose: 'lifecycle', method: 'activate' } as const]) {
    const invocation = modules().invoke(attacker, { ...options, wallMs: 3_000 });
    try {
      const answer = await query(invocation.env, sql, parameters);
      answers.push({ code: 'OK', text: JSON.stringify(answer) });
    } catch (error) {
      const { code, message, data } = error as { code: string; message: string; data?: unknown };
      answers.push({ code, text: `${message} ${JSON.stringify(data)}` });
    }
    await invocation.end(false);
  }
  return answers;
}

beforeAll(async () => {
  victim = await modules().install();
  attacker = await modules().install();
  for (const [who, secret] of [
    [victim, CANARY],
    [attacker, 'mine'],
  ] as const) {
    await modules().activate(who, async (env) => {
      await query(env, 'create table items (id int primary key, secret text)');
      await query(env, 'insert into items values (1, $1)', [secret]);
    });
  }
});

/** What each installation holds now: both must be as they were, whatever was tried before. */
async function secrets(): Promise<unknown[]> {
  const read = async (who: Installation) =>
    modules().run(who, {}, async (env) => (await query(env, 'select secret from items')).rows);
  return [await read(victim), await read(attacker)];
}

const UNTOUCHED = [[[CANARY]], [['mine']]];

describe('to become someone else', () => {
  test.each([
    'reset role',
    'set role postgres',
    'set session authorization postgres',
    "select set_config('role', 'postgres', false)",
    "select t.set_config from unnest(array['role']) as t",
    "select query_to_xml('reset role', true, true, '')",
    "select * from ts_stat('select 1')",
    "do 'begin execute ''reset role''; end'",
    'commit',
    'rollback; reset role',
    "select 1; update items set secret = 'stolen'",
    "alter role current_user password 'mine'",
    'reset all',
    'set statement_timeout = 0',
    'set search_path = pg_catalog',
    'grant all on items to public',
    'alter table items owner to postgres',
    'create schema mine',
    "create function steal() returns text language sql as 'select 1'",
    'create trigger t before insert on items for each row execute function steal()',
    'create view v as select * from items',
    'create operator = (leftarg = text, rightarg = text, function = steal)',
    'create rule r as on insert to items do also select 1',
    'create extension dblink',
  ])('%s is refused', async (sql) => {
    for (const { code } of await attack(sql)) expect(code).toBe('DB_REFUSED');
    expect(await secrets()).toEqual(UNTOUCHED);
  });
});

describe('to read what is not its own', () => {
  test('qualified names of the neighbour’s tables are refused', async () => {
    for (const sql of [
      `select * from ${victim.names.schema}.items`,
      `select "${victim.names.schema}"."items".* from items`,
      `insert into ${victim.names.schema}.items values (2, 'x')`,
      `create table mine (id int references ${victim.names.schema}.items (id))`,
      `drop table ${victim.names.schema}.items`,
      `alter table ${victim.names.schema}.items rename to mine`,
      `create index i on ${victim.names.schema}.items (id)`,
    ]) {
      for (const { code } of await attack(sql)) expect(code).toBe('DB_REFUSED');
    }
    expect(await secrets()).toEqual(UNTOUCHED);
  });

  test.each([
    'select * from pg_namespace',
    'select rolname from pg_roles',
    'select * from pg_stat_activity',
    'select datname from pg_database',
    'select * from information_schema.schemata',
    "select 'pg_namespace'::regclass",
    'select items.tableoid::regclass from items',
    "select to_regclass('pg_authid')",
    'select current_user',
    'select current_database()',
    'select current_schema()',
    'select version()',
    "select current_setting('data_directory')",
    "select pg_read_file('/etc/passwd')",
    "select * from pg_ls_dir('/')",
    "copy items from '/etc/passwd'",
    "copy items to program 'id'",
    'copy items to stdout',
    'copy items from stdin',
  ])('%s is refused', async (sql) => {
    for (const { code } of await attack(sql)) expect(code).toBe('DB_REFUSED');
    expect(await secrets()).toEqual(UNTOUCHED);
  });

  test('no answer tells a role, a schema, or anything of the neighbour', async () => {
    const told = [];
    for (const sql of [
      'select * from items where secret = 1',
      'select * from nowhere',
      'insert into items values (1, null)',
      'create table items (id int)',
      'drop table nowhere',
      'alter table nowhere add a int',
      'create table x (id int references nowhere (id))',
      'select items from items',
      'select to_json(items) from items',
    ]) {
      told.push(...(await attack(sql)));
    }
    const all = JSON.stringify(told);
    for (const secret of [
      CANARY,
      victim.names.schema,
      attacker.names.schema,
      victim.names.login,
      attacker.names.login,
      'bh_',
    ]) {
      expect(all).not.toContain(secret);
    }
  });

  test('a table that is the neighbour’s and one that is nobody’s get the same answer', async () => {
    await modules().activate(victim, async (env) =>
      query(env, 'create table if not exists only_the_victims (id int)'),
    );
    const [theirs] = await attack('select * from only_the_victims');
    const [nobodys] = await attack('select * from only_for_nobodyss');
    expect(theirs?.code).toBe(nobodys?.code);
    await modules().activate(attacker, async (env) =>
      query(env, 'create table if not exists locked_for_me (id int)'),
    );
    await using admin = connectHost(modules().database.admin, { max: 1 });
    const { schema, login } = attacker.names;
    await admin.sql.unsafe(`revoke all on ${schema}.locked_for_me from ${login}`);
    const [denied] = await attack('select * from locked_for_me');
    expect(denied?.code).toBe(nobodys?.code);
    expect(denied?.text.replace('locked_for_me', '')).toBe(nobodys?.text.replace('only_for_nobodyss', ''));
    expect(theirs?.text.replace('only_the_victims', '')).toBe(nobodys?.text.replace('only_for_nobodyss', ''));
  });
});

describe('to leave something behind or meet others', () => {
  test.each([
    'create temp table t (a int)',
    'create temp table t as select 1',
    'select lo_create(0)',
    "select lo_from_bytea(0, 'x')",
    "select pg_logical_emit_message(false, 'a', 'b')",
    'select pg_advisory_lock(1)',
    'select t.pg_advisory_lock from generate_series(1, 1) as t',
    'listen a',
    "notify a, 'b'",
    "select pg_notify('a', 'b')",
    'create unlogged table t (a int)',
    'prepare p as select 1',
    'declare c cursor with hold for select 1',
    'lock table items',
    'vacuum items',
  ])('%s is refused', async (sql) => {
    for (const { code } of await attack(sql)) expect(code).toBe('DB_REFUSED');
    expect(await secrets()).toEqual(UNTOUCHED);
  });
});

describe('to exhaust', () => {
  /** How the attack ended and by how many MB the host grew, while the neighbour was answered. */
  async function outcome(sql: string): Promise<{ code: string; grownMb: number; neighbour: unknown }> {
    const before = process.memoryUsage.rss();
    const invocation = modules().invoke(attacker, { wallMs: 300 });
    const attempt = query(invocation.env, sql).then(
      () => 'OK',
      (error: unknown) => (error as { code: string }).code,
    );
    // The neighbour is answered meanwhile.
    const { rows } = await modules().run(victim, {}, async (env) => query(env, 'select count(*) from items'));
    const code = await attempt;
    await invocation.end(false);
    return { code, grownMb: (process.memoryUsage.rss() - before) / 1024 / 1024, neighbour: rows };
  }

  test.each([
    ['time', 'select count(*) from generate_series(1, 100000) as a(n), generate_series(1, 100000) as b(n)'],
    ['memory', "select array_agg(a.n::text || '-') from generate_series(1, 100000000) as a(n)"],
    [
      'disk by sorting',
      'select a.n from generate_series(1, 100000000) as a(n) order by md5(a.n::text) limit 1 offset 99999999',
    ],
    ['recursion', 'with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t'],
    [
      'regular expressions',
      "select count(*) from generate_series(1, 10000000) as a(n) where md5(a.n::text) ~ '^(a+)+$|(b*)*c'",
    ],
    [
      'doubling texts',
      "with recursive t(x) as (select 'xxxxxxxx' union all select x || x from t) select length(x) from t",
    ],
    ['rows', 'select md5(a.n::text) from generate_series(1, 100000000) as a(n)'],
    ['one huge cell', "select string_agg(md5(a.n::text), '') from generate_series(1, 2000000) as a(n)"],
  ])('%s: it ends, and the neighbour does not notice', async (_what, sql) => {
    const { code, grownMb, neighbour } = await outcome(sql);
    expect(['TIMEOUT', 'LIMIT', 'DB_ERROR']).toContain(code);
    expect(neighbour).toEqual([[1]]);
    expect(grownMb).toBeLessThan(150);
    expect(await secrets()).toEqual(UNTOUCHED);
  });

  test('holding every connection it may have does not touch the neighbour', async () => {
    const holders = Array.from({ length: 6 }, () => modules().invoke(attacker, { wallMs: 500 }));
    const held = holders.map(async ({ env }) =>
      env.call('db', 'begin', {}).then(
        () => 'OK',
        (error: unknown) => (error as { code: string }).code,
      ),
    );
    const { rows } = await modules().run(victim, {}, async (env) => query(env, 'select count(*) from items'));
    expect(rows).toEqual([[1]]);
    expect((await Promise.all(held)).toSorted()).toEqual(['OK', 'OK', 'OK', 'OK', 'TIMEOUT', 'TIMEOUT']);
    for (const holder of holders) await holder.end(false);
  });
});
