/**
 * Brings a database up to the code: numbered SQL files, each run once, in its own transaction, and never changed after.
 * Several hosts may start at once against one database, so the whole of it happens under an advisory lock.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { connectHost } from './connect.ts';
import type { HostSql } from './connect.ts';
import type { PgEndpoint } from './endpoint.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

interface Applied {
  number: number;
  name: string;
  sha256: string;
}

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
/** Any constant of ours; the lock is of the host's database alone. */
const LOCK_KEY = 7_236_118_204;

function fault(text: string): HostError {
  return new HostError('CONFLICT', text);
}

/** Git on Windows may check files out with CRLF; that is not a change. */
function digest(sql: string): string {
  return createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex');
}

/**
 * Reads `0001_name.sql`, `0002_…` in order.
 * @throws HostError CONFLICT for a file of another name, a number given twice, or one left out
 */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
  const migrations: Migration[] = [];
  for (const name of names) {
    const number = Number(FILE_NAME.exec(name)?.[1]);
    const expected = migrations.length + 1;
    if (!Number.isInteger(number)) {
      throw fault(`migrations/${name} is not named like 0001_words.sql: rename it.`);
    }
    if (number < expected) {
      throw fault(
        `migrations/${name} has the number of ${migrations[number - 1]?.name ?? 'no file'}: give it the next free one.`,
      );
    }
    if (number > expected) {
      throw fault(`migrations/${name} comes where number ${expected} should: a file is missing.`);
    }
    const sql = await readFile(join(folder, name), 'utf8');
    migrations.push({ number, name, sql, sha256: digest(sql) });
  }
  return migrations;
}

/** @throws HostError CONFLICT when the database was made by other files than these */
function compare(migrations: readonly Migration[], applied: readonly Applied[]): void {
  for (const done of applied) {
    const file = migrations[done.number - 1];
    if (file === undefined) {
      throw fault(
        `The database is newer than this program: it has ${done.name}, which is not here. Start a newer version, or restore a backup.`,
      );
    }
    if (file.name !== done.name) {
      throw fault(`migrations/${file.name} was applied to this database as ${done.name}: restore its name.`);
    }
    if (file.sha256 !== done.sha256) {
      throw fault(
        `migrations/${file.name} was changed after it was applied to this database: restore it, and write the change as a new file.`,
      );
    }
  }
}

async function apply(sql: HostSql, migration: Migration): Promise<void> {
  try {
    await sql.begin(async (transaction) => {
      await transaction.unsafe(migration.sql).simple();
      await transaction`
        insert into schema_migrations (number, name, sha256)
        values (${migration.number}, ${migration.name}, ${migration.sha256})`;
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HostError(
      'CONFLICT',
      `migrations/${migration.name} failed, and nothing of it was kept: ${reason}`,
      {
        cause,
      },
    );
  }
}

/**
 * Applies what is missing and returns the names of what it applied, in order. Uses a connection of its own, for the lock
 * belongs to a session.
 * @param last the number after which it stops
 * @throws HostError CONFLICT when files and database do not fit, or a file fails (the ones before it stay)
 */
export async function migrate(
  endpoint: PgEndpoint,
  folder: string,
  last = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const migrations = await readMigrations(folder);
  await using connection = connectHost(endpoint, { max: 1, applicationName: 'bulkhead migrate' });
  const { sql } = connection;
  await sql`select pg_advisory_lock(${LOCK_KEY})`;
  await sql`
    create table if not exists schema_migrations (
      number integer primary key,
      name text not null,
      sha256 text not null,
      applied_at timestamptz not null default now()
    )`;
  const applied = await sql<Applied[]>`select number, name, sha256 from schema_migrations order by number`;
  compare(migrations, applied);
  const missing = migrations.slice(applied.length).filter(({ number }) => number <= last);
  for (const migration of missing) await apply(sql, migration);
  return missing.map(({ name }) => name);
}
