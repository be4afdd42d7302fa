/**
 * One isolate with the guest runtime and one module in it. The only file that knows isolated-vm. The addon is loaded from the
 * staging folder beside this bundle, because the process may read nothing else.
 */
import { createRequire } from 'node:module';
import type ivm from 'isolated-vm';
import type { LoadInput, LoadReport } from '../contract/wire.ts';
import { entryTimeout } from './timeout.ts';
import { warmUp } from './warm-up.ts';

const addon = createRequire(import.meta.url)('./isolated_vm.node') as { readonly ivm: typeof ivm };

export type EnterResult =
  | { readonly ok: true; readonly outbox: string; readonly unhandled?: string }
  /** The isolate is gone with everything in it. */
  | { readonly ok: false; readonly reason: 'time' | 'memory' | 'broken'; readonly message: string };

export interface GuestIsolate {
  enter(kind: number, id: number, name: string, body: string, timeoutMs: number): EnterResult;
  /** Processor time of all entries so far, in microseconds. */
  cpuUs(): number;
  heapBytes(): number;
  dispose(): void;
}

interface GuestFunctions {
  readonly enter: ivm.Reference<(kind: number, id: number, name: string, body: string) => void>;
  readonly collect: ivm.Reference<() => string>;
}

const LOAD_TIMEOUT_MS = 5_000;
const SNAPSHOT_HEAP_MB = 128;
const GUEST = 'bulkhead:guest';
const WAKE = 'globalThis.__bulkhead.wake()';
/** isolated-vm's timer may be early by a little. */
const TIMER_SLACK_MS = 5;
/** Options reach isolated-vm as frozen null-prototype objects, so that no inherited property of ours or a guest's counts. */
const options = <T extends object>(value: T): T =>
  Object.freeze(Object.assign(Object.create(null) as object, value)) as T;

const WITHIN_KEPT = 256;
const withins = new Map<number, { readonly timeout: number }>();

/** The option that ends an entry. Few lengths of time are ever asked for, and each entry needs one. */
function within(timeoutMs: number): { readonly timeout: number } {
  const known = withins.get(timeoutMs);
  if (known !== undefined) return known;
  const made = options({ timeout: timeoutMs });
  if (withins.size < WITHIN_KEPT) withins.set(timeoutMs, made);
  return made;
}

/** What an isolate begins with: a snapshot of one in which the guest has run, made by the host (never taken from a package), or its script. */
export type GuestProgram =
  | { readonly snapshot: ivm.ExternalCopy<ArrayBuffer> }
  | { readonly snapshot?: undefined; readonly script: string };

/** @param snapshot empty if there is none */
export function guestProgram(snapshot: Buffer, readScript: () => string): GuestProgram {
  if (snapshot.length === 0) return { script: readScript() };
  const bytes = new ArrayBuffer(snapshot.length);
  snapshot.copy(new Uint8Array(bytes));
  return { snapshot: new addon.ivm.ExternalCopy(bytes) };
}

/** Runs the guest once, for the snapshot that every later isolate starts from. */
export function snapshotGuest(script: string): Buffer {
  const source = options({ code: script, filename: GUEST });
  return Buffer.from(addon.ivm.Isolate.createSnapshot([source], warmUp(WAKE)).copy());
}

/** Starts an isolate and ends it. V8 may end the process instead. */
export function tryGuest(program: GuestProgram): void {
  const isolate = newIsolate(program, SNAPSHOT_HEAP_MB);
  try {
    boot(isolate, isolate.createContextSync(), program);
  } finally {
    dispose(isolate);
  }
}

function newIsolate({ snapshot }: GuestProgram, memoryLimit: number): ivm.Isolate {
  return new addon.ivm.Isolate(options(snapshot === undefined ? { memoryLimit } : { memoryLimit, snapshot }));
}

