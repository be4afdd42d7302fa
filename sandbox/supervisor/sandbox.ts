/**
 * The sandbox as the host sees it: `invoke` runs calls on one fresh instance of a module and answers with an envelope and what it
 * cost. Knows groups (who may share a process), module keys and invocations; knows no tenant, route or SQL.
 */
import { type Envelope, type ErrorCode, HostError, type WireError } from '../contract/envelope.ts';
import type { InvocationInput, InvocationOutput } from '../contract/invocation.ts';
import { LIMITS } from '../contract/limits.ts';
import {
  type InvocationLimits,
  inputText,
  type LoadInput,
  type LoadReport,
  nextInvocation,
  type Usage,
} from '../contract/wire.ts';
import { readCall, readNotice } from './calls.ts';
import { createLauncher, type Isolation, type Launcher } from './launch.ts';
import { KILLS, readEnvelope, readUsage } from './results.ts';
import { memoryForRunners, type Occupant, tooMany } from './room.ts';
import {
  RESTARTED,
  type RunnerEvents,
  RunnerProcess,
  type RunnerStats,
  UNEXPECTED,
  type Verdict,
} from './runner-process.ts';
import { SpareRunner } from './spare.ts';
import { createStage, type Stage } from './stage.ts';

/** Modules of one group share a process; no two groups ever do. */
export interface Group {
  readonly key: string;
  /** The uid its processes run under; absent: the host's own. */
  readonly uid?: number;
}

export interface SandboxModule {
  /** Names the isolate: one for each (installation, version). */
  readonly key: string;
  load(): Promise<LoadInput>;
}

export interface InvokeRequest {
  readonly group: Group;
  readonly module: SandboxModule;
  readonly input: InvocationInput;
  readonly limits: InvocationLimits;
  /** Wall time in milliseconds. */
  readonly wallMs: number;
  readonly signal?: AbortSignal;
  /** A capability call with its parsed input. Rejections other than HostError become INTERNAL. */
  onCall(path: string, input: unknown): Promise<unknown>;
  onNotify(path: string, input: unknown): void;
}

export interface InvokeOutcome {
  readonly envelope: Envelope<InvocationOutput>;
  readonly usage: Usage & { readonly wallMs: number };
  /** True if the isolate or the process had to be ended because of this invocation. */
  readonly killed: boolean;
}

export interface SandboxStats extends RunnerStats {
  readonly group: string;
  readonly invocations: number;
}

export interface Sandbox {
  /** What keeps runners in on this machine. */
  readonly isolation: Isolation;
  invoke(request: InvokeRequest): Promise<InvokeOutcome>;
  /** Drops the isolate of a module, for example after an update. */
  unload(groupKey: string, moduleKey: string): void;
  /** Ends a group's process; what runs in it is interrupted. */
  end(groupKey: string): void;
  stats(): SandboxStats[];
  close(): Promise<void>;
}

export interface SandboxOptions {
  /** Whether groups have uids of their own: the staging folder must then be enterable by them. */
  readonly ownUids: boolean;
  readonly jitless?: boolean;
  /** Keeps one process ready for the next group that has none. Gives the uid of each such process, which no other may have. */
  readonly spare?: () => { readonly uid?: number };
  /** What all processes together may hold; absent: a share of the machine's memory (LIMITS). */
  readonly memoryBytes?: number | undefined;
  /** Other than LIMITS.isolateIdleMs: for tests and the bench. */
  readonly isolateIdleMs?: number;
  /** An isolate was made. */
  onLoaded?(loaded: LoadReport & { readonly group: string; readonly module: string }): void;
  /** Unexpected failures, for the operator. */
  onFault?(fault: { readonly message: string; readonly cause?: unknown; readonly group?: string }): void;
}

interface Open {
  readonly request: InvokeRequest;
  readonly startedAt: number;
  readonly deadline: NodeJS.Timeout;
  readonly onAbort: () => void;
  calls: number;
  /** Calls that have no answer yet. */
  waiting: number;
  /** Why it was told to end, once it was. */
  expired: WireError | undefined;
  settle(envelope: Envelope<InvocationOutput>, usage: Usage, killed: boolean): void;
}

interface Loaded {
  readonly ready: Promise<void>;
  /** Invocations that wait for it or run in it: it stays while there are any. */
  users: number;
  lastUsedAt: number;
}

interface Running {
  readonly group: Group;
  readonly process: RunnerProcess;
  /** The one used last is the last. */
  readonly modules: Map<string, Loaded>;
  readonly open: Map<number, Open>;
  lastUsedAt: number;
}

