/**
 * A database for a test, fresh and its own: cloned from the migrated template in some milliseconds and dropped after.
 *
 *     await using host = await testDatabase();      // in one test
 *     const host = useTestDatabase();               // for a file: host() inside tests
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, inject } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import type { HostConnection } from '../../src/database/connect.ts';
import type { PgEndpoint } from '../../src/database/endpoint.ts';

export interface TestDatabase extends HostConnection {
  /** As the host role: no superuser, but CREATEROLE and CREATEDB, owner of the database. */
  readonly endpoint: PgEndpoint;
  /** The same database as the superuser. */
  readonly admin: PgEndpoint;
}

const TEMPLATE = 'bulkhead_template';
const CONNECTIONS = 5;

function freshName(kind: string): string {
  return `test_${kind}_${process.pid}_${randomBytes(5).toString('hex')}`;
}

/** Runs statements as the superuser, outside every test's database. */
export async function asAdmin(...statements: string[]): Promise<void> {
  await using admin = connectHost(inject('postgresAdmin'), { max: 1 });
  for (const statement of statements) await admin.sql.unsafe(statement);
}

function opened(database: string): TestDatabase {
  const endpoint = { ...inject('postgresHost'), database };
  const connection = connectHost(endpoint, { max: CONNECTIONS });
  const close = async (): Promise<void> => {
    await connection.close();
    await asAdmin(`drop database if exists ${database} with (force)`);
  };
  return {
    sql: connection.sql,
    db: connection.db,
    endpoint,
    admin: { ...inject('postgresAdmin'), database },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The host's database, migrated and empty. */
export async function testDatabase(): Promise<TestDatabase> {
  const database = freshName('host');
  const owner = inject('postgresHost').user;
  await asAdmin(
    `create database ${database} template ${TEMPLATE} owner ${owner}`,
    `revoke connect on database ${database} from public`,
  );
  return opened(database);
}

/** A modules' database: empty, and closed to every role that is not let in by name. */
export async function testModulesDatabase(): Promise<TestDatabase> {
  const database = freshName('modules');
  const owner = inject('postgresHost').user;
  await asAdmin(
    `create database ${database} template template0 owner ${owner}`,
    `revoke connect, temporary on database ${database} from public`,
  );
  return opened(database);
}

function use(open: () => Promise<TestDatabase>): () => TestDatabase {
  let current: TestDatabase | undefined;
  beforeAll(async () => {
    current = await open();
  });
  afterAll(async () => current?.close());
  return () => {
    if (current === undefined) throw new Error('the database is there inside tests and hooks only');
    return current;
  };
}

/** One database for all tests of a file. */
export function useTestDatabase(): () => TestDatabase {
  return use(testDatabase);
}

/** One modules' database for all tests of a file. */
export function useTestModulesDatabase(): () => TestDatabase {
  return use(testModulesDatabase);
}
