/**
 * What the end of a run means for its task (contract §3, A10). Pure: counts and the outcome go in, the decision comes out.
 * A returned error is an answer and ends the task; a throw is an accident and is tried again; an interruption is nobody's fault and
 * does not count; a step in doubt waits for a person.
 */
import type { ErrorCode, WireError } from '../../sandbox/contract/envelope.ts';
import { JOB_LIMITS } from './limits.ts';
import type { FinalStatus, Task } from './task.ts';

/** How a run ended, as the one who ran it says. `cpuUs` is processor time in microseconds. */
export type TaskOutcome =
  | { readonly kind: 'returned'; readonly value: unknown; readonly cpuUs: number; readonly wallMs: number }
  | { readonly kind: 'failed'; readonly error: WireError; readonly cpuUs: number; readonly wallMs: number };

/** Why the worker told a run to stop, if it did. */
export type StopCause = 'CANCELLED' | 'TIMEOUT' | 'INTERRUPTED';

export type AttemptOutcome = 'completed' | 'failed' | 'error' | 'timeout' | 'interrupted' | 'cancelled';

interface Ended {
  readonly outcome: AttemptOutcome;
  readonly error: WireError | null;
}

export type FinalDecision = Ended & {
  readonly next: 'finish';
  readonly status: FinalStatus;
  readonly result: unknown;
};

/** `finish` is final; `retry` counts and waits `delayS`; `again` does not count and runs at once. */
export type Decision =
  | FinalDecision
  | (Ended & { readonly next: 'retry'; readonly delayS: number; readonly exception: boolean })
  | (Ended & { readonly next: 'again' });

/** A second run would end the same, or must not happen without a person. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'NO_METHOD',
  'LOAD_FAILED',
  'BAD_OUTPUT',
  'STEP_IN_DOUBT',
]);
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set(['INTERRUPTED', 'ENDED']);

function textOf(...candidates: readonly unknown[]): string {
  for (const candidate of candidates) {
    if (typeof candidate === 'string' && candidate !== '') return candidate;
    if (typeof candidate === 'object' && candidate !== null) return JSON.stringify(candidate);
  }
  return 'The job returned an error without a message.';
}

/**
 * Reads what a job returned: `{status|success, message|error?, data?}`, or nothing, or a value. A status that is neither
 * success nor error is taken for an error that names it: work that may not have been done must not be billed.
 */
export function readReturned(value: unknown): { ok: true } | { ok: false; message: string; retry: boolean } {
  if (typeof value === 'string' && /^error\b/i.test(value))
    return { ok: false, message: value, retry: false };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { ok: true };
  const { status, success, message, error, errors, retry } = value as Readonly<Record<string, unknown>>;
  const claims = status ?? success;
  if (claims === undefined || ((claims === 'success' || claims === true) && success !== false)) {
    return { ok: true };
  }
  const unknown =
    typeof status === 'string' && status !== 'error' && success !== false
      ? `The job returned the status "${status}"; "success" or "error" is expected.`
      : undefined;
  return { ok: false, message: textOf(message, error, errors, unknown), retry: retry === true };
}

type Counts = Pick<Task, 'attempts' | 'tries' | 'exceptions' | 'maxExceptions' | 'backoffS'>;

function ended(outcome: AttemptOutcome, error: WireError): Ended {
  return { outcome, error };
}

function failOrRetry(task: Counts, end: Ended, exception: boolean): Decision {
  const exceptions = task.exceptions + (exception ? 1 : 0);
  const again = task.attempts < task.tries && (!exception || exceptions < task.maxExceptions);
  return again
    ? { ...end, next: 'retry', delayS: task.backoffS, exception }
    : { ...end, next: 'finish', status: 'failed', result: null };
}

function decideReturned(task: Counts, value: unknown): Decision {
  const answer = readReturned(value);
  const result = value === undefined ? null : value;
  if (answer.ok) return { next: 'finish', outcome: 'completed', status: 'completed', result, error: null };
  const end = ended('failed', { code: 'MODULE_ERROR', message: answer.message });
  const decision: Decision = { ...end, next: 'finish', status: 'failed', result };
  if (!answer.retry) return decision;
  const retried = failOrRetry(task, end, false);
  return retried.next === 'finish' ? decision : retried;
}

/** A run that was told to stop fails in ways of its own: what it says then is the cause, whatever it says. */
function named(error: WireError, cause: StopCause | null): WireError {
  if (cause === null || error.code === cause || error.code === 'STEP_IN_DOUBT') return error;
  const texts: Readonly<Record<StopCause, string>> = {
    CANCELLED: 'The task was cancelled.',
    TIMEOUT: 'The task ran longer than its timeout allows.',
    INTERRUPTED: 'The worker was stopped while the task ran.',
  };
  return { code: cause, message: texts[cause] };
}

/**
 * Decides what becomes of a task after a run.
 * @param task with `attempts` counting this run already, and `exceptions` not yet
 * @param interruptions how many runs before this one were interrupted in a row
 */
export function decide(
  task: Counts,
  outcome: TaskOutcome,
  cause: StopCause | null,
  interruptions: number,
): Decision {
  if (outcome.kind === 'returned') return decideReturned(task, outcome.value);
  const error = named(outcome.error, cause);
  if (error.code === 'CANCELLED') {
    return { ...ended('cancelled', error), next: 'finish', status: 'cancelled', result: null };
  }
  if (INTERRUPTIONS.has(error.code)) return decideInterrupted(error, interruptions);
  if (PERMANENT.has(error.code)) {
    return { ...ended('error', error), next: 'finish', status: 'failed', result: null };
  }
  return failOrRetry(task, ended(error.code === 'TIMEOUT' ? 'timeout' : 'error', error), true);
}

/** An interrupted run happens again at once, uncounted; but not for ever: the task may be what brings workers down. */
export function decideInterrupted(error: WireError, interruptions: number): Decision {
  const inARow = interruptions + 1;
  if (inARow < JOB_LIMITS.interruptionsInARow) return { ...ended('interrupted', error), next: 'again' };
  const message = `The task was interrupted ${inARow} times in a row; retry it when its worker is well.`;
  return {
    ...ended('interrupted', { code: 'INTERRUPTED', message }),
    next: 'finish',
    status: 'failed',
    result: null,
  };
}