const CANCELLED: WireError = { code: 'CANCELLED', message: 'The invocation was cancelled.' };
const NO_USAGE: Usage = { cpuUs: 0, entries: 0, calls: 0 };
const SWEEPS_PER_IDLE_TIME = 6;
const SWEEP_MOST_MS = 2_000;

export async function createSandbox(options: SandboxOptions): Promise<Sandbox> {
  return sandboxOn(await createStage(options.ownUids), options);
}

/** A sandbox on a staging folder that is there already; it removes it at close. */
export function sandboxOn(stage: Stage, options: SandboxOptions): Sandbox {
  return new ProcessSandbox(stage, createLauncher(options.ownUids), options);
}

class ProcessSandbox implements Sandbox {
  readonly isolation: Isolation;
  readonly #stage: Stage;
  readonly #launcher: Launcher;
  readonly #options: SandboxOptions;
  readonly #running = new Map<string, Running>();
  readonly #sweeps: NodeJS.Timeout;
  readonly #spare: SpareRunner | undefined;
  readonly #memoryBytes: number;
  readonly #isolateIdleMs: number;
  #lastInvocation = 0;
  #closed = false;

  constructor(stage: Stage, launcher: Launcher, options: SandboxOptions) {
    this.isolation = launcher.isolation;
    this.#stage = stage;
    this.#launcher = launcher;
    this.#options = options;
    this.#memoryBytes = options.memoryBytes ?? memoryForRunners();
    this.#isolateIdleMs = options.isolateIdleMs ?? LIMITS.isolateIdleMs;
    const everyMs = Math.min(SWEEP_MOST_MS, this.#isolateIdleMs / SWEEPS_PER_IDLE_TIME);
    this.#sweeps = setInterval(() => this.#sweep(), everyMs);
    this.#sweeps.unref();
    const { spare } = options;
    if (spare !== undefined) this.#spare = new SpareRunner((events) => this.#start(spare(), events));
  }

  async invoke(request: InvokeRequest): Promise<InvokeOutcome> {
    if (this.#closed) return failed({ code: 'INTERRUPTED', message: 'The host is stopping.' });
    if (isAborted(request)) return failed(CANCELLED);
    const running = this.#runnerOf(request.group);
    const loaded = this.#loadedIn(running, request.module);
    loaded.users++;
    try {
      await loaded.ready;
      if (isAborted(request)) return failed(CANCELLED);
      // The process may have ended between loading and now.
      if (this.#running.get(request.group.key) !== running) return failed(RESTARTED);
      return await this.#run(running, request);
    } catch (error) {
      if (error instanceof HostError) return failed(error.toWire());
      throw error;
    } finally {
      loaded.users--;
      loaded.lastUsedAt = running.lastUsedAt = performance.now();
    }
  }

  #run(running: Running, request: InvokeRequest): Promise<InvokeOutcome> {
    const id = nextInvocation(this.#lastInvocation, (candidate) => running.open.has(candidate));
    this.#lastInvocation = id;
    const startedAt = performance.now();
    const input = inputText(request.input);
    if (Buffer.byteLength(input) > LIMITS.messageBytes)
      return Promise.resolve(failed({ code: 'LIMIT', message: 'The input is too large.' }));
    return new Promise((resolve) => {
      const expire = (code: ErrorCode, message: string): void =>
        this.#expire(running, id, open, { code, message });
      const onAbort = (): void => expire(CANCELLED.code, CANCELLED.message);
      const open: Open = {
        request,
        startedAt,
        calls: 0,
        waiting: 0,
        expired: undefined,
        onAbort,
        deadline: setTimeout(
          () => expire('TIMEOUT', `No result within ${request.wallMs} ms.`),
          request.wallMs,
        ),
        settle: (envelope, usage, killed) => {
          clearTimeout(open.deadline);
          request.signal?.removeEventListener('abort', onAbort);
          running.open.delete(id);
          resolve({
            envelope,
            usage: { ...usage, wallMs: Math.round(performance.now() - startedAt) },
            killed,
          });
        },
      };
      running.open.set(id, open);
      request.signal?.addEventListener('abort', onAbort, { once: true });
      running.process.invoke(id, request.module.key, request.limits, input);
    });
  }

  /**
   * Time is up. Whoever waits is answered at once, unless the process is inside this very invocation: then the runner gets a moment to
   * end it, and if it does not, only the end of the process helps, and it is this invocation that is to blame.
   */
  #expire(running: Running, id: number, open: Open, error: WireError): void {
    if (open.expired !== undefined) return;
    open.expired = error;
    running.process.cancel(id);
    const end = (): void => open.settle({ ok: false, error }, NO_USAGE, false);
    if (running.process.entered() !== id) return end();
    setTimeout(() => {
      if (running.open.get(id) !== open) return;
      if (running.process.entered() === id)
        running.process.kill('TIMEOUT', 'The module did not stop when its time was up.');
      else end();
    }, LIMITS.deadlineGraceMs);
  }

  #runnerOf(group: Group): Running {
    const known = this.#running.get(group.key);
    if (known !== undefined) return known;
    this.#makeRoom(LIMITS.runners - 1);
    if (this.#running.size >= LIMITS.runners)
      throw new HostError('LIMIT', 'All sandbox processes are busy; try again in a moment.');
    const open = new Map<number, Open>();
    const modules = new Map<string, Loaded>();
    const events: RunnerEvents = {
      onResult: (id, usage, envelope) => this.#onResult(open, id, usage, envelope),
      onCall: (id, number, path, input) => void this.#onCall(running, id, number, path, input),
      onNotify: (id, path, input) => this.#onNotify(open, id, path, input),
      onLost: (key) => modules.delete(key),
      onPressure: () => this.#evictIsolates(running, 1),
      onExit: (entered, verdict) => this.#onExit(running, entered, verdict),
    };
    const process = this.#spare?.take(events) ?? this.#start(group, events);
    const running: Running = { group, process, modules, open, lastUsedAt: performance.now() };
    this.#running.set(group.key, running);
    return running;
  }

  #start({ uid }: Pick<Group, 'uid'>, events: RunnerEvents): RunnerProcess {
    const identity = uid === undefined ? {} : { uid };
    const jitless = this.#options.jitless ?? false;
    return new RunnerProcess({ stage: this.#stage, launcher: this.#launcher, jitless, ...identity }, events);
  }

  #loadedIn(running: Running, module: SandboxModule): Loaded {
    const known = running.modules.get(module.key);
    if (known !== undefined) {
      // Most recently used last.
      running.modules.delete(module.key);
      running.modules.set(module.key, known);
      return known;
    }
    const loaded: Loaded = { ready: this.#load(running, module), users: 0, lastUsedAt: 0 };
    running.modules.set(module.key, loaded);
    // Whoever waits for it hears of it; here it is only forgotten, so that the next one tries again.
    loaded.ready.catch(() => {
      if (running.modules.get(module.key) === loaded) running.modules.delete(module.key);
    });
    this.#evictIsolates(running, LIMITS.isolatesPerRunner);
    return loaded;
  }

  async #load(running: Running, module: SandboxModule): Promise<void> {
    const report = await running.process.load(module.key, await module.load());
    this.#options.onLoaded?.({ ...report, group: running.group.key, module: module.key });
  }

  /** Drops isolates, least recently used first, until there are no more than `kept`; the last one used, and those in use, stay. */
  #evictIsolates(running: Running, kept: number): void {
    const last = [...running.modules.keys()].at(-1);
    for (const [key, { users }] of running.modules) {
      if (running.modules.size <= kept) return;
      if (key !== last && users === 0) this.#drop(running, key);
    }
  }

  /** An idle installation costs some MiB, and no more than its next call some milliseconds if it does not. */
  #dropIdleIsolates(running: Running, before: number): void {
    for (const [key, { users, lastUsedAt }] of running.modules)
      if (users === 0 && lastUsedAt < before) this.#drop(running, key);
  }

