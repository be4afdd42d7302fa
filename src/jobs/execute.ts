/**
 * What a worker does with one job: claim the task, run its method, record the outcome, call the finishing hook, finish. How the
 * method is run is injected (`runTask` enters the sandbox); here it is only bounded: by the task's timeout, by a cancel from any
 * process, and by the worker's own stop.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import * as v from 'valibot';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { claimTask } from './claim.ts';
import type { Finished, Run } from './claim.ts';
import { finishTask } from './finish.ts';
import type { Apply } from './finish.ts';
import { addJob } from './graphile.ts';
import { JOB_LIMITS } from './limits.ts';
import type { JobTiming } from './limits.ts';
import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';
import { decide } from './outcome.ts';
import type { StopCause, TaskOutcome } from './outcome.ts';
import { recordOutcome } from './record.ts';
import { storable } from '../database/storable.ts';
import { createSuccession } from './succession.ts';
import type { Ended } from './succession.ts';
import type { Db, Task, Trx } from './task.ts';

/** Runs a task's method. Must end soon after the signal aborts; whatever it then says is read by the signal's cause. */
export type RunTask = (
  task: Task,
  run: { readonly attempt: number; readonly signal: AbortSignal },
) => Promise<TaskOutcome>;

/**
 * Called when a task has ended for good, before it is final in the database. At least once: after a crash it is called again, so
 * what it does outside must bear repeating. What it returns is run in the transaction that makes the end final: exactly once.
 * A hook that throws is tried again some times, later each time; then the task is finished without it.
 */
export type OnFinished = (task: Task, finished: Finished) => Promise<Apply | undefined>;

/** Whether the finishing hook has anything to do for a task of this kind. */
export type ConcernsEnd = (task: Task) => boolean;

/** Called when a run was recorded, whatever comes next. What it throws is logged and stops nothing. */
export type OnRun = (task: Task) => Promise<void>;

/** Several hooks as one: their effects happen together. */
export function allOf(hooks: readonly OnFinished[]): OnFinished {
  return async (task, finished) => {
    const effects: Apply[] = [];
    for (const hook of hooks) {
      const effect = await hook(task, finished);
      if (effect !== undefined) effects.push(effect);
    }
    return async (trx) => {
      for (const effect of effects) await effect(trx);
    };
  };
}

export interface ExecutorOptions {
  readonly db: Db;
  readonly runTask: RunTask;
  readonly onFinished: OnFinished | undefined;
  /** All tasks if absent. */
  readonly concernsEnd: ConcernsEnd | undefined;
  readonly onRun: OnRun | undefined;
  readonly timing: JobTiming;
  readonly log: JobLog;
}

export interface Executor {
  /**
   * Does all there is to do for one job, and then for a while the tasks of its installation that wait for the place.
   * Rejects only if the database cannot be written to.
   */
  readonly handle: (payload: unknown, workerId: string) => Promise<void>;
  readonly running: () => readonly string[];
  readonly cancel: (taskId: string) => void;
  /** Interrupts what runs now; what runs later is not concerned. */
  readonly interruptAll: () => void;
  /** From now on nothing is begun but what the queue still hands over. */
  readonly rest: () => void;
}

const Payload = v.object({ task: v.pipe(v.string(), v.uuid()), hookFailures: v.optional(v.number(), 0) });

/** Waits between tries of a write that must not be lost: the method has run already. About half a minute in all. */
const WRITE_RETRIES_MS = [50, 200, 1_000, 5_000, 10_000, 15_000] as const;

function stopWith(controller: AbortController, cause: StopCause): void {
  controller.abort(new HostError(cause, 'The run was told to stop.'));
}

/** AbortSignal.timeout's own reason is a DOMException; the other two are ours. */
function causeOf(signal: AbortSignal): StopCause | null {
  if (!signal.aborted) return null;
  const reason: unknown = signal.reason;
  if (!(reason instanceof HostError)) return 'TIMEOUT';
  return reason.code === 'CANCELLED' ? 'CANCELLED' : 'INTERRUPTED';
}

async function insist<T>(work: () => Promise<T>, log: JobLog): Promise<T> {
  for (const delayMs of WRITE_RETRIES_MS) {
    try {
      return await work();
    } catch (error) {
      log('warning', `The end of a task could not be written, trying again: ${reasonOf(error)}`);
      await sleep(delayMs);
    }
  }
  return work();
}

/** Calls `late` once the signal has been aborted for `delayMs`, unless cleared before. */
function afterAbort(signal: AbortSignal, delayMs: number, late: () => void): { clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    timer = setTimeout(late, delayMs);
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return {
    clear: () => {
      signal.removeEventListener('abort', begin);
      clearTimeout(timer);
    },
  };
}

async function runBounded(options: ExecutorOptions, run: Run, signal: AbortSignal): Promise<TaskOutcome> {
  const { log, timing, runTask } = options;
  const startedAt = performance.now();
  const failed = (code: 'INTERNAL' | StopCause, message: string): TaskOutcome => ({
    kind: 'failed',
    error: { code, message },
    cpuUs: 0,
    wallMs: performance.now() - startedAt,
  });
  const abandoned = Promise.withResolvers<TaskOutcome>();
  const patience = afterAbort(signal, timing.abandonMs, () => {
    log('error', `Task ${run.task.id} did not end when told to; it is given up.`);
    abandoned.resolve(failed(causeOf(signal) ?? 'INTERRUPTED', 'The run did not end when told to.'));
  });
  const ran = async (): Promise<TaskOutcome> => runTask(run.task, { attempt: run.attempt, signal });
  try {
    return await Promise.race([ran(), abandoned.promise]);
  } catch (error) {
    log('error', `Task ${run.task.id} could not be run: ${reasonOf(error)}`, { error });
    return failed('INTERNAL', 'The task could not be run; the cause is in the operator’s log.');
  } finally {
    patience.clear();
  }
}

