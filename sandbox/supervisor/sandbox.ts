/**
 * The sandbox as the host sees it: `invoke` runs calls on one fresh instance of a module and answers with an envelope and what it
 * cost. Knows groups (who may share a process), module keys and invocations; knows no tenant, route or SQL.
 */
import * as v from 'valibot';
import { findOp } from '../contract/capabilities.ts';
import {
  type Envelope,
  type ErrorCode,
  HostError,
  isErrorCode,
  type WireError,
} from '../contract/envelope.ts';
import { type InvocationInput, InvocationOutput } from '../contract/invocation.ts';
import { LIMITS } from '../contract/limits.ts';
import type { InvocationLimits, LoadInput, ResultOrigin, Usage } from '../contract/wire.ts';
import { RunnerProcess, type RunnerStats } from './runner-process.ts';
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
  /** Unexpected failures, for the operator. */
  onFault?(fault: { readonly message: string; readonly cause?: unknown; readonly group?: string }): void;
}

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
const KILLS: ReadonlySet<ErrorCode> = new Set(['CPU_LIMIT', 'MEMORY_LIMIT', 'CRASHED', 'TIMEOUT']);

interface Open {
  readonly request: InvokeRequest;
  readonly startedAt: number;
  readonly deadline: NodeJS.Timeout;
  readonly onAbort: () => void;
  calls: number;
  settle(envelope: Envelope<InvocationOutput>, usage: Usage, killed: boolean): void;
}

interface Running {
  readonly group: Group;
  readonly process: RunnerProcess;
  readonly modules: Map<string, Promise<void>>;
  readonly open: Map<number, Open>;
  lastUsedAt: number;
}

const CANCELLED: WireError = { code: 'CANCELLED', message: 'The invocation was cancelled.' };
const NO_USAGE: Usage = { cpuUs: 0, entries: 0, calls: 0 };

export async function createSandbox(options: SandboxOptions): Promise<Sandbox> {
  const stage = await createStage(options.ownUids);
  return new ProcessSandbox(stage, options);
}

class ProcessSandbox implements Sandbox {
  readonly #stage: Stage;
  readonly #options: SandboxOptions;
  readonly #running = new Map<string, Running>();
  readonly #idle: NodeJS.Timeout;
  #nextInvocation = 1;
  #closed = false;

  constructor(stage: Stage, options: SandboxOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#idle = setInterval(() => this.#evictIdle(), 10_000);
    this.#idle.unref();
  }

