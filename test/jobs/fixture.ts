/** What the queue's tests share: tenants with an installed module, a worker on the test's database, and waiting for a state. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';

import { migrateQueue } from '../../src/jobs/graphile.ts';
import type { JobTiming } from '../../src/jobs/limits.ts';
import type { TaskOutcome } from '../../src/jobs/outcome.ts';
import { getTask } from '../../src/jobs/read.ts';
import type { Db, Task, TaskStatus } from '../../src/jobs/task.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import type { Worker, WorkerOptions } from '../../src/jobs/worker.ts';
import { testDatabase, useTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

/** Small enough for a test, of the same proportions. */
export const FAST: JobTiming = {
  beatMs: 150,
  beatsMissed: 3,
  sweepMs: 400,
  pollMs: 100,
  abandonMs: 500,
  stopGraceMs: 100,
  successionMs: 250,
  hookRetryS: 0.05,
};

export const silent = (): void => {};

let own: TestDatabase | undefined;
afterAll(async () => own?.close());

/**
 * A database with nothing in it but graphile-worker's schema, for a test with a worker, which runs whatever is queued. It is the
 * same one for all tests of a file: emptied before each, which takes less than making one.
 */
export async function queueDatabase(): Promise<TestDatabase> {
  if (own === undefined) {
    own = await testDatabase();
    await migrateQueue(own.endpoint, silent);
  }
  await own.sql`truncate tenants, workers, graphile_worker._private_jobs cascade`;
  return own;
}

/** One database for the tests of a file, with graphile-worker's schema. */
export function useQueueDatabase(): () => TestDatabase {
  const host = useTestDatabase();
  beforeAll(async () => migrateQueue(host().endpoint, silent));
  return host;
}

export interface Installed {
  readonly tenantId: string;
  readonly installationId: string;
  readonly versionId: string;
}

/** A tenant with one enabled module that may run `concurrency` jobs at once. */
export async function install(db: Db, concurrency = 2): Promise<Installed> {
  const mark = randomBytes(6).toString('hex');
  const tenant = await db
    .insertInto('tenants')
    .values({ slug: `t${mark}`, name: mark })
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('publishers')
    .values({ name: `p${mark}`, public_key: '', fingerprint: '' })
    .execute();
  await db.insertInto('packages').values({ sha256: mark, bytes: new Uint8Array(), size_bytes: 0 }).execute();
  const module = await db
    .insertInto('modules')
    .values({ publisher: `p${mark}`, type: 'Plugin', name: 'Fixture' })
    .returning('id')
    .executeTakeFirstOrThrow();
  const version = await db
    .insertInto('module_versions')
    .values({ module_id: module.id, version: '1.0.0', package_sha256: mark, manifest: {}, declaration: {} })
    .returning('id')
    .executeTakeFirstOrThrow();
  const installation = await db
    .insertInto('installations')
    .values({
      tenant_id: tenant.id,
      module_id: module.id,
      version_id: version.id,
      status: 'active',
      grants: { tasks: { concurrency, per_minute: 60 } },
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { tenantId: tenant.id, installationId: installation.id, versionId: version.id };
}

export const success: TaskOutcome = {
  kind: 'returned',
  value: { status: 'success' },
  cpuUs: 1_000,
  wallMs: 2,
};

export function returned(value: unknown): TaskOutcome {
  return { kind: 'returned', value, cpuUs: 1_000, wallMs: 2 };
}

export function threw(
  code: 'MODULE_ERROR' | 'INTERRUPTED' | 'STEP_IN_DOUBT' | 'CRASHED' | 'NO_METHOD' = 'MODULE_ERROR',
): TaskOutcome {
  return { kind: 'failed', error: { code, message: `because ${code}` }, cpuUs: 1_000, wallMs: 2 };
}

/** Resolves when the signal aborts, as a run that is told to stop. */
export async function untilAborted(signal: AbortSignal): Promise<TaskOutcome> {
  const aborted = Promise.withResolvers<void>();
  if (signal.aborted) aborted.resolve();
  signal.addEventListener('abort', () => aborted.resolve());
  await aborted.promise;
  return threw();
}

/** A worker that is stopped at the end of the scope. */
export async function work(
  host: TestDatabase,
  options: Pick<WorkerOptions, 'runTask'> & Partial<WorkerOptions>,
): Promise<Worker & AsyncDisposable> {
  const worker = await startWorker({
    endpoint: host.endpoint,
    db: host.db,
    log: silent,
    timing: FAST,
    ...options,
  });
  return { ...worker, [Symbol.asyncDispose]: async () => worker.stop() };
}

const PATIENCE_MS = 15_000;
const LOOK_MS = 15;

/** Looks until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleep(LOOK_MS);
  }
  throw new Error(`still waiting for ${what}`);
}

export async function taskWith(db: Db, id: string, status: TaskStatus): Promise<Task> {
  return until(`task ${status}`, async () => {
    const task = await getTask(db, id);
    return task?.status === status && task;
  });
}
