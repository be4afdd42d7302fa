/**
 * One PostgreSQL for the whole run, in a temporary folder, with a migrated template that every test's database is
 * cloned from. Two endpoints are handed to the workers: the superuser, and the role that the host is on a managed
 * server (CREATEROLE and CREATEDB, no superuser), so that nothing here comes to need more.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

import { connectHost } from '../../src/database/connect.ts';
import { lockDataDir } from '../../src/database/embedded/lock.ts';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import type { EmbeddedPostgres } from '../../src/database/embedded/start.ts';
import type { PgEndpoint } from '../../src/database/endpoint.ts';
import { migrate } from '../../src/database/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgresAdmin: PgEndpoint;
    postgresHost: PgEndpoint;
  }
}

const PREFIX = 'bulkhead-test-postgres-';
const TEMPLATE = 'bulkhead_template';
const QUIT_MS = 5_000;
const QUIT_POLL_MS = 20;
const HOST_ROLE = 'bulkhead_host';
const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

/** Nothing here must survive a crash of the machine. */
const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' };

/** Removes what a run that was killed with -9 could not. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    try {
      lockDataDir(folder).release();
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Another run is using it, or it is another user's.
    }
  }
}

/** Stops PostgreSQL without a checkpoint, and blocks until it writes no more: for an exit, which waits for nothing. */
function quitNow(postgres: EmbeddedPostgres, dataDir: string): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  process.kill(postgres.pid, 'SIGQUIT');
  for (
    let waitedMs = 0;
    waitedMs < QUIT_MS && existsSync(join(dataDir, 'pg', 'postmaster.pid'));
    waitedMs += QUIT_POLL_MS
  ) {
    Atomics.wait(never, 0, 0, QUIT_POLL_MS);
  }
}

async function prepare(postgres: EmbeddedPostgres): Promise<PgEndpoint> {
  const password = randomBytes(18).toString('base64url');
  await using admin = connectHost(postgres.endpoint(), { max: 1 });
  await admin.sql.unsafe(`create role ${HOST_ROLE} login createrole createdb password '${password}'`);
  await admin.sql.unsafe(`create database ${TEMPLATE} owner ${HOST_ROLE}`);
  await admin.sql.unsafe(`revoke connect on database ${TEMPLATE} from public`);
  const host = postgres.endpoint({ user: HOST_ROLE, password });
  await migrate({ ...host, database: TEMPLATE }, MIGRATIONS);
  return host;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  sweep();
  const dataDir = mkdtempSync(join(tmpdir(), PREFIX));
  const remove = (): void => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 });
  let postgres: EmbeddedPostgres | undefined;
  // Ctrl-C ends vitest without its teardown; another one must not end the cleaning up.
  const keepOn = (): void => undefined;
  const abandon = (): void => {
    if (postgres !== undefined) quitNow(postgres, dataDir);
    remove();
  };
  const teardown = async (): Promise<void> => {
    await postgres?.stop();
    process.off('exit', abandon).off('SIGINT', keepOn);
    remove();
  };
  process.once('exit', abandon).on('SIGINT', keepOn);
  try {
    postgres = await startEmbedded({ dataDir, settings: FAST });
    project.provide('postgresHost', await prepare(postgres));
    project.provide('postgresAdmin', postgres.endpoint());
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}
