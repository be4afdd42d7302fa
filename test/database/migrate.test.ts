import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { migrate, readMigrations } from '../../src/database/migrate.ts';
import { testModulesDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/embedded.ts';
import type { TemporaryFolder } from '../support/embedded.ts';

let folder: TemporaryFolder;
let database: TestDatabase;

beforeEach(async () => {
  folder = temporaryFolder();
  // Empty, as the host's database is before the first start.
  database = await testModulesDatabase();
  write('0001_first.sql', 'create table first (id integer); insert into first values (1);');
});
afterEach(async () => {
  await database.close();
  folder[Symbol.dispose]();
});

function write(name: string, sql: string): void {
  writeFileSync(join(folder.path, name), sql);
}

async function run(): Promise<string[]> {
  return migrate(database.endpoint, folder.path);
}

test('migrate applies what is missing, in order, once', async () => {
  write('0002_second.sql', 'insert into first values (2);');
  expect(await run()).toEqual(['0001_first.sql', '0002_second.sql']);
  write('0003_third.sql', 'insert into first values (3);');
  expect(await run()).toEqual(['0003_third.sql']);
  expect(await run()).toEqual([]);
  const rows = await database.sql`select id from first order by id`;
  expect(rows.map((row) => row['id'])).toEqual([1, 2, 3]);
});

test('migrate keeps nothing of a file that fails, and the files before it', async () => {
  write('0002_second.sql', 'create table second (id integer); select 1 / 0;');
  await expect(run()).rejects.toThrow(/0002_second\.sql failed.*division by zero/);
  const [row] =
    await database.sql`select to_regclass('second') as second, max(number) as last from schema_migrations`;
  expect(row).toEqual({ second: null, last: 1 });
});

test('migrate run by several hosts at once applies each file once', async () => {
  write('0002_second.sql', 'select pg_sleep(0.1); insert into first values (2);');
  const done = await Promise.all([run(), run(), run()]);
  expect(done.flat().toSorted()).toEqual(['0001_first.sql', '0002_second.sql']);
});

test('migrate names a file that was changed after it was applied', async () => {
  await run();
  write('0001_first.sql', 'create table first (id bigint);');
  await expect(run()).rejects.toThrow('migrations/0001_first.sql was changed after it was applied');
});

test('migrate takes other line ends for no change', async () => {
  write('0002_second.sql', 'select 1;\nselect 2;\n');
  await run();
  write('0002_second.sql', 'select 1;\r\nselect 2;\r\n');
  expect(await run()).toEqual([]);
});

test('migrate names a file that was renamed after it was applied', async () => {
  await run();
  renameSync(join(folder.path, '0001_first.sql'), join(folder.path, '0001_other.sql'));
  await expect(run()).rejects.toThrow('0001_other.sql was applied to this database as 0001_first.sql');
});

test('migrate refuses a database newer than the code', async () => {
  write('0002_second.sql', 'select 1;');
  await run();
  rmSync(join(folder.path, '0002_second.sql'));
  await expect(run()).rejects.toThrow('newer than this program: it has 0002_second.sql');
});

test.each([
  ['0003_third.sql', 'number 2 should'],
  ['0001_again.sql', 'has the number of'],
  ['0000_zero.sql', 'has the number of'],
  ['2_second.sql', 'is not named like'],
  ['0002_Second.sql', 'is not named like'],
])('readMigrations refuses %s beside 0001_first.sql', async (name, reason) => {
  write(name, 'select 1;');
  await expect(readMigrations(folder.path)).rejects.toThrow(reason);
});

test('the migrations of this program are in order', async () => {
  const own = await readMigrations(fileURLToPath(new URL('../../migrations', import.meta.url)));
  expect(own.at(0)?.name).toBe('0001_foundation.sql');
});
