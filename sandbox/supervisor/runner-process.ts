/**
 * The parent's side of one runner process: start it without rights, speak frames with it, watch its answers, its time and its
 * memory, and end it with SIGKILL when it does not keep to them. Nothing the child says is believed beyond what this side
 * recorded: an invocation number that is not open here has no effect.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type ErrorCode, HostError } from '../contract/envelope.ts';
import { LIMITS } from '../contract/limits.ts';
import {
  DOWN,
  type Frame,
  frameReader,
  frameWriter,
  type InvocationLimits,
  LOADING_MARK,
  type LoadInput,
  UP,
} from '../contract/wire.ts';
import type { Stage } from './stage.ts';

export interface RunnerEvents {
  /** An invocation's result: `usage` and `envelope` are unparsed JSON. */
  onResult(invocation: number, usage: string, envelope: string): void;
  onCall(invocation: number, number: string, op: string, input: string): void;
  onNotify(invocation: number, op: string, input: string): void;
  /** The isolate of this key is gone; load it again before the next invocation. */
  onLost(key: string, reason: string): void;
  /** The process ended. `entered` is the invocation it was in, 0 if none. */
  onExit(entered: number, reason: { readonly code: ErrorCode; readonly message: string }): void;
}

export interface RunnerStats {
  readonly pid: number;
  readonly uid: number | null;
  readonly startedAt: Date;
  /** Processor time of the whole process, in microseconds. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly isolates: number;
  readonly heapBytes: number;
}

const RESTARTED = { code: 'INTERRUPTED' as const, message: 'The sandbox process was restarted.' };
const PAGE_BYTES = 4_096;
const STDERR_KEPT = 2_000;

export interface RunnerOptions {
  readonly stage: Stage;
  /** A uid of its own for the process; absent: this process's. */
  readonly uid?: number;
  /** Slower and without a just-in-time compiler: fewer ways for an engine fault to be used. */
  readonly jitless?: boolean;
}

