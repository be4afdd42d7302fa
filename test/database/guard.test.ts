import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { FUNCTIONS, ROW_FUNCTIONS } from '../../src/database/guard/allowed.ts';
import { checkStatement } from '../../src/database/guard/check-statement.ts';
import type { Mode } from '../../src/database/guard/check-statement.ts';
import { LruByLength } from '../../src/database/guard/lru.ts';
import { useTestModulesDatabase } from '../support/database.ts';

const run = promisify(execFile);

/** 'OK', or the code and text of the error. */
function judged(sql: string, mode: Mode): { code: string; message: string } {
  try {
    checkStatement(sql, { mode });
    return { code: 'OK', message: `let through: ${sql}` };
  } catch (error) {
    if (error instanceof HostError) return { code: error.code, message: error.message };
    throw error;
  }
}

function refusal(sql: string, mode: Mode): string {
  const { code, message } = judged(sql, mode);
  expect({ code, message }).toMatchObject({ code: 'DB_REFUSED' });
  return message;
}

describe('rows', () => {
  test.each([
    'select "a"."b" as "c" from "a" where "a"."id" = $1 order by "b" desc nulls last limit $2 offset $3',
    'select distinct on (a) a, count(*) filter (where b > 1) over (partition by c order by d rows between 1 preceding and current row) from t',
    "select sum(n)::int8, string_agg(x, ',' order by x), jsonb_build_object('a', b) from t group by grouping sets ((a), ()) having count(*) > 1",
    'select * from a left join lateral (select * from b where b.a = a.id) as c on true cross join d',
    'with recursive t(n) as (select 1 union all select n + 1 from t where n < 10) select * from t',
    'with moved as (delete from a returning *) insert into b select * from moved returning id',
    "insert into t (a, b) values ($1, default), (now(), 'it''s') on conflict (a) where b is null do update set a = excluded.a where t.a <> $2 returning *, t.a",
    'update t set (a, b) = (select 1, 2), c = c || $1::jsonb, d[1] = 2 from u where t.id = u.id returning t.*',
    'delete from t using u where exists (select 1 from v where v.id = u.id) or t.a = any($1) or t.b in ($2, $3)',
    "select extract(year from now()), trim(both 'x' from y), position('a' in b), substring(a from 1 for 2), current_timestamp, x at time zone 'utc', interval '1 day', make_interval(days => 1) from t",
    "select x -> 'a' ->> 'b', y #>> '{a,b}', z @> $1, w ? 'k', a like $2 escape '\\', b not between 1 and 2, c is distinct from d from t",
    'select case when a then 1 else 2 end, coalesce(a, b), greatest(a, b), nullif(a, b), (array[1, 2])[1], row(1, 2) from t',
    'select * from t for update of t skip locked',
    'select name, host, s.host, s.name, s.text, s.date, s.version from servers as s',
    'select e.key, e.value from t, jsonb_each(t.data) as e',
    'select n.n from generate_series(1, 10) with ordinality as n(n, position)',
    'values (1, 2), (3, 4)',
    'select 1;',
  ])('%s is let through', (sql) => {
    expect(checkStatement(sql, { mode: 'dml' })).toMatchObject({ kind: expect.any(String) });
  });

  test.each([
    ['select pg_sleep(1)', 'pg_sleep'],
    ["select set_config('role', 'postgres', false)", 'set_config'],
    ["select query_to_xml('select 1', true, true, '')", 'query_to_xml'],
    ["select * from ts_stat('select 1')", 'ts_stat'],
    ['select pg_advisory_lock(1)', 'pg_advisory_lock'],
    ["select pg_notify('a', 'b')", 'pg_notify'],
    ["select repeat('x', 1000000000)", 'repeat'],
    ["select lo_create(0), nextval('x')", 'lo_create'],
    ['select my.lower(a) from t', 'my.lower'],
    ['select * from pg_roles', 'pg_roles'],
    ['select * from information_schema.tables', 'schema in front'],
    ['select * from other.items', 'schema in front'],
    ['insert into other.items values (1)', 'schema in front'],
    ['select other.items.id from items', 'schema in front'],
    ["select 'pg_authid'::regclass", 'regclass'],
    ['select cast(a as pg_catalog.regrole) from t', 'regrole'],
    ['select current_user', 'CURRENT_USER'],
    ['select session_user, current_schema', 'USER'],
    ['select 1 operator(pg_catalog.+) 1', 'pg_catalog.+'],
    ['select a collate "C" from t', 'COLLATE'],
    ['select * from t order by a using <', 'USING'],
    ['select * into u from t', 'SELECT INTO'],
    ['select * from t tablesample system (1)', 'TABLESAMPLE'],
    ['delete from t where current of c', 'CURRENT OF'],
    ["select xmlparse(content 'x')", 'XML'],
    ['select 1; select 2', '2 statements'],
    ['', 'read'],
    ['begin', 'transaction()'],
    ['commit', 'transaction()'],
    ['savepoint a', 'transaction()'],
    ['set role postgres', 'host'],
    ['reset role', 'host'],
    ['show all', 'VariableShow'],
    ['copy t to stdout', 'Copy'],
    ["do 'begin end'", 'Do'],
    ['call f()', 'Call'],
    ['explain select 1', 'Explain'],
    ['lock table t', 'Lock'],
    ['listen a', 'Listen'],
    ['prepare a as select 1', 'Prepare'],
    ['declare a cursor for select 1', 'DeclareCursor'],
    ['truncate t', 'Truncate'],
    ['create table t (a int)', 'activate()'],
    ['drop table t', 'activate()'],
    ['create temp table t as select 1', 'CreateTableAs'],
    ['merge into a using b on true when matched then delete', 'Merge'],
    ['select \0', '\0'],
    ["select e'\\''", "e'"],
    ["select u&'\\0041'", "u&'"],
    ['select $a$ x $a$', '$a$'],
    ['select 1 -- comment', 'comment'],
    ['select /* comment */ 1', 'comment'],
  ])('%s is refused, naming %s', (sql, named) => {
    expect(refusal(sql, 'dml')).toContain(named);
  });

  test('says what a statement does', () => {
    const verdict = (sql: string) => checkStatement(sql, { mode: 'dml' });
    expect(verdict('select * from a, b where exists (select 1 from c)')).toEqual({
      kind: 'select',
      tables: ['a', 'b', 'c'],
      writes: false,
      grows: false,
      returns: true,
    });
    expect(verdict('with x as (insert into a values (1) returning *) select * from x')).toEqual({
      kind: 'select',
      tables: ['a'],
      writes: true,
      grows: true,
      returns: true,
    });
    expect(verdict('delete from a')).toEqual({
      kind: 'delete',
      tables: ['a'],
      writes: true,
      grows: false,
      returns: false,
    });
    expect(verdict('update a set b = 1 returning b')).toEqual({
      kind: 'update',
      tables: ['a'],
      writes: true,
      grows: true,
      returns: true,
    });
  });
});

