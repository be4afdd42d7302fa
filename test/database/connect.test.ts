import { sql } from 'kysely';
import { expect, test } from 'vitest';

import { checkConnection, connectHost } from '../../src/database/connect.ts';
import { testDatabase, testModulesDatabase, useTestDatabase } from '../support/database.ts';

const host = useTestDatabase();

test('bigint is a number, and one too large for it an error', async () => {
  const small = await sql<{ n: number }>`select 9007199254740991::int8 as n`.execute(host().db);
  expect(small.rows).toEqual([{ n: Number.MAX_SAFE_INTEGER }]);
  const large = sql`select 9007199254740992::int8 as n`.execute(host().db);
  await expect(large).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('an instant is a Date and a day is its text', async () => {
  const at = new Date('2026-11-22T10:00:00.123Z');
  const { rows } = await sql`select ${at}::timestamptz as at, '2026-11-22'::date as day`.execute(host().db);
  expect(rows).toEqual([{ at, day: '2026-11-22' }]);
});

test.each([
  ['an object', { a: [1, { b: null }] }],
  ['a text', 'text'],
  ['a text that looks like JSON', '{"a":1}'],
  ['a number', 1.5],
  ['true', true],
  ['false', false],
  ['an empty array', []],
  ['an array of booleans', [true, false]],
  ['an array of texts', ['a', '{b}']],
  ['an array of objects', [{ a: 1 }]],
])('jsonb keeps %s', async (_what, value) => {
  const key = crypto.randomUUID();
  await host().db.insertInto('settings').values({ key, value }).execute();
  const row = await host()
    .db.selectFrom('settings')
    .selectAll()
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  expect(row.value).toEqual(value);
});

test('arrays, bytes, booleans and null keep their kind', async () => {
  const { rows } = await sql`
    select ${['a', 'b"c']}::text[] as texts, ${[1, 2]}::int4[] as numbers, ${Buffer.from([0, 255])}::bytea as bytes,
      ${true}::boolean as yes, ${null}::text as nothing`.execute(host().db);
  expect(rows).toEqual([
    { texts: ['a', 'b"c'], numbers: [1, 2], bytes: Buffer.from([0, 255]), yes: true, nothing: null },
  ]);
});

test('a server that is not there is named without its password', async () => {
  const nowhere = { ...host().endpoint, host: '/nowhere', password: 'hunter2' };
  await using connection = connectHost(nowhere, { max: 1 });
  const check = checkConnection(connection);
  await expect(check).rejects.toThrow(/cannot be reached as \S+@\/nowhere:5432.*DATABASE_URL/);
  await expect(check).rejects.not.toThrow('hunter2');
});

test('a test’s database is its own, migrated, and gone afterwards', async () => {
  const first = await testDatabase();
  await using second = await testDatabase();
  await first.db.insertInto('settings').values({ key: 'k', value: 1 }).execute();
  const seen = await second.db.selectFrom('settings').selectAll().execute();
  await first.close();
  const left = await second.sql`select 1 from pg_database where datname = ${first.endpoint.database}`;
  expect([seen, [...left]]).toEqual([[], []]);
});

test('the host’s role is no superuser, and a modules’ database lets in nobody unnamed', async () => {
  await using modules = await testModulesDatabase();
  const [row] = await modules.sql`
    select rolsuper as super, rolcreaterole as creates,
      has_database_privilege('pg_monitor', current_database(), 'connect') as entered,
      has_database_privilege('pg_monitor', ${host().endpoint.database}, 'connect') as entered_host
    from pg_roles where rolname = current_user`;
  expect(row).toEqual({ super: false, creates: true, entered: false, entered_host: false });
});
