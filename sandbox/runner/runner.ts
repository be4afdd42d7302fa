/**
 * The inside of a runner process: isolates by key, invocations by number, one entry at a time. It trusts neither side: what the guest
 * says is counted against the invocation that was entered, what the supervisor says is looked up.
 */
import type { WireError } from '../contract/envelope.ts';
import { LIMITS } from '../contract/limits.ts';
import {
  DOWN,
  LOADING_MARK,
  type Frame,
  type InvocationLimits,
  type LoadInput,
  UP,
} from '../contract/wire.ts';
import { createGuestIsolate, type EnterResult, type GuestIsolate, type GuestProgram } from './isolate.ts';
import { checkMessage, type GuestMessage, MESSAGE, parseOutbox } from './outbox.ts';
import { createRate, type Rate } from './rate.ts';

/** As in the guest (boot.ts ENTER). */
const ENTER_TIMER = 7;
const WARNING_CHARACTERS = 2_000;
const NOTICES = { perSecond: LIMITS.noticesPerSecond, bytesPerSecond: LIMITS.noticeBytesPerSecond };

interface Invocation {
  readonly id: number;
  readonly key: string;
  readonly isolate: GuestIsolate;
  readonly limits: InvocationLimits;
  /** None until one is set. */
  timers: Map<string, NodeJS.Timeout> | undefined;
  cpuUs: number;
  entries: number;
  calls: number;
  waiting: number;
}

const NOTHING_USED = { cpuUs: 0, entries: 0 } as const;

export interface RunnerPort {
  send(kind: number, id: number, name: string, body: string): void;
  /** Leaves word of the invocation that is about to be entered, where the supervisor finds it if this process dies. */
  mark(invocation: number): void;
}

/** Nearly all invocations of a process have the same limits. */
function limitsReader(): (text: string) => InvocationLimits {
  let known = { text: '', limits: { entryMs: 0, cpuHardMs: 0, callsInFlight: 0, calls: 0 } };
  return (text) => {
    if (known.text !== text) known = { text, limits: JSON.parse(text) as InvocationLimits };
    return known.limits;
  };
}

/** A line for the module's own log. */
function warning(action: string, request: string): string {
  return JSON.stringify({ level: 'warning', action, request: request.slice(0, WARNING_CHARACTERS) });
}

function tooManyCalls({ calls }: InvocationLimits): WireError {
  return { code: 'LIMIT', message: `More than ${calls} capability calls in one invocation.` };
}

const FLOOD = warning(
  'log flood',
  'More lines a second than can be kept: the rest of this second is dropped.',
);

export interface Runner {
  receive(frame: Frame): void;
}

