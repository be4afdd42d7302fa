import { expect, test } from 'vitest';

import { literalsOf, renderTables } from '../../src/database/generate-tables.ts';
import { testDatabase, testModulesDatabase } from '../support/database.ts';

test('renderTables says what each column gives and takes', async () => {
  await using database = await testModulesDatabase();
  await database.sql.unsafe(`
    create type colour as enum ('red', 'green');
    create table b_things (
      id bigint generated always as identity,
      own uuid not null default gen_random_uuid(),
      kind text not null check (kind in ('a', 'it''s', 'x, y')),
      state text check (state in ('on', 'off')),
      free text not null check (free <> ''),
      tags text[] not null default '{}',
      price numeric not null,
      data jsonb not null default '{}',
      maybe jsonb,
      twice bigint generated always as (1 + 1) stored,
      colour colour not null,
      at timestamptz
    );
    create table a (flag boolean not null, bytes bytea not null, unique (flag));`);
  const text = await renderTables(database.sql);
  expect(text.slice(text.indexOf('export interface ATable'))).toBe(`export interface ATable {
  flag: boolean;
  bytes: Bytes;
}

export interface BThingsTable {
  id: Computed<number>;
  own: Defaulted<string>;
  kind: 'a' | 'it\\'s' | 'x, y';
  state: Nullable<'on' | 'off'>;
  free: string;
  tags: Defaulted<string[]>;
  price: Numeric;
  data: Defaulted<Json>;
  maybe: Nullable<Json>;
  twice: Computed<Nullable<number>>;
  colour: 'red' | 'green';
  at: Nullable<Date>;
}

export interface Tables {
  a: ATable;
  b_things: BThingsTable;
}
`);
});

test('renderTables holds only the helper types in use, and is the same each time', async () => {
  await using database = await testModulesDatabase();
  await database.sql`create table a (flag boolean)`;
  const text = await renderTables(database.sql);
  expect(text.match(/^type \w+/gm)).toEqual(['type Nullable']);
  expect(await renderTables(database.sql)).toBe(text);
});

test('renderTables names a column whose type it does not know', async () => {
  await using database = await testModulesDatabase();
  await database.sql`create table a (place point)`;
  await expect(renderTables(database.sql)).rejects.toThrow('a.place is of type point');
});

test('renderTables knows every type of the host’s own tables', async () => {
  await using host = await testDatabase();
  expect(await renderTables(host.sql)).toContain('schema_migrations: SchemaMigrationsTable;');
});

test.each([
  [`CHECK ((kind = ANY (ARRAY['a'::text, 'b'::text])))`, ['a', 'b']],
  [`CHECK ((kind = ANY (ARRAY['it''s'::text])))`, ["it's"]],
  [`CHECK ((kind <> ''::text))`, undefined],
  [`CHECK (((kind = ANY (ARRAY['a'::text])) OR (kind IS NULL)))`, undefined],
  [`CHECK ((number = ANY (ARRAY[1, 2])))`, undefined],
])('literalsOf reads %s', (check, literals) => {
  expect(literalsOf(check)).toEqual(literals);
});