/** Starts an isolate, boots the guest and defines the module in it. @throws Error with the module's own syntax error */
export function createGuestIsolate(
  program: GuestProgram,
  load: LoadInput,
): GuestIsolate & { readonly report: LoadReport } {
  const startedAt = performance.now();
  const isolate = newIsolate(program, load.heapMb);
  try {
    const context = isolate.createContextSync();
    const isolateAt = performance.now();
    const { define, ...guest } = boot(isolate, context, program);
    const runtimeAt = performance.now();
    defineModule(define, load);
    return {
      ...entrance(isolate, guest),
      report: {
        isolateMs: isolateAt - startedAt,
        runtimeMs: runtimeAt - isolateAt,
        moduleMs: performance.now() - runtimeAt,
        heapBytes: heapBytes(isolate),
      },
      cpuUs: () => Number(isolate.cpuTime) / 1_000,
      heapBytes: () => heapBytes(isolate),
      dispose: () => dispose(isolate),
    };
  } catch (error) {
    dispose(isolate);
    throw error;
  }
}

type Define = ivm.Reference<(name: string, script: string, resources: string) => void>;

function boot(
  isolate: ivm.Isolate,
  context: ivm.Context,
  program: GuestProgram,
): GuestFunctions & { readonly define: Define } {
  const asReference = options<{ reference: true }>({ reference: true });
  const timed = options({ timeout: LOAD_TIMEOUT_MS });
  if (program.snapshot === undefined) {
    const script = isolate.compileScriptSync(program.script, options({ filename: GUEST }));
    script.runSync(context, timed);
    script.release();
  }
  const wake = { ...asReference, ...timed } as const;
  const handle = context.evalSync(
    'globalThis.__bulkhead.wake()',
    options<typeof wake>(wake),
  ) as ivm.Reference<Record<string, unknown>>;
  const guest = {
    define: handle.getSync('define', asReference) as Define,
    enter: handle.getSync('enter', asReference) as GuestFunctions['enter'],
    collect: handle.getSync('collect', asReference) as GuestFunctions['collect'],
  };
  handle.release();
  return guest;
}

function defineModule(define: Define, { name, script, views, lang }: LoadInput): void {
  const resources = JSON.stringify({ views, lang });
  define.applySync(undefined, [name, script, resources], options({ timeout: LOAD_TIMEOUT_MS }));
  define.release();
}

function entrance(isolate: ivm.Isolate, guest: GuestFunctions): Pick<GuestIsolate, 'enter'> {
  return {
    enter(kind, id, name, body, timeoutMs) {
      try {
        const unhandled = enterOnce(isolate, guest, [kind, id, name, body], timeoutMs);
        // All that the entry set going has run by now, and gathering its words is our own code: no clock is needed for that. Unless
        // something was thrown past us.
        const outbox: unknown =
          unhandled === undefined
            ? guest.collect.applySync(undefined, [])
            : guest.collect.applySync(undefined, [], within(timeoutMs));
        const said = typeof outbox === 'string' ? outbox : '';
        return unhandled === undefined ? { ok: true, outbox: said } : { ok: true, outbox: said, unhandled };
      } catch (error) {
        const message = error instanceof Error ? error.message : 'unknown';
        const reason = isolate.isDisposed ? 'memory' : message.includes('timed out') ? 'time' : 'broken';
        dispose(isolate);
        return { ok: false, reason, message };
      }
    },
  };
}

/**
 * The guest's `enter` catches all that is thrown in it. What is thrown here before the time is up is therefore a promise that was
 * rejected and has no handler (yet): the module's own business, and no reason to end its neighbours. Returns its message.
 */
function enterOnce(
  isolate: ivm.Isolate,
  guest: GuestFunctions,
  input: [kind: number, id: number, name: string, body: string],
  timeoutMs: number,
): string | undefined {
  const startedAt = performance.now();
  const timeout = entryTimeout(timeoutMs, startedAt);
  try {
    guest.enter.applySync(undefined, input, within(timeout));
    return undefined;
  } catch (error) {
    if (isolate.isDisposed || performance.now() - startedAt >= timeout - TIMER_SLACK_MS) throw error;
    return error instanceof Error ? error.message : 'something that is no Error';
  }
}

function heapBytes(isolate: ivm.Isolate): number {
  if (isolate.isDisposed) return 0;
  const heap = isolate.getHeapStatisticsSync();
  return heap.used_heap_size + heap.externally_allocated_size;
}

function dispose(isolate: ivm.Isolate): void {
  if (!isolate.isDisposed) isolate.dispose();
}