  #drop(running: Running, key: string): void {
    running.modules.delete(key);
    running.process.unload(key);
  }

  #onResult(open: Map<number, Open>, id: number, usageText: string, envelopeText: string): void {
    const entry = open.get(id);
    if (entry === undefined) return;
    const { calls, request, startedAt, expired } = entry;
    const { byGuest, ...usage } = readUsage(usageText, performance.now() - startedAt, calls);
    const envelope = readEnvelope(envelopeText, byGuest, request.input.calls.length);
    if (expired !== undefined) entry.settle({ ok: false, error: expired }, usage, false);
    else entry.settle(envelope, usage, !byGuest && !envelope.ok && KILLS.has(envelope.error.code));
  }

  async #onCall(
    running: Running,
    id: number,
    number: string,
    path: string,
    inputText: string,
  ): Promise<void> {
    const entry = running.open.get(id);
    if (entry === undefined) return;
    const { limits } = entry.request;
    if (++entry.calls > limits.calls || ++entry.waiting > limits.callsInFlight) {
      running.process.kill('CRASHED', 'The runner let more calls through than it may.');
      return;
    }
    const answer = await this.#serve(entry, path, inputText);
    entry.waiting--;
    if (running.open.get(id) === entry) running.process.answer(id, number, answer);
  }

  /** The answer as JSON. Never rejects. */
  async #serve(entry: Open, path: string, inputText: string): Promise<string> {
    try {
      const value = await entry.request.onCall(path, readCall(path, inputText));
      const answer = JSON.stringify({ ok: true, value: value ?? null });
      if (Buffer.byteLength(answer) <= LIMITS.resultBytes) return answer;
      throw new HostError('LIMIT', `${path}: the answer is over ${LIMITS.resultBytes} bytes.`);
    } catch (error) {
      return JSON.stringify({ ok: false, error: this.#wireError(entry, path, error) });
    }
  }

  #wireError(entry: Open, path: string, error: unknown): WireError {
    if (error instanceof HostError) return error.toWire();
    this.#options.onFault?.({
      message: `capability ${path} failed`,
      cause: error,
      group: entry.request.group.key,
    });
    return { code: 'INTERNAL', message: 'Something went wrong on our side.' };
  }

  #onNotify(open: Map<number, Open>, id: number, path: string, inputText: string): void {
    const entry = open.get(id);
    if (entry === undefined) return;
    const notice = readNotice(path, inputText);
    if (notice !== undefined) entry.request.onNotify(path, notice.input);
  }

  #onExit(running: Running, entered: number, verdict: Verdict): void {
    if (this.#running.get(running.group.key) === running) this.#running.delete(running.group.key);
    if (running.process.stderr !== '')
      this.#options.onFault?.({ message: `runner: ${running.process.stderr}`, group: running.group.key });
    // What was ended from here for something it did between two entries was done by the only one there was.
    const only = entered === 0 && verdict !== UNEXPECTED && running.open.size === 1;
    for (const [id, entry] of running.open) {
      const culprit = only || id === entered;
      const error: WireError = culprit ? verdict : RESTARTED;
      entry.settle({ ok: false, error }, NO_USAGE, culprit && KILLS.has(verdict.code));
    }
  }

  #makeRoom(processes: number): void {
    const occupants = [...this.#running.values()].map(
      (running): Occupant & { readonly running: Running } => ({
        running,
        isIdle: isIdle(running),
        lastUsedAt: running.lastUsedAt,
        ownBytes: running.process.ownBytes,
      }),
    );
    for (const { running } of tooMany(occupants, { processes, bytes: this.#memoryBytes })) this.#end(running);
  }

  #sweep(): void {
    const now = performance.now();
    for (const running of this.#running.values()) {
      if (isIdle(running) && running.lastUsedAt < now - LIMITS.runnerIdleMs) this.#end(running);
      else this.#dropIdleIsolates(running, now - this.#isolateIdleMs);
    }
    this.#makeRoom(LIMITS.runners);
  }

  end(groupKey: string): void {
    const running = this.#running.get(groupKey);
    if (running !== undefined) this.#end(running);
  }

  #end(running: Running): void {
    this.#running.delete(running.group.key);
    running.process.kill('INTERRUPTED', 'The sandbox process was stopped.');
  }

  unload(groupKey: string, moduleKey: string): void {
    const running = this.#running.get(groupKey);
    if (running?.modules.has(moduleKey) === true) this.#drop(running, moduleKey);
  }

  stats(): SandboxStats[] {
    return [...this.#running.values()].map((running) => ({
      ...running.process.stats,
      group: running.group.key,
      invocations: running.open.size,
    }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeps);
    const ending = [...this.#running.values()];
    for (const running of ending) this.#end(running);
    await Promise.all([this.#spare?.close(), ...ending.map((running) => running.process.exited)]);
    this.#stage.remove();
  }
}

function isIdle({ open, modules }: Running): boolean {
  return open.size === 0 && [...modules.values()].every(({ users }) => users === 0);
}

/** A function, because the answer changes while one awaits. */
function isAborted(request: InvokeRequest): boolean {
  return request.signal?.aborted ?? false;
}

function failed(error: WireError): InvokeOutcome {
  return { envelope: { ok: false, error }, usage: { ...NO_USAGE, wallMs: 0 }, killed: KILLS.has(error.code) };
}