export function createRunner(program: GuestProgram, port: RunnerPort): Runner {
  const isolates = new Map<string, GuestIsolate>();
  const invocations = new Map<number, Invocation>();
  const notices = new WeakMap<GuestIsolate, Rate>();
  const readLimits = limitsReader();
  /** Processor time of each isolate when it was last left. */
  const clocks = new WeakMap<GuestIsolate, number>();
  let marked = 0;
  let leaving = false;
  let looking = false;

  function mark(id: number): void {
    leaving = false;
    if (marked === id) return;
    marked = id;
    port.mark(id);
  }

  /** The mark goes when nothing else is entered in this turn: frames come many at once, and each mark is a call of the system. */
  function unmark(): void {
    leaving = true;
    if (looking) return;
    looking = true;
    queueMicrotask(leave);
  }

  function leave(): void {
    looking = false;
    if (!leaving) return;
    leaving = false;
    marked = 0;
    port.mark(0);
  }

  function load(key: string, input: LoadInput): void {
    mark(LOADING_MARK);
    try {
      isolates.get(key)?.dispose();
      const isolate = createGuestIsolate(program, input);
      isolates.set(key, isolate);
      clocks.set(isolate, isolate.cpuUs());
      port.send(UP.loaded, 0, key, JSON.stringify({ ok: true, value: isolate.report }));
    } catch (error) {
      const message = error instanceof Error ? error.message : 'unknown';
      port.send(UP.loaded, 0, key, JSON.stringify({ ok: false, error: { code: 'LOAD_FAILED', message } }));
    } finally {
      unmark();
    }
  }

  function unload(key: string): void {
    const isolate = isolates.get(key);
    if (isolate === undefined) return;
    lose(isolate, key, { code: 'INTERRUPTED', message: 'The module was unloaded.' }, undefined);
  }

  function start(id: number, key: string, body: string): void {
    const isolate = isolates.get(key);
    if (isolate === undefined) {
      finish(
        id,
        undefined,
        JSON.stringify({ ok: false, error: { code: 'INTERRUPTED', message: 'The module is not loaded.' } }),
      );
      return;
    }
    const split = body.indexOf('\n');
    const limits = readLimits(body.slice(0, split));
    const invocation: Invocation = {
      id,
      key,
      isolate,
      limits,
      timers: undefined,
      cpuUs: 0,
      entries: 0,
      calls: 0,
      waiting: 0,
    };
    invocations.set(id, invocation);
    enter(invocation, DOWN.invoke, '', body.slice(split + 1));
  }

  function enter(invocation: Invocation, kind: number, name: string, body: string): void {
    const { isolate, limits } = invocation;
    const leftMs = Math.max(1, limits.cpuHardMs - Math.floor(invocation.cpuUs / 1_000));
    mark(invocation.id);
    const before = clocks.get(isolate) ?? 0;
    const startedAt = performance.now();
    const result = isolate.enter(kind, invocation.id, name, body, Math.min(limits.entryMs, leftMs));
    unmark();
    invocation.entries++;
    if (!result.ok) {
      // The isolate's own clock is gone with it; an entry that had to be ended was running all the while.
      invocation.cpuUs += (performance.now() - startedAt) * 1_000;
      lose(isolate, invocation.key, reasonOf(result, limits), invocation);
      return;
    }
    const now = isolate.cpuUs();
    clocks.set(isolate, now);
    invocation.cpuUs += now - before;
    try {
      if (result.unhandled !== undefined)
        notify(invocation, 'logs.write', warning('a rejected promise has no handler', result.unhandled));
      for (const message of parseOutbox(result.outbox)) deliver(invocation, message);
    } catch (error) {
      lose(
        isolate,
        invocation.key,
        { code: 'MODULE_ERROR', message: error instanceof Error ? error.message : 'bad outbox' },
        invocation,
      );
      return;
    }
    if (invocations.has(invocation.id) && invocation.cpuUs > limits.cpuHardMs * 1_000) {
      stop(invocation, { code: 'CPU_LIMIT', message: `More than ${limits.cpuHardMs} ms of processor time.` });
    }
  }

  function reasonOf(result: EnterResult & { ok: false }, limits: InvocationLimits): WireError {
    if (result.reason === 'memory')
      return {
        code: 'MEMORY_LIMIT',
        message: 'More memory than the module may use.',
      };
    if (result.reason === 'time')
      return {
        code: 'CPU_LIMIT',
        message: `The module ran for ${Math.min(limits.entryMs, limits.cpuHardMs)} ms without a pause.`,
      };
    return { code: 'MODULE_ERROR', message: 'The module broke its sandbox and was stopped.' };
  }

  /** An isolate is gone: the invocation that was in it is to blame, its neighbours were interrupted. */
  function lose(isolate: GuestIsolate, key: string, error: WireError, culprit: Invocation | undefined): void {
    isolate.dispose();
    if (isolates.get(key) === isolate) isolates.delete(key);
    port.send(UP.lost, 0, key, error.message);
    for (const other of invocations.values()) {
      if (other.isolate !== isolate) continue;
      const blame: WireError =
        other === culprit
          ? error
          : { code: 'INTERRUPTED', message: 'Another invocation of this module was stopped.' };
      finish(other.id, other, JSON.stringify({ ok: false, error: blame }));
    }
  }

  function stop(invocation: Invocation, error: WireError): void {
    const { id, key, isolate } = invocation;
    finish(id, invocation, JSON.stringify({ ok: false, error }));
    const result = isolate.enter(DOWN.cancel, id, '', '', LIMITS.entryMs);
    if (!result.ok) lose(isolate, key, reasonOf(result, invocation.limits), undefined);
  }

  /**
   * Only the invocation that was entered can have said something. A guest that speaks for another has got hold of what no module may
   * reach, so that isolate is over: other modules of this tenant live in this process.
   */
  function deliver(invocation: Invocation, message: GuestMessage): void {
    checkMessage(message, invocation.id);
    if (!invocations.has(invocation.id)) return;
    switch (message.kind) {
      case MESSAGE.call:
        invocation.calls++;
        invocation.waiting++;
        if (
          invocation.waiting > invocation.limits.callsInFlight ||
          invocation.calls > invocation.limits.calls
        ) {
          stop(invocation, tooManyCalls(invocation.limits));
          return;
        }
        port.send(UP.call, message.id, message.name, message.body);
        return;
      case MESSAGE.notify:
        notify(invocation, message.name, message.body);
        return;
      case MESSAGE.result:
        finish(message.id, invocation, message.body, true);
        return;
      case MESSAGE.timer:
        setTimer(invocation, message.name, Number(message.body));
        return;
      case MESSAGE.clearTimer:
        clearTimeout(invocation.timers?.get(message.name));
        invocation.timers?.delete(message.name);
        return;
      case MESSAGE.heap:
        tellHeap(invocation, message.name);
        return;
      default:
        throw new Error(`outbox with a message of kind ${message.kind}`);
    }
  }

  /** How much memory the isolate uses. It counts as a call, so that asking cannot go on for ever. */
  function tellHeap(invocation: Invocation, number: string): void {
    if (++invocation.calls > invocation.limits.calls) {
      stop(invocation, tooManyCalls(invocation.limits));
      return;
    }
    const body = JSON.stringify({ ok: true, value: invocation.isolate.heapBytes() });
    // Later: the entry that asked is still being read.
    setImmediate(() => {
      if (invocations.has(invocation.id)) enter(invocation, DOWN.answer, number, body);
    });
  }

  /** Counted here, before they reach the parent: its time belongs to all tenants. */
  function notify(invocation: Invocation, name: string, body: string): void {
    const { isolate } = invocation;
    let rate = notices.get(isolate);
    if (rate === undefined) notices.set(isolate, (rate = createRate(NOTICES)));
    const verdict = rate.admit(body.length, performance.now());
    if (verdict === 'pass') port.send(UP.notify, invocation.id, name, body);
    else if (verdict === 'first refused') port.send(UP.notify, invocation.id, 'logs.write', FLOOD);
  }

  function setTimer(invocation: Invocation, name: string, ms: number): void {
    const timers = (invocation.timers ??= new Map());
    if (timers.size >= LIMITS.timersPerInvocation) throw new Error('too many timers');
    const fire = (): void => {
      timers.delete(name);
      if (invocations.has(invocation.id)) enter(invocation, ENTER_TIMER, name, '');
    };
    timers.set(name, setTimeout(fire, Math.min(ms, LIMITS.timerMs)));
  }

  /** Ends an invocation: its result goes up with what it used; whatever of it still waits is dropped. */
  function finish(id: number, invocation: Invocation | undefined, envelope: string, byGuest = false): void {
    invocations.delete(id);
    if (invocation?.timers !== undefined) for (const timer of invocation.timers.values()) clearTimeout(timer);
    const { cpuUs, entries } = invocation ?? NOTHING_USED;
    port.send(UP.result, id, `${Math.round(cpuUs)} ${entries} ${byGuest ? 1 : 0}`, envelope);
  }

  function answer(id: number, name: string, body: string): void {
    const invocation = invocations.get(id);
    if (invocation === undefined) return;
    invocation.waiting--;
    enter(invocation, DOWN.answer, name, body);
  }

  function cancel(id: number): void {
    const invocation = invocations.get(id);
    if (invocation !== undefined)
      stop(invocation, { code: 'CANCELLED', message: 'The invocation was cancelled.' });
  }

  function pong(id: number): void {
    const heapBytes = [...isolates.values()].reduce((sum, isolate) => sum + isolate.heapBytes(), 0);
    port.send(UP.pong, id, '', JSON.stringify({ isolates: isolates.size, heapBytes }));
  }

  return {
    receive(frame) {
      switch (frame.kind) {
        case DOWN.load:
          return load(frame.name, JSON.parse(frame.body) as LoadInput);
        case DOWN.unload:
          return unload(frame.name);
        case DOWN.invoke:
          return start(frame.id, frame.name, frame.body);
        case DOWN.answer:
          return answer(frame.id, frame.name, frame.body);
        case DOWN.cancel:
          return cancel(frame.id);
        case DOWN.ping:
          return pong(frame.id);
        default:
          throw new Error(`frame of kind ${frame.kind}`);
      }
    },
  };
}