  async invoke(request: InvokeRequest): Promise<InvokeOutcome> {
    if (this.#closed) return failed({ code: 'INTERRUPTED', message: 'The host is stopping.' });
    if (isAborted(request)) return failed(CANCELLED);
    const running = this.#runnerOf(request.group);
    running.lastUsedAt = performance.now();
    try {
      await this.#ensureLoaded(running, request.module);
    } catch (error) {
      if (error instanceof HostError) return failed(error.toWire());
      throw error;
    }
    if (isAborted(request)) return failed(CANCELLED);
    // The process may have ended between loading and now.
    if (this.#running.get(request.group.key) !== running)
      return failed({ code: 'INTERRUPTED', message: 'The sandbox process was restarted.' });
    return this.#run(running, request);
  }

  #run(running: Running, request: InvokeRequest): Promise<InvokeOutcome> {
    const id = this.#nextInvocation++;
    const startedAt = performance.now();
    const input = JSON.stringify(request.input);
    if (Buffer.byteLength(input) > LIMITS.messageBytes)
      return Promise.resolve(failed({ code: 'LIMIT', message: 'The input is too large.' }));
    return new Promise((resolve) => {
      const expire = (code: ErrorCode, message: string): void => {
        running.process.cancel(id);
        running.open.get(id)?.settle({ ok: false, error: { code, message } }, NO_USAGE, false);
      };
      const onAbort = (): void => expire(CANCELLED.code, CANCELLED.message);
      const open: Open = {
        request,
        startedAt,
        calls: 0,
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

  #runnerOf(group: Group): Running {
    const known = this.#running.get(group.key);
    if (known !== undefined) return known;
    this.#makeRoom();
    const open = new Map<number, Open>();
    const modules = new Map<string, Promise<void>>();
    const process = new RunnerProcess(
      {
        stage: this.#stage,
        ...(group.uid === undefined ? {} : { uid: group.uid }),
        jitless: this.#options.jitless ?? false,
      },
      {
        onResult: (id, usage, envelope) => this.#onResult(open, id, usage, envelope),
        onCall: (id, number, path, input) => void this.#onCall(running, id, number, path, input),
        onNotify: (id, path, input) => this.#onNotify(open, id, path, input),
        onLost: (key) => modules.delete(key),
        onExit: (entered, verdict) => this.#onExit(running, entered, verdict),
      },
    );
    const running: Running = { group, process, modules, open, lastUsedAt: performance.now() };
    this.#running.set(group.key, running);
    return running;
  }

  async #ensureLoaded(running: Running, module: SandboxModule): Promise<void> {
    const known = running.modules.get(module.key);
    if (known !== undefined) {
      // Most recently used last.
      running.modules.delete(module.key);
      running.modules.set(module.key, known);
      return known;
    }
    const loading = module.load().then((input) => running.process.load(module.key, input));
    running.modules.set(module.key, loading);
    this.#evictIsolates(running, module.key);
    try {
      await loading;
    } catch (error) {
      if (running.modules.get(module.key) === loading) running.modules.delete(module.key);
      throw error;
    }
  }

  #evictIsolates(running: Running, keep: string): void {
    const busy = new Set([...running.open.values()].map((open) => open.request.module.key));
    for (const key of running.modules.keys()) {
      if (running.modules.size <= LIMITS.isolatesPerRunner) return;
      if (key === keep || busy.has(key)) continue;
      running.modules.delete(key);
      running.process.unload(key);
    }
  }

  #onResult(open: Map<number, Open>, id: number, usageText: string, envelopeText: string): void {
    const entry = open.get(id);
    if (entry === undefined) return;
    const usage = readUsage(usageText);
    const envelope = readEnvelope(envelopeText, usage.byGuest);
    entry.settle(envelope, usage, !envelope.ok && KILLS.has(envelope.error.code));
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
    const envelope = await this.#serve(entry, path, inputText);
    if (running.open.has(id)) running.process.answer(id, number, JSON.stringify(envelope));
  }

  async #serve(entry: Open, path: string, inputText: string): Promise<Envelope> {
    if (++entry.calls > entry.request.limits.calls)
      return { ok: false, error: { code: 'LIMIT', message: 'Too many capability calls.' } };
    if (Buffer.byteLength(inputText) > LIMITS.callInputBytes)
      return { ok: false, error: { code: 'LIMIT', message: `${path}: the input is too large.` } };
    const found = findOp(path);
    if (found === undefined || found.op.notify)
      return {
        ok: false,
        error: { code: 'NOT_FOUND', message: `There is no capability call ${path.slice(0, 100)}.` },
      };
    const parsed = v.safeParse(found.op.input, JSON.parse(inputText));
    if (!parsed.success)
      return { ok: false, error: { code: 'BAD_INPUT', message: describeIssue(path, parsed.issues[0]) } };
    try {
      const value = await entry.request.onCall(path, parsed.output);
      const size = Buffer.byteLength(JSON.stringify(value ?? null));
      if (size > LIMITS.resultBytes)
        return {
          ok: false,
          error: { code: 'LIMIT', message: `${path}: the answer is over ${LIMITS.resultBytes} bytes.` },
        };
      return { ok: true, value: value ?? null };
    } catch (error) {
      if (error instanceof HostError) return { ok: false, error: error.toWire() };
      this.#options.onFault?.({
        message: `capability ${path} failed`,
        cause: error,
        group: entry.request.group.key,
      });
      return { ok: false, error: { code: 'INTERNAL', message: 'Something went wrong on our side.' } };
    }
  }

  #onNotify(open: Map<number, Open>, id: number, path: string, inputText: string): void {
    const entry = open.get(id);
    const found = findOp(path);
    if (entry === undefined || found === undefined || !found.op.notify) return;
    const parsed = v.safeParse(found.op.input, JSON.parse(inputText));
    if (parsed.success) entry.request.onNotify(path, parsed.output);
  }

  #onExit(running: Running, entered: number, verdict: { code: ErrorCode; message: string }): void {
    if (this.#running.get(running.group.key) === running) this.#running.delete(running.group.key);
    if (running.process.stderr !== '')
      this.#options.onFault?.({ message: `runner: ${running.process.stderr}`, group: running.group.key });
    for (const [id, entry] of running.open) {
      const culprit = id === entered;
      const error: WireError = culprit
        ? verdict
        : { code: 'INTERRUPTED', message: 'The sandbox process was restarted.' };
      entry.settle({ ok: false, error }, NO_USAGE, culprit);
    }
  }

  #makeRoom(): void {
    while (this.#running.size >= LIMITS.runners) {
      const idle = [...this.#running.values()]
        .filter((running) => running.open.size === 0)
        .sort((a, b) => a.lastUsedAt - b.lastUsedAt)[0];
      if (idle === undefined)
        throw new HostError('LIMIT', 'All sandbox processes are busy; try again in a moment.');
      this.#end(idle);
    }
  }

  #evictIdle(): void {
    const before = performance.now() - LIMITS.runnerIdleMs;
    for (const running of this.#running.values())
      if (running.open.size === 0 && running.lastUsedAt < before) this.#end(running);
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
    if (running?.modules.delete(moduleKey) === true) running.process.unload(moduleKey);
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
    clearInterval(this.#idle);
    const ending = [...this.#running.values()];
    for (const running of ending) this.#end(running);
    await Promise.all(ending.map((running) => running.process.exited));
    this.#stage.remove();
  }
}

/** A function, because the answer changes while one awaits. */
function isAborted(request: InvokeRequest): boolean {
  return request.signal?.aborted ?? false;
}

function failed(error: WireError): InvokeOutcome {
  return { envelope: { ok: false, error }, usage: { ...NO_USAGE, wallMs: 0 }, killed: KILLS.has(error.code) };
}

function describeIssue(path: string, issue: v.BaseIssue<unknown>): string {
  const at = v.getDotPath(issue);
  return `${path}: ${at === null ? '' : `${at}: `}${issue.message}`.slice(0, 500);
}

function readUsage(text: string): Usage & ResultOrigin {
  const usage = JSON.parse(text) as Record<string, unknown>;
  return {
    cpuUs: Number(usage['cpuUs']) || 0,
    entries: Number(usage['entries']) || 0,
    calls: Number(usage['calls']) || 0,
    byGuest: usage['byGuest'] !== false,
  };
}

const WireErrorShape = v.object({ code: v.string(), message: v.string(), data: v.optional(v.unknown()) });
const EnvelopeShape = v.union([
  v.object({ ok: v.literal(true), value: InvocationOutput }),
  v.object({ ok: v.literal(false), error: WireErrorShape }),
]);

/** What a runner says of an invocation, cut down to what may be true. */
function readEnvelope(text: string, byGuest: boolean): Envelope<InvocationOutput> {
  const parsed = v.safeParse(EnvelopeShape, JSON.parse(text));
  if (!parsed.success)
    return {
      ok: false,
      error: { code: 'BAD_OUTPUT', message: 'The module’s answer does not have the expected form.' },
    };
  const answer = parsed.output;
  if (answer.ok) return { ok: true, value: answer.value };
  const { code, message, data } = answer.error;
  const allowed = byGuest ? CLAIMABLE : RUNNER_CODES;
  const known: ErrorCode = isErrorCode(code) && allowed.has(code) ? code : 'MODULE_ERROR';
  return { ok: false, error: data === undefined ? { code: known, message } : { code: known, message, data } };
}
