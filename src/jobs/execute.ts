/**
 * What a worker does with one job: claim the task, run its method, record the outcome, call the finishing hook, finish. How the
 * method is run is injected (`runTask` enters the sandbox); here it is only bounded: by the task's timeout, by a cancel from any
 * process, and by the worker's own stop.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import * as v from 'valibot';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { causeOf, runBounded, stopWith, writable } from './bounded.ts';
import type { RunTask } from './bounded.ts';
import { claimTask } from './claim.ts';
import type { Draft, Finished, Run } from './claim.ts';
import { finishTask } from './finish.ts';
import type { Apply } from './finish.ts';
import { addJob } from './graphile.ts';
import type { Line, Record, Wish } from './hand-over.ts';
import { JOB_LIMITS } from './limits.ts';
import type { JobTiming } from './limits.ts';
import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';
import { decide } from './outcome.ts';
import type { FinalDecision, TaskOutcome } from './outcome.ts';
import { recordOutcome } from './record.ts';
import { createSuccession } from './succession.ts';
import type { Next } from './succession.ts';
import type { Db, Task, Trx } from './task.ts';

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
  /** Resolves when what was handled is written. */
  readonly settled: () => Promise<void>;
  /** From now on nothing is begun but what the queue still hands over. */
  readonly rest: () => void;
}

const Payload = v.object({ task: v.pipe(v.string(), v.uuid()), hookFailures: v.optional(v.number(), 0) });

/** Waits between tries of a write that must not be lost: the method has run already. About half a minute in all. */
const WRITE_RETRIES_MS = [50, 200, 1_000, 5_000, 10_000, 15_000] as const;

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

/** A job of the queue in hand: its place goes from task to task for a while. */
interface Place {
  readonly workerId: string;
  /** Of the queue's job. */
  readonly taskId: string;
  installationId: string | undefined;
  /** When it was looked last whether anybody waits for it. */
  since: number;
}

/** What a run that ended says, and how it came to that. */
interface Ran {
  readonly outcome: TaskOutcome;
  readonly signal: AbortSignal;
  readonly wasQuiet: boolean;
}

