/**
 * What a runner says of an invocation, cut down to what may be true. The runner is one process with no rights, and one day it may be a
 * hostile one: lengths, codes, numbers and the form are checked before anything is made of them.
 */
import * as v from 'valibot';
import { type Envelope, type ErrorCode, isErrorCode, type WireError } from '../contract/envelope.ts';
import { InvocationOutput } from '../contract/invocation.ts';
import { LIMITS } from '../contract/limits.ts';
import type { LoadReport, ResultOrigin, Usage } from '../contract/wire.ts';

/** Codes a module may claim for its own failure; anything else it says is MODULE_ERROR. */
const CLAIMABLE: ReadonlySet<ErrorCode> = new Set([
  'BAD_INPUT',
  'NOT_GRANTED',
  'NOT_FOUND',
  'CONFLICT',
  'LIMIT',
  'TIMEOUT',
  'ENDED',
  'MODULE_ERROR',
  'NO_METHOD',
  'LOAD_FAILED',
  'DB_REFUSED',
  'DB_ERROR',
  'DB_UNIQUE',
  'DB_USE_TRX',
  'DB_QUOTA',
  'HTTP_FAILED',
  'NET_FAILED',
  'STEP_IN_DOUBT',
]);
/** Codes of the runner's own verdicts; a module cannot put them into its own result. */
const RUNNER_CODES: ReadonlySet<ErrorCode> = new Set([
  'MODULE_ERROR',
  'LIMIT',
  'CPU_LIMIT',
  'MEMORY_LIMIT',
  'INTERRUPTED',
  'CANCELLED',
]);
/** Codes of an end that somebody else had to make. */
export const KILLS: ReadonlySet<ErrorCode> = new Set(['CPU_LIMIT', 'MEMORY_LIMIT', 'CRASHED', 'TIMEOUT']);

const MESSAGE_CHARACTERS = 2_000;
const DATA_CHARACTERS = 64 * 1024;

const WireErrorShape = v.object({ code: v.string(), message: v.string(), data: v.optional(v.unknown()) });
const SuccessShape = v.object({ ok: v.literal(true), value: InvocationOutput });
const FailureShape = v.object({ ok: v.literal(false), error: WireErrorShape });
/** Microseconds, entries, and whether it is the guest who speaks. */
const USAGE = /^(\d{1,15}) (\d{1,10}) ([01])$/;

const Ms = v.fallback(v.pipe(v.number(), v.minValue(0)), 0);
const LoadReportShape = v.object({ isolateMs: Ms, runtimeMs: Ms, moduleMs: Ms, heapBytes: Ms });

/** What a runner says of an isolate it made: to be looked at, not to be decided by. */
export function readLoadReport(claimed: unknown): LoadReport {
  return v.parse(LoadReportShape, typeof claimed === 'object' && claimed !== null ? claimed : {});
}

/** @throws Error if it is no usage at all. @param wallMs what passed here: no more processor time than that was used */
export function readUsage(text: string, wallMs: number, calls: number): Usage & ResultOrigin {
  const [, cpuUs, entries, byGuest] = USAGE.exec(text) ?? [];
  if (cpuUs === undefined || entries === undefined) throw new Error('a result without its usage');
  return {
    cpuUs: Math.round(Math.min(Number(cpuUs), wallMs * 1_000)),
    entries: Number(entries),
    calls,
    byGuest: byGuest === '1',
  };
}

/** @throws Error if it is no JSON. @param calls how many results there must be */
export function readEnvelope(text: string, byGuest: boolean, calls: number): Envelope<InvocationOutput> {
  if (Buffer.byteLength(text) > LIMITS.resultBytes)
    return refuse('LIMIT', `The result is over ${LIMITS.resultBytes} bytes.`);
  const claimed: unknown = JSON.parse(text);
  if (resultsIn(claimed) > calls) return refuse('BAD_OUTPUT', 'The module answered more than it was asked.');
  if (propertyOf(claimed, 'ok') === true) {
    const parsed = v.safeParse(SuccessShape, claimed, { abortEarly: true });
    if (parsed.success) return parsed.output;
  } else {
    const parsed = v.safeParse(FailureShape, claimed, { abortEarly: true });
    if (parsed.success) return { ok: false, error: readError(parsed.output.error, byGuest) };
  }
  return refuse('BAD_OUTPUT', 'The module’s answer does not have the expected form.');
}

function refuse(code: ErrorCode, message: string): Envelope<InvocationOutput> {
  return { ok: false, error: { code, message } };
}

/** Counted before the schema looks at each of them. */
function resultsIn(claimed: unknown): number {
  const value = propertyOf(claimed, 'value');
  const results = propertyOf(value, 'results');
  return Array.isArray(results) ? results.length : 0;
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function readError(claimed: v.InferOutput<typeof WireErrorShape>, byGuest: boolean): WireError {
  const allowed = byGuest ? CLAIMABLE : RUNNER_CODES;
  const code: ErrorCode =
    isErrorCode(claimed.code) && allowed.has(claimed.code) ? claimed.code : 'MODULE_ERROR';
  const message = claimed.message.slice(0, MESSAGE_CHARACTERS);
  return claimed.data === undefined || isLong(claimed.data)
    ? { code, message }
    : { code, message, data: claimed.data };
}

/** A text too deep to be written again counts as too long. */
function isLong(data: unknown): boolean {
  try {
    return JSON.stringify(data).length > DATA_CHARACTERS;
  } catch {
    return true;
  }
}
