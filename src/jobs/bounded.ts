/**
 * One run of a task's method, within its bounds: its timeout, a cancel, the worker's own stop. Whatever it does, it ends, and what it says can
 * be written down.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import { storable } from '../database/storable.ts';
import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';
import type { StopCause, TaskOutcome } from './outcome.ts';
import type { Task } from './task.ts';

/** Runs a task's method. Must end soon after the signal aborts; whatever it then says is read by the signal's cause. */
export type RunTask = (
  task: Task,
  run: {
    readonly attempt: number;
    readonly signal: AbortSignal;
    /**
     * To be awaited before anything is done that stays: until then, the run need not be written down. Rejects if the task is not to run
     * any more.
     */
    readonly begin: () => Promise<void>;
  },
) => Promise<TaskOutcome>;

interface Bounds {
  readonly runTask: RunTask;
  readonly timing: { readonly abandonMs: number };
  readonly log: JobLog;
}

export function stopWith(controller: AbortController, cause: StopCause): void {
  controller.abort(new HostError(cause, 'The run was told to stop.'));
}

/** AbortSignal.timeout's own reason is a DOMException; the other two are ours. */
export function causeOf(signal: AbortSignal): StopCause | null {
  if (!signal.aborted) return null;
  const reason: unknown = signal.reason;
  if (!(reason instanceof HostError)) return 'TIMEOUT';
  return reason.code === 'CANCELLED' ? 'CANCELLED' : 'INTERRUPTED';
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

export async function runBounded(
  options: Bounds,
  { task, ...how }: { readonly task: Task } & Parameters<RunTask>[1],
): Promise<TaskOutcome> {
  const { log, timing, runTask } = options;
  const { signal } = how;
  const startedAt = performance.now();
  const failed = (code: 'INTERNAL' | StopCause, message: string): TaskOutcome => ({
    kind: 'failed',
    error: { code, message },
    cpuUs: 0,
    wallMs: performance.now() - startedAt,
  });
  const abandoned = Promise.withResolvers<TaskOutcome>();
  const patience = afterAbort(signal, timing.abandonMs, () => {
    log('error', `Task ${task.id} did not end when told to; it is given up.`);
    abandoned.resolve(failed(causeOf(signal) ?? 'INTERRUPTED', 'The run did not end when told to.'));
  });
  const ran = async (): Promise<TaskOutcome> => runTask(task, how);
  try {
    return await Promise.race([ran(), abandoned.promise]);
  } catch (error) {
    log('error', `Task ${task.id} could not be run: ${reasonOf(error)}`, { error });
    return failed('INTERNAL', 'The task could not be run; the cause is in the operator’s log.');
  } finally {
    patience.clear();
  }
}

/** The outcome in a form that can be written down. */
export function writable(outcome: TaskOutcome): TaskOutcome {
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