export function createExecutor(options: ExecutorOptions): Executor {
  const { db, log, timing } = options;
  const stops = new Map<string, AbortController>();
  const succession = createSuccession(db, async (work) => insist(work, log));
  let resting = false;
  const places = new Set<Place>();
  /** Nobody waited in the queue a moment ago. */
  let unawaitedUntil = 0;

  const concerned = (task: Task): boolean =>
    options.onFinished !== undefined && (options.concernsEnd?.(task) ?? true);

  const lineOf = ({ workerId }: Place, task: Task): Line => ({
    workerId,
    installationId: task.installationId,
    handled: [...places].map(({ taskId }) => taskId),
    served: [...new Set([...places].flatMap(({ installationId: id }) => id ?? []))],
  });

  const wishOf = ({ since }: Place): Wish => {
    if (resting) return false;
    const now = performance.now();
    if (now > since + timing.successionMs * JOB_LIMITS.ownSuccessions) return 'unlessAny';
    return now < since + timing.successionMs || now < unawaitedUntil || 'unlessOthers';
  };

  const noteWish = (wish: Wish, place: Place, next: Next): void => {
    if (typeof wish !== 'string' || next === undefined) return;
    const now = performance.now();
    unawaitedUntil = now + JOB_LIMITS.yieldMs;
    if (wish === 'unlessAny') place.since = now;
  };

  /** The task's end if it is over and nobody has to be told: then it is one of many. */
  const plainEnd = (task: Task, { outcome, signal }: Ran): FinalDecision | undefined => {
    const decision = decide(task, outcome, causeOf(signal), 0);
    return concerned(task) || signal.aborted || decision.next !== 'finish' ? undefined : decision;
  };

  /** Writes down how a run ended, and says which comes next. */
  const end = async (run: Run, ran: Ran, place: Place): Promise<Next> => {
    const { task, attemptId } = run;
    const { outcome, signal, wasQuiet } = ran;
    const decision = plainEnd(task, ran);
    if (decision !== undefined) {
      const record = { taskId: task.id, attemptId, outcome, decision };
      const wish = wishOf(place);
      const ended = await succession.end({ ...lineOf(place, task), record, wish, wasQuiet });
      if (ended.kind === 'ended') {
        await tellRun(options, task);
        noteWish(wish, place, ended.next);
        return ended.next;
      }
    }
    const recorded = await insist(async () => recordOutcome(db, run, outcome, causeOf(signal)), log);
    await tellRun(options, task);
    if (recorded.kind === 'finish') await callHook(options, recorded.task, recorded.finished, 0);
    if (recorded.kind === 'lost')
      log('warning', `Task ${task.id} was taken over by another worker; what it returned here is dropped.`);
    return undefined;
  };

  /** Runs a task that is claimed. */
  const runClaimed = async (run: Run, stop: AbortController, place: Place): Promise<Next> => {
    const { task, attempt } = run;
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(task.timeoutS * 1_000)]);
    let isQuiet = true;
    const begin = async (): Promise<void> => {
      isQuiet = false;
    };
    const outcome = writable(await runBounded(options, { task, attempt, signal, begin }));
    const wasQuiet = isQuiet && outcome.cpuUs < JOB_LIMITS.draftCpuUs;
    return end(run, { outcome, signal, wasQuiet }, place);
  };

  /** Ends a draft: with what is to be written of it, or as if it had not been. */
  const endDraft = async (
    draft: Draft,
    record: Record | undefined,
    place: Place,
    wasQuiet = false,
  ): Promise<Next> => {
    const wish = wishOf(place);
    const line = lineOf(place, draft.task);
    const next = await succession.endDraft({ ...line, draft, record, wish, wasQuiet });
    noteWish(wish, place, next);
    return next;
  };

  /** Runs a task that waits. It is written down as begun once it does something, or takes long, or has to be told of. */
  const runDraft = async (draft: Draft, stop: AbortController, place: Place): Promise<Next> => {
    const { task, attempt } = draft;
    let begun: Promise<Run | undefined> | undefined;
    let isOver = false;
    const begin = async (): Promise<void> => {
      if (isOver && begun === undefined) throw new HostError('ENDED', 'The run has ended.');
      begun ??= succession.begin(lineOf(place, task), draft);
      if ((await begun) !== undefined) return;
      stopWith(stop, 'INTERRUPTED');
      throw new HostError('INTERRUPTED', 'The task is not to run any more.');
    };
    let isQuiet = true;
    const late = setTimeout(() => void begin().catch(() => undefined), JOB_LIMITS.draftMs);
    const beginLoud = async (): Promise<void> => {
      isQuiet = false;
      await begin();
    };
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(task.timeoutS * 1_000)]);
    try {
      if (concerned(task)) await beginLoud();
      const outcome = writable(await runBounded(options, { task, attempt, signal, begin: beginLoud }));
      const wasQuiet = isQuiet && outcome.cpuUs < JOB_LIMITS.draftCpuUs;
      const ran = { outcome, signal, wasQuiet };
      const decision = plainEnd({ ...task, attempts: attempt }, ran);
      isOver = decision !== undefined;
      if (begun === undefined && decision !== undefined)
        return await endDraft(
          draft,
          { taskId: task.id, attemptId: null, outcome, decision },
          place,
          wasQuiet,
        );
      await begin();
      const run = await begun;
      return run === undefined ? undefined : await end(run, ran, place);
    } catch (error) {
      if (begun === undefined || (await begun) !== undefined) throw error;
      return await endDraft(draft, undefined, place);
    } finally {
      clearTimeout(late);
    }
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

  const handle = async (
    { task: taskId, hookFailures }: v.InferOutput<typeof Payload>,
    place: Place,
  ): Promise<void> => {
    // Before the claim: a cancel may be announced while the claim is still on its way back to us.
    let next = await stoppable(taskId, async (stop) => {
      const claim = await claimTask(db, taskId);
      if (claim.kind === 'run') {
        place.installationId = claim.run.task.installationId;
        return runClaimed(claim.run, stop, place);
      }
      if (claim.kind === 'finish') await callHook(options, claim.task, claim.finished, hookFailures);
      return undefined;
    });
    // A cancel of one of these that is announced too early is seen by the next round of housekeeping.
    while (next !== undefined) {
      const run = next;
      next = await stoppable(run.task.id, async (stop) =>
        'attemptId' in run ? runClaimed(run, stop, place) : runDraft(run, stop, place),
      );
    }
  };

  return {
    handle: async (payload, workerId) => {
      const job = v.parse(Payload, payload);
      const since = performance.now();
      const place = { workerId, taskId: job.task, installationId: undefined, since };
      places.add(place);
      try {
        await handle(job, place);
      } finally {
        places.delete(place);
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
    settled: async () => succession.settled(),
    rest: () => {
      resting = true;
    },
  };
}
