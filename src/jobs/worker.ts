/**
 * A worker process's part in the queue: one graphile-worker with its one task, a lifeline by which others know that it lives, and
 * the recovery of those that no longer do. Any number of them may run against one database.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from 'graphile-worker';
import type { Runner, RunnerOptions, WorkerEvents } from 'graphile-worker';

import type { PgEndpoint } from '../database/endpoint.ts';
import type { RunTask } from './bounded.ts';
import { createExecutor } from './execute.ts';
import type { ConcernsEnd, Executor, OnFinished, OnRun } from './execute.ts';
import { migrateQueue, MODULE_RUN, QUEUE_SCHEMA, queueLogger, queuePool } from './graphile.ts';
import { startLifeline } from './lifeline.ts';
import type { Lifeline } from './lifeline.ts';
import { JOB_LIMITS } from './limits.ts';
import type { JobTiming } from './limits.ts';
import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';
import { startLoop } from './loop.ts';
import { closeDeadLanes, recoverDead, requeueStranded, sweepTasks, takeOver } from './recovery.ts';
import type { Db } from './task.ts';

export interface WorkerOptions {
  readonly endpoint: PgEndpoint;
  /** The host's database; at least two connections. */
  readonly db: Db;
  readonly runTask: RunTask;
  readonly onFinished?: OnFinished;
  /** Which tasks the hook is for; all if absent. */
  readonly concernsEnd?: ConcernsEnd;
  readonly onRun?: OnRun;
  /** Tasks at once in this process. */
  readonly concurrency?: number;
  readonly log: JobLog;
  readonly timing?: Partial<JobTiming>;
}

export interface Worker {
  /**
   * Takes no new task, lets running ones go on for a while (stopGraceMs), then interrupts them; interrupted ones are queued again
   * and do not count. Resolves when nothing of the worker is left.
   */
  stop(): Promise<void>;
}

const DEFAULT_CONCURRENCY = 10;
/** Of the queue's own pool: fetching, completing, listening and one to spare. They are opened when needed; one a task at most. */
const POOL_CONNECTIONS = 4;

/** One life of a graphile-worker pool. It ends when stopped, or when it lost PostgreSQL. */
interface Life {
  readonly workerId: string;
  readonly runner: Runner;
  readonly lifeline: Lifeline;
  readonly ended: Promise<void>;
}

interface Context {
  readonly options: WorkerOptions;
  readonly timing: JobTiming;
  readonly executor: Executor;
  readonly pgPool: ReturnType<typeof queuePool>;
}

async function beginLife(context: Context): Promise<Life> {
  const { options, timing, executor, pgPool } = context;
  const { endpoint, log } = options;
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const events: WorkerEvents = new EventEmitter();
  let registered: { workerId: string; lifeline: Lifeline } | undefined;
  events.once('pool:create', ({ workerPool: { id: workerId } }) => {
    const hooks = { onCancelled: executor.cancel, onLost: executor.interruptAll };
    registered = { workerId, lifeline: startLifeline({ endpoint, workerId, timing, log, ...hooks }) };
  });
  const runnerOptions: RunnerOptions = {
    pgPool,
    schema: QUEUE_SCHEMA,
    concurrency,
    pollInterval: timing.pollMs,
    noHandleSignals: true,
    parsedCronItems: [],
    logger: queueLogger(log),
    events,
    preset: {
      worker: {
        localQueue: { size: concurrency, ttl: JOB_LIMITS.fetchedAheadMs },
        completeJobBatchDelay: 0,
      },
    },
    taskList: {
      [MODULE_RUN]: async (payload: unknown) => {
        if (registered === undefined)
          throw new Error('graphile-worker runs a job before it announced its pool');
        await registered.lifeline.ready;
        await executor.handle(payload, registered.workerId);
      },
    },
  };
  const runner = await run(runnerOptions);
  const ended = runner.promise.catch((error: unknown) => log('error', `queue: ${reasonOf(error)}`));
  if (registered === undefined) throw new Error('graphile-worker announced no pool');
  return { ...registered, runner, ended };
}

