/**
 * All that we know of graphile-worker but running it: its schema, its one task, adding a job. Its tables stay its own; we use
 * its functions, and its `jobs` view for reading. A job carries nothing but a task's id: the row in `tasks` holds the rest.
 */
import { Logger, runMigrations } from 'graphile-worker';
import { sql } from 'kysely';
import { Pool } from 'pg';

import { forPg } from '../database/endpoint.ts';
import type { PgEndpoint } from '../database/endpoint.ts';
import { MAX_PRIORITY } from './limits.ts';
import type { JobLog, JobLogLevel } from './log.ts';
import type { Trx } from './task.ts';

/** The one task of graphile-worker's that we have. */
export const MODULE_RUN = 'module.run';
/** Said outright everywhere: graphile-worker would otherwise take it from the environment. */
export const QUEUE_SCHEMA = 'graphile_worker';

const LEVELS: Readonly<Record<string, JobLogLevel>> = { error: 'error', warning: 'warning', info: 'debug' };

/** graphile-worker's log in ours; what it calls info (each job done) is debug to us. */
export function queueLogger(log: JobLog): Logger {
  return new Logger(() => (level, message) => log(LEVELS[level] ?? 'debug', `queue: ${message}`));
}

/** A pool with the error handlers without which a lost connection would end the process. */
export function queuePool(endpoint: PgEndpoint, max: number, log: JobLog): Pool {
  const pool = new Pool({ ...forPg(endpoint), max, application_name: 'bulkhead queue' });
  const onError = (error: Error): void => log('warning', `queue connection: ${error.message}`);
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

/** Brings graphile-worker's own schema up to date. Before the first task is queued, in every process; safe to repeat. */
export async function migrateQueue(endpoint: PgEndpoint, log: JobLog): Promise<void> {
  const pgPool = queuePool(endpoint, 1, log);
  try {
    await runMigrations({ pgPool, schema: QUEUE_SCHEMA, logger: queueLogger(log) });
  } finally {
    await pgPool.end();
  }
}

export interface JobSpec {
  readonly taskId: string;
  readonly runAt: Date;
  /** Smaller runs first; cut to what graphile-worker can hold. */
  readonly priority: number;
  /** How often the finishing hook has failed for this task. */
  readonly hookFailures?: number;
}

/**
 * Adds the job of a task, in the caller's transaction. Keyed by the task: a waiting one is replaced, a running one is left alone
 * and followed. One attempt: retries, backoff and recovery are ours, with our counting.
 */
export async function addJob(trx: Trx, job: JobSpec): Promise<void> {
  const payload = JSON.stringify({ task: job.taskId, hookFailures: job.hookFailures ?? 0 });
  await sql`
    select graphile_worker.add_job(
      ${MODULE_RUN}::text, ${payload}::text::json,
      run_at := ${job.runAt}::timestamptz,
      max_attempts := 1,
      job_key := ${job.taskId}::text,
      priority := ${Math.min(Math.max(0, job.priority), MAX_PRIORITY)}::integer
    )`.execute(trx);
}