describe('column notation', () => {
  test.each([
    'select t.pg_sleep from unnest(array[5]) as t',
    'select unnest.pg_sleep from unnest(array[5])',
    'select t.pg_sleep from rows from (unnest(array[5])) as t',
    'select t.pg_sleep from generate_series(1, 5) as t',
    'select (select t.pg_advisory_lock) from generate_series(1, 5) as t',
    'select pg_sleep.pg_sleep from jsonb_array_elements($1) as pg_sleep',
    'select t.regclass from unnest($1::text[]) as t',
    'select t.pg_sleep from lateral cast(5 as int4) as t',
    'select "current_date".pg_sleep from current_date',
    'select t.pg_sleep from unnest(array[5]) as t(a), (select 1 as pg_sleep) as u',
    'select items.pg_typeof from items',
    'select items.record_out from items',
    'select s.pg_column_size from (select 1 as a) as s',
    'select (5).pg_sleep',
    'select (items).name from items',
    'select (select items from items).pg_typeof',
    'update items set a.b = 1',
    'insert into items (a.b) values (1)',
    'delete from items returning old.pg_typeof',
    'insert into items values (1) on conflict (id) do update set a = excluded.pg_column_size',
  ])('%s cannot call a function', (sql) => {
    expect(refusal(sql, 'dml')).toMatch(/may call the function|\(x\)\.y|without a name/);
  });

  const database = useTestModulesDatabase();

  test('lets no function outside the list be called on a row: the list knows all that this server has', async () => {
    const found = await database().sql<{ proname: string }[]>`
      select distinct proname from pg_proc
      where pronamespace = 'pg_catalog'::regnamespace and pronargs >= 1 and pronargs - pronargdefaults <= 1
        and proargtypes[0]::regtype::text in
          ('record', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray', '"any"')`;
    const unlisted = found
      .map((row) => row.proname)
      .filter((name) => !FUNCTIONS.has(name) && !ROW_FUNCTIONS.has(name));
    expect(unlisted).toEqual([]);
  });

  test('is right about PostgreSQL: only a function in FROM is a plain value', async () => {
    const run = async (sql: string) => database().sql.unsafe(sql);
    expect(await run('select t.pg_sleep from unnest(array[0.001]) as t')).toHaveLength(1);
    for (const from of [
      '(select 0.001 as a) as t',
      '(values (0.001)) as t',
      '(unnest(array[0.001]) as a cross join (select 1) as b) as t',
    ]) {
      await expect(run(`select t.pg_sleep from ${from}`)).rejects.toThrow('does not exist');
    }
    const [taken] = await run(
      "select count(*)::int as n from pg_proc where proname in ('key', 'value', 'ordinality')",
    );
    expect(taken?.['n']).toBe(0);
  });
});