/** The outcome in a form that can be written down. */
function writable(outcome: TaskOutcome): TaskOutcome {
  const { cpuUs, wallMs } = outcome;
  try {
    if (outcome.kind === 'returned') return { ...outcome, value: storable(outcome.value) };
    const { code, message, data } = outcome.error;
    const error = { code, message: String(storable(message)) };
    return { ...outcome, error: data === undefined ? error : { ...error, data: storable(data) } };
  } catch (error) {
    const message = `What the job returned cannot be stored. ${reasonOf(error)}`;
    return { kind: 'failed', error: { code: 'BAD_OUTPUT', message }, cpuUs, wallMs };
  }
}

async function tellRun({ log, onRun }: ExecutorOptions, task: Task): Promise<void> {
  try {
    await onRun?.(task);
  } catch (error) {
    log('warning', `After a run of task ${task.id}: ${reasonOf(error)}`);
  }
}

async function callHook(
  options: ExecutorOptions,
  task: Task,
  finished: Finished,
  failures: number,
): Promise<void> {
  const { db, log, onFinished, timing } = options;
  try {
    const apply = await onFinished?.(task, finished);
    await finishTask(db, task, finished, apply);
  } catch (error) {
    const inARow = failures + 1;
    log('error', `The end of task ${task.id} could not be handled (${inARow}): ${reasonOf(error)}`, {
      error,
    });
    if (inARow >= JOB_LIMITS.hookTries) {
      await insist(async () => finishTask(db, task, finished, undefined), log);
      return;
    }
    const delayS = timing.hookRetryS * JOB_LIMITS.hookRetryGrowth ** failures;
    const later = async (trx: Trx): Promise<void> => {
      // By the database's clock, which decides what is due.
      const { rows } = await sql<{ at: Date }>`
        select clock_timestamp() + make_interval(secs => ${delayS}) as at`.execute(trx);
      for (const { at } of rows)
        await addJob(trx, { taskId: task.id, runAt: at, priority: 0, hookFailures: inARow });
      await trx.updateTable('tasks').set({ taken_by: null }).where('id', '=', task.id).execute();
    };
    await insist(async () => db.transaction().execute(later), log);
  }
}

export function createExecutor(options: ExecutorOptions): Executor {
  const { db, log, timing } = options;
  const stops = new Map<string, AbortController>();
  const succession = createSuccession(db);
  let resting = false;

  /** The end as one of many, if the task is over and nobody has to be told. */
  const endQuickly = async (
    run: Run,
    outcome: TaskOutcome,
    signal: AbortSignal,
    how: { readonly workerId: string; readonly until: number },
  ): Promise<Ended> => {
    const concerned = options.onFinished !== undefined && (options.concernsEnd?.(run.task) ?? true);
    const decision = decide(run.task, outcome, causeOf(signal), 0);
    if (concerned || signal.aborted || decision.next !== 'finish') return { kind: 'other' };
    const wantsNext = !resting && performance.now() < how.until;
    const ending = { run, outcome, decision, workerId: how.workerId, wantsNext };
    return insist(async () => succession.end(ending), log);
  };

  /** Runs a task that is claimed, and says which comes next. */
  const runClaimed = async (
    run: Run,
    stop: AbortController,
    how: { readonly workerId: string; readonly until: number },
  ): Promise<Run | undefined> => {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(run.task.timeoutS * 1_000)]);
    const outcome = writable(await runBounded(options, run, signal));
    const ended = await endQuickly(run, outcome, signal, how);
    if (ended.kind === 'ended') {
      await tellRun(options, run.task);
      return ended.next;
    }
    const recorded = await insist(async () => recordOutcome(db, run, outcome, causeOf(signal)), log);
    await tellRun(options, run.task);
    if (recorded.kind === 'finish') await callHook(options, recorded.task, recorded.finished, 0);
    if (recorded.kind === 'lost')
      log(
        'warning',
        `Task ${run.task.id} was taken over by another worker; what it returned here is dropped.`,
      );
    return undefined;
  };

  /** Until it ends, a cancel finds it by its id. */
  const stoppable = async <T>(taskId: string, work: (stop: AbortController) => Promise<T>): Promise<T> => {
    const stop = new AbortController();
    stops.set(taskId, stop);
    try {
      return await work(stop);
    } finally {
      if (stops.get(taskId) === stop) stops.delete(taskId);
    }
  };

  return {
    handle: async (payload, workerId) => {
      const { task: taskId, hookFailures } = v.parse(Payload, payload);
      const how = { workerId, until: performance.now() + timing.successionMs };
      // Before the claim: a cancel may be announced while the claim is still on its way back to us.
      let next = await stoppable(taskId, async (stop) => {
        const claim = await claimTask(db, taskId);
        if (claim.kind === 'run') return runClaimed(claim.run, stop, how);
        if (claim.kind === 'finish') await callHook(options, claim.task, claim.finished, hookFailures);
        return undefined;
      });
      // A cancel of one of these that is announced too early is seen by the next round of housekeeping.
      while (next !== undefined) {
        const run = next;
        next = await stoppable(run.task.id, async (stop) => runClaimed(run, stop, how));
      }
    },
    running: () => [...stops.keys()],
    cancel: (taskId) => {
      const stop = stops.get(taskId);
      if (stop !== undefined) stopWith(stop, 'CANCELLED');
    },
    interruptAll: () => {
      for (const stop of stops.values()) stopWith(stop, 'INTERRUPTED');
    },
    rest: () => {
      resting = true;
    },
  };
}