interface Lives {
  /** The worker as it is registered now. */
  workerId(): string;
  stop(): Promise<void>;
}

/** Begins a life, and another whenever one ends without having been stopped: PostgreSQL was restarted. */
async function liveOn(context: Context): Promise<Lives> {
  const { db, log } = context.options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let life = await beginLife(context);

  const begin = async (): Promise<void> => {
    await takeOver(db, life.workerId, context.timing);
    life = await beginLife(context);
    if (signal.aborted) await endLife(life, log);
  };
  const living = (async (): Promise<void> => {
    while (!signal.aborted) {
      await life.ended;
      await life.lifeline.stop();
      if (signal.aborted) return;
      log('warning', 'The queue lost its connection; it is started again.');
      await sleep(JOB_LIMITS.restartMs, undefined, { signal }).catch(() => {});
      await begin().catch((error: unknown) => log('warning', `queue: ${reasonOf(error)}`));
    }
  })();
  return {
    workerId: () => life.workerId,
    stop: async () => {
      stopping.abort();
      await endLife(life, log);
      await living;
    },
  };
}

async function endLife(life: Life, log: JobLog): Promise<void> {
  await life.runner.stop().catch((error: unknown) => log('debug', `queue: ${reasonOf(error)}`));
  await life.ended;
  await life.lifeline.stop();
}

/** What one round of housekeeping does: the dead, cancels whose announcement was missed, and now and then orphans. */
function housekeeping(context: Context, lives: Lives): () => Promise<void> {
  const { options, timing, executor } = context;
  const { db, log } = options;
  let sweepAt = 0;
  return async () => {
    const freed = await recoverDead(db, timing);
    if (freed > 0) log('warning', `${freed} tasks of a dead worker were queued again.`);
    await closeDeadLanes(db);
    await cancelMissed(db, executor);
    const stranded = await requeueStranded(db, lives.workerId(), executor.running());
    if (stranded > 0) log('warning', `${stranded} tasks whose end could not be written were queued again.`);
    if (performance.now() < sweepAt) return;
    sweepAt = performance.now() + timing.sweepMs;
    const mended = await sweepTasks(db);
    if (mended > 0) log('info', `${mended} tasks were waiting without a reason and go on.`);
  };
}

async function cancelMissed(db: Db, executor: Executor): Promise<void> {
  const ids = executor.running();
  if (ids.length === 0) return;
  const cancelled = await db
    .selectFrom('tasks')
    .select('id')
    .where('id', 'in', [...ids])
    .where('status', '=', 'cancelled')
    .execute();
  for (const { id } of cancelled) executor.cancel(id);
}

/** Starts a worker. Rejects if PostgreSQL cannot be reached now; later it waits for it to come back. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { endpoint, db, log } = options;
  const timing: JobTiming = { ...JOB_LIMITS, ...options.timing };
  const executor = createExecutor({
    db,
    runTask: options.runTask,
    onFinished: options.onFinished,
    concernsEnd: options.concernsEnd,
    onRun: options.onRun,
    timing,
    log,
  });
  await migrateQueue(endpoint, log);
  const context: Context = {
    options,
    timing,
    executor,
    pgPool: queuePool(endpoint, Math.max(POOL_CONNECTIONS, options.concurrency ?? DEFAULT_CONCURRENCY), log),
  };
  const lives = await liveOn(context);
  const keeper = startLoop('housekeeping', timing.beatMs, housekeeping(context, lives), log);
  const stop = async (): Promise<void> => {
    executor.rest();
    const interrupt = setTimeout(executor.interruptAll, timing.stopGraceMs);
    await lives.stop();
    await executor.settled();
    clearTimeout(interrupt);
    await keeper.stop();
    await context.pgPool.end();
  };
  let stopped: Promise<void> | undefined;
  return { stop: async () => (stopped ??= stop()) };
}