describe('tables', () => {
  test.each([
    `create table if not exists "a" ("id" bigint generated by default as identity primary key, n varchar(255) default 'x' not null check (n in ('a', 'b')), d timestamptz default now(), e numeric(10, 2), f text[], g inet, foreign key (n) references b (c) on delete cascade, constraint u unique (n, d))`,
    'create table a (id bigserial primary key, s text generated always as (lower(n)) stored, n text, other int references a (id) deferrable initially deferred)',
    'alter table a add column b text, drop column if exists c cascade, alter column d set default 5, alter column d drop default, alter column d set not null, alter column d drop not null, alter column x type int4 using x::int4, add constraint u unique (a), drop constraint q',
    'alter table a rename column b to c',
    'alter table a rename to b',
    "create unique index if not exists i on a using btree (b desc nulls last, lower(c), (d ->> 'e')) where f is not null",
    'create index i on a using gin (data)',
    'drop index if exists i',
    'drop table if exists a, b cascade',
  ])('%s is let through', (sql) => {
    expect(checkStatement(sql, { mode: 'ddl' }).kind).toBe('ddl');
  });

  test('a text let through in activate() is still refused on a page', () => {
    const sql = 'create table remembered (id int)';
    expect(checkStatement(sql, { mode: 'ddl' }).kind).toBe('ddl');
    expect(refusal(sql, 'dml')).toContain('activate()');
  });

  test('rows may be written among them', () => {
    expect(checkStatement('insert into a values (1)', { mode: 'ddl' }).kind).toBe('insert');
  });

  test.each(
    `create table a (b int references other.c)|create table other.a (b int)|create table pg_a (b int)|create temp table a (b int)|create unlogged table a (b int)|create table a (like b)|create table a () inherits (b)|create table a (b int) partition by list (b)|create table a partition of b default|create table a of b|create table a as select 1|create table a (b int) with (fillfactor = 10)|create table a (b int) tablespace x|create table a (b int default nextval('x'))|create table a (b int check (pg_sleep(1) is null))|create table a (b text collate "C")|create table a (b other.t)|create table a (b regclass)|create table a (b int, exclude using gist (b with =))|alter table other.a add b int|alter table a owner to b|alter table a set schema b|alter table a enable row level security|alter table a disable trigger all|alter table a inherit b|alter table a attach partition b default|alter table a cluster on b|alter table a set tablespace x|alter table a alter b set storage plain|alter table a replica identity full|alter table a add constraint c primary key using index i|alter view a add b int|alter view a rename to b|alter sequence a owned by none|create index concurrently i on a (b)|create index i on a using gist (b)|create index i on a (b text_pattern_ops)|create index i on a (pg_sleep(b))|create index i on other.a (b)|drop table other.a|drop table pg_class|drop schema a|drop view a|drop function a|create view a as select 1|create materialized view a as select 1|create function f() returns int language sql as 'select 1'|create procedure f() language sql as 'select 1'|create trigger a after insert on b execute function f()|create rule r as on insert to a do nothing|create type a as enum ('a')|create type a as (b int)|create domain d as text|create extension x|create schema x|create role x|alter role x password 'y'|create database x|create sequence x|create operator = (function = f)|create cast (a as b) without function|create aggregate a (int) (sfunc = f, stype = int)|create policy p on a|create statistics s on a, b from c|create event trigger e on ddl_command_start execute function f()|grant select on a to b|revoke select on a from b|alter default privileges grant select on tables to public|comment on table a is 'x'|security label on table a is null|vacuum a|reindex table a|refresh materialized view a|import foreign schema a from server b into c|drop owned by a|reassign owned by a to b|load 'x'|checkpoint|set constraints all deferred|discard all|alter system set a = 1|create publication p|create subscription s connection 'x' publication p|create server s foreign data wrapper f|create language l|create tablespace t location 'x'|create access method m type index handler h|create collation x from y|create text search dictionary d (template = simple)|create conversion c for 'a' to 'b' from f`.split(
      '|',
    ),
  )('%s is refused', (sql) => {
    expect(refusal(sql, 'ddl')).toMatch(/refused|read/);
  });
});