export class RunnerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #send: ReturnType<typeof frameWriter>;
  readonly #events: RunnerEvents;
  readonly #markFd: number;
  readonly #loading = new Map<string, { resolve(): void; reject(error: HostError): void }>();
  readonly #watch: NodeJS.Timeout;
  readonly exited: Promise<void>;
  #verdict: { code: ErrorCode; message: string } | undefined;
  #pinged = 0;
  #pingSentAt = 0;
  #waitingForPong = false;
  #stats: RunnerStats;
  #stderr = '';

  constructor(options: RunnerOptions, events: RunnerEvents) {
    this.#events = events;
    this.#markFd = anonymousFile();
    this.#child = start(options, this.#markFd);
    const pid = this.#child.pid;
    this.pid = pid ?? 0;
    this.#stats = {
      pid: this.pid,
      uid: options.uid ?? null,
      startedAt: new Date(),
      cpuUs: 0,
      rssBytes: 0,
      isolates: 0,
      heapBytes: 0,
    };
    const socket = this.#child.stdio[3] as Duplex;
    this.#send = frameWriter((chunk) => socket.write(chunk));
    const read = frameReader(LIMITS.messageBytes + LIMITS.outboxBytes, (frame) => this.#receive(frame));
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch {
        this.kill('CRASHED', 'The runner sent something that is no message.');
      }
    });
    socket.on('error', () => undefined);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
    });
    this.exited = new Promise((resolve) => {
      const ended = (): void => {
        this.#ended();
        resolve();
      };
      this.#child.once('exit', ended);
      this.#child.once('error', ended);
    });
    this.#watch = setInterval(() => this.#check(), LIMITS.rssPollMs);
    this.#watch.unref();
  }

  /** The tail of what the process wrote before it died: for the operator's log only. */
  get stderr(): string {
    return this.#stderr;
  }

  get stats(): RunnerStats {
    return this.#stats;
  }

  /** Makes an isolate. @throws HostError LOAD_FAILED with the module's own message, or what ended the process */
  load(key: string, input: LoadInput): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#loading.set(key, { resolve, reject });
      this.#send(DOWN.load, 0, key, JSON.stringify(input));
    });
  }

  unload(key: string): void {
    this.#send(DOWN.unload, 0, key, '');
  }

  invoke(id: number, key: string, limits: InvocationLimits, input: string): void {
    this.#send(DOWN.invoke, id, key, `${JSON.stringify(limits)}\n${input}`);
  }

  answer(id: number, number: string, envelope: string): void {
    this.#send(DOWN.answer, id, number, envelope);
  }

  cancel(id: number): void {
    this.#send(DOWN.cancel, id, '', '');
  }

  /** SIGKILL: exiting a process while a guest runs in it can crash it, and a stuck one does not listen anyway. */
  kill(code: ErrorCode, message: string): void {
    this.#verdict ??= { code, message };
    this.#child.kill('SIGKILL');
  }

  #receive(frame: Frame): void {
    switch (frame.kind) {
      case UP.ready:
        return;
      case UP.loaded:
        this.#loaded(frame.name, frame.body);
        return;
      case UP.result:
        this.#events.onResult(frame.id, frame.name, frame.body);
        return;
      case UP.call: {
        const space = frame.name.indexOf(' ');
        this.#events.onCall(frame.id, frame.name.slice(0, space), frame.name.slice(space + 1), frame.body);
        return;
      }
      case UP.notify:
        this.#events.onNotify(frame.id, frame.name, frame.body);
        return;
      case UP.pong:
        this.#pong(frame);
        return;
      case UP.lost:
        this.#events.onLost(frame.name, frame.body);
        return;
      default:
        throw new Error(`frame of kind ${frame.kind}`);
    }
  }

  #loaded(key: string, body: string): void {
    const waiting = this.#loading.get(key);
    this.#loading.delete(key);
    const envelope = JSON.parse(body) as { ok: boolean; error?: { message?: string } };
    if (envelope.ok) waiting?.resolve();
    else
      waiting?.reject(
        new HostError(
          'LOAD_FAILED',
          (envelope.error?.message ?? 'The module could not be loaded.').slice(0, 2_000),
        ),
      );
  }

  #pong(frame: Frame): void {
    if (frame.id !== this.#pinged) return;
    this.#waitingForPong = false;
    const { isolates, heapBytes } = JSON.parse(frame.body) as { isolates: unknown; heapBytes: unknown };
    this.#stats = {
      ...this.#stats,
      cpuUs: processorUs(this.pid),
      isolates: Number(isolates) || 0,
      heapBytes: Number(heapBytes) || 0,
    };
  }

  #check(): void {
    const rssBytes = residentBytes(this.pid);
    this.#stats = { ...this.#stats, rssBytes };
    if (rssBytes > LIMITS.runnerRssMb * 1_048_576) {
      this.kill('MEMORY_LIMIT', `The sandbox process grew over ${LIMITS.runnerRssMb} MB.`);
      return;
    }
    const now = performance.now();
    if (this.#waitingForPong) {
      if (now - this.#pingSentAt > LIMITS.heartbeatGraceMs)
        this.kill('TIMEOUT', `The module did not pause for ${LIMITS.heartbeatGraceMs} ms.`);
    } else if (now - this.#pingSentAt > LIMITS.heartbeatMs) {
      this.#waitingForPong = true;
      this.#pingSentAt = now;
      this.#send(DOWN.ping, ++this.#pinged, '', '');
    }
  }

  #ended(): void {
    clearInterval(this.#watch);
    const mark = Buffer.alloc(4);
    readSync(this.#markFd, mark, 0, 4, 0);
    closeSync(this.#markFd);
    const verdict = this.#verdict ?? {
      code: 'CRASHED' as const,
      message: 'The sandbox process ended unexpectedly.',
    };
    const entered = mark.readUInt32LE(0);
    // Only a process that died while it loaded may have died of what it loaded.
    const lost = entered === LOADING_MARK ? verdict : RESTARTED;
    for (const waiting of this.#loading.values()) waiting.reject(new HostError(lost.code, lost.message));
    this.#loading.clear();
    this.#events.onExit(entered, verdict);
  }
}

function start(options: RunnerOptions, markFd: number): ChildProcess {
  const { stage, uid } = options;
  return spawn(
    stage.node,
    [
      '--permission',
      '--allow-addons',
      `--allow-fs-read=${stage.folder}`,
      '--no-node-snapshot',
      '--disable-sigusr1',
      '--no-warnings',
      ...(options.jitless === true ? ['--jitless'] : []),
      join(stage.folder, 'runner.mjs'),
    ],
    {
      cwd: stage.folder,
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', markFd],
      detached: true,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
}

/** A file without a name: only the two processes that hold its descriptor can reach it. */
function anonymousFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-mark-'));
  const fd = openSync(join(folder, 'mark'), 'w+', 0o600);
  rmSync(folder, { recursive: true });
  return fd;
}

/** Resident memory in bytes; 0 where /proc is not to be had (then only the isolate's own limit counts). */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1] ?? 0) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** Linux counts processor time in ticks of 10 ms; fields 14 and 15, after the command's closing bracket. */
function processorUs(pid: number): number {
  const TICK_US = 10_000;
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_US;
  } catch {
    return 0;
  }
}