describe('bounds', () => {
  test.each([
    ['select ' + '('.repeat(61) + '1' + ')'.repeat(61), 'nesting'],
    ['select ' + '(select '.repeat(2000) + '1' + ')'.repeat(2000), 'nesting'],
    ['select ' + '1+'.repeat(9900) + '1', 'operators'],
    ['select ' + '- '.repeat(2001) + '1', 'operators'],
    ['select 1' + '::int4'.repeat(1001), 'operators'],
    ['select ' + 'not '.repeat(401) + 'true', 'nested clauses'],
    ['select 1' + ' union select 1'.repeat(401), 'nested clauses'],
    ["select ')))', " + '(select '.repeat(61) + '1' + ')'.repeat(61), 'nesting'],
    ['select ' + '/*'.repeat(4000) + '*/'.repeat(4000), 'comment'],
    ['select ' + "'ü".repeat(LIMITS.dbTextBytes / 2), 'longer'],
  ])('a text that would nest too deeply never reaches the parser: %#', (sql, words) => {
    expect(refusal(sql, 'dml')).toContain(words);
  });

  test('what is let through at the bounds is parsed, even from a deep stack', () => {
    const down = (depth: number): void => {
      if (depth > 0) return down(depth - 1);
      for (const sql of [
        'select ' + '1+'.repeat(1900) + '1',
        'select ' + 'not '.repeat(400) + 'true',
        'select ' + '(select '.repeat(60) + '1' + ')'.repeat(60),
        'select 1' + '::int4'.repeat(1000),
      ]) {
        expect(['OK', 'DB_REFUSED']).toContain(judged(sql, 'dml').code);
      }
    };
    down(2_000);
    expect(checkStatement('select 1 as after', { mode: 'dml' }).kind).toBe('select');
  });

  test('a bulk insert of as many parameters as there may be is no nesting', () => {
    const rows = Array.from(
      { length: LIMITS.dbParameters / 2 },
      (_, index) => `($${2 * index + 1}, $${2 * index + 2})`,
    );
    expect(checkStatement(`insert into t (a, b) values ${rows.join(', ')}`, { mode: 'dml' }).kind).toBe(
      'insert',
    );
  });

  test('any text is either let through or refused with DB_REFUSED', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'select',
        ' from ',
        'a',
        '.',
        '(',
        ')',
        ',',
        "'",
        '"',
        '$1',
        '::',
        'int4',
        ' ',
        '*',
        'union ',
        'with ',
        'as ',
        '[',
        ']',
        ';',
        '--',
        '\\',
        'e',
        '\u00a0',
        '=',
        'table ',
        'create ',
      ),
      fc.string({ maxLength: 5, unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom<Mode>('dml', 'ddl'), (pieces, mode) => {
        expect(['OK', 'DB_REFUSED']).toContain(judged(pieces.join(''), mode).code);
      }),
      { numRuns: 2_000 },
    );
  });

  test('reading many statements does not make V8 take half a gigabyte to optimise the parser', async () => {
    const module = new URL('../../src/database/guard/check-statement.ts', import.meta.url).href;
    const program = `
      const { checkStatement } = await import(${JSON.stringify(module)});
      for (let round = 0; round < 20; round++) {
        for (let index = 0; index < 100; index++) checkStatement('select a from b limit ' + (round * 100 + index), { mode: 'dml' });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      process.stdout.write(String(process.resourceUsage().maxRSS / 1024));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
    expect(Number(stdout)).toBeLessThan(250);
  });

  test('the memory of verdicts forgets the oldest first and is bounded', () => {
    const memory = new LruByLength<number>(10);
    memory.set('aaaa', 1);
    memory.set('bbbb', 2);
    expect(memory.get('aaaa')).toBe(1);
    memory.set('cccc', 3);
    expect([memory.get('aaaa'), memory.get('bbbb'), memory.get('cccc')]).toEqual([1, undefined, 3]);
    memory.set('x'.repeat(11), 4);
    expect([memory.get('aaaa'), memory.get('x'.repeat(11))]).toEqual([undefined, undefined]);
  });
});
