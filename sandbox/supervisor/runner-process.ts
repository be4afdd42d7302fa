/**
 * The parent's side of one runner process: start it without rights, speak frames with it, watch its answers, its time and its
 * memory, and end it with SIGKILL when it does not keep to them. Nothing the child says is believed beyond what this side
 * recorded: an invocation number that is not open here has no effect.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  type LoadReport,
  UP,
} from '../contract/wire.ts';
import type { LaunchOptions, Launcher } from './launch.ts';
import { readLoadReport } from './results.ts';

export interface RunnerEvents {
  /** An invocation's result: `usage` and `envelope` are unparsed. */
  onResult(invocation: number, usage: string, envelope: string): void;
  onCall(invocation: number, number: string, op: string, input: string): void;
  onNotify(invocation: number, op: string, input: string): void;
  /** The isolate of this key is gone; load it again before the next invocation. */
  onLost(key: string, reason: string): void;
  /** The process has grown so much that what is idle in it should go. */
  onPressure(): void;
  /** The process ended. `entered` is the invocation it was in, 0 if none. */
  onExit(entered: number, verdict: Verdict): void;
}

/** Why a process ended. */
export interface Verdict {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Nobody here ended it. */
export const UNEXPECTED: Verdict = Object.freeze({
  code: 'CRASHED',
  message: 'The sandbox process ended unexpectedly.',
});

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

export const RESTARTED = Object.freeze({
  code: 'INTERRUPTED',
  message: 'The sandbox process was restarted.',
}) satisfies Verdict;
const CALL_NAME = /^(\d{1,10}) ([\w.]{1,100})$/;
const PAGE_BYTES = 4_096;
const STDERR_KEPT = 2_000;

export interface RunnerOptions extends LaunchOptions {
  readonly launcher: Launcher;
}

export class RunnerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #send: ReturnType<typeof frameWriter>;
  #events: RunnerEvents;
  readonly #markFd: number;
  readonly #loading = new Map<
    string,
    { resolve(report: LoadReport): void; reject(error: HostError): void }
  >();
  readonly #watch: NodeJS.Timeout;
  readonly exited: Promise<void>;
  #verdict: Verdict | undefined;
  readonly #socket: Socket;
  #isOver = false;
  /** Answers that wait for the end of this turn to be written. */
  #queuedBytes = 0;
  #readSince = 0;
  #readMs = 0;
  #pinged = 0;
  #pingSentAt = 0;
  #waitingForPong = false;
  #stats: RunnerStats;
  #ownBytes = 0;
  #stderr = '';

  constructor(options: RunnerOptions, events: RunnerEvents) {
    this.#events = events;
    this.#markFd = anonymousFile();
    this.#child = options.launcher.start(options, this.#markFd);
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
    this.#socket = this.#child.stdio[3] as Socket;
    this.#send = frameWriter((chunk) => {
      this.#queuedBytes = 0;
      this.#socket.write(chunk);
      this.#refuseUnread();
    });
    this.#listen();
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

  #listen(): void {
    const read = frameReader(LIMITS.messageBytes + LIMITS.outboxBytes, (frame) => this.#receive(frame));
    this.#socket.on('data', (chunk: Buffer) => {
      const startedAt = performance.now();
      try {
        read(chunk);
      } catch {
        // Nothing it may still have sent counts any more.
        this.#socket.destroy();
        this.kill('CRASHED', 'The runner sent something that is no message.');
      }
      this.#rest(startedAt);
    });
    this.#socket.on('error', () => undefined);
  }

  /** The host's time belongs to all groups: a runner that takes more of it than its share is not listened to for a while. */
  #rest(startedAt: number): void {
    const now = performance.now();
    if (startedAt - this.#readSince >= LIMITS.readWindowMs) {
      this.#readSince = startedAt;
      this.#readMs = 0;
    }
    this.#readMs += now - startedAt;
    if (this.#readMs < LIMITS.readMs || this.#socket.isPaused()) return;
    this.#socket.pause();
    const restMs = Math.max(LIMITS.readWindowMs - LIMITS.readMs, this.#readMs);
    setTimeout(() => this.#socket.resume(), restMs).unref();
  }

  /** The tail of what the process wrote before it died: for the operator's log only. */
  get stderr(): string {
    return this.#stderr;
  }

  get stats(): RunnerStats {
    return this.#stats;
  }

  /** Memory that only this process has: not what it shares with all others that run the same programs. */
  get ownBytes(): number {
    return this.#ownBytes;
  }

  /** From now on somebody else hears of it: it was a spare one and was taken. */
  handOver(events: RunnerEvents): void {
    this.#events = events;
  }

  /** Makes an isolate. @throws HostError LOAD_FAILED with the module's own message, or what ended the process */
  load(key: string, input: LoadInput): Promise<LoadReport> {
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
    // A runner that was given up gets no more: what it does not read would be kept here.
    if (this.#verdict !== undefined) return;
    this.#queuedBytes += envelope.length;
    this.#send(DOWN.answer, id, number, envelope);
    this.#refuseUnread();
  }

  cancel(id: number): void {
    this.#send(DOWN.cancel, id, '', '');
  }

  /** The invocation that the process is in at this moment, as it says itself; 0 if none. */
  entered(): number {
    if (this.#isOver) return 0;
    const mark = Buffer.alloc(4);
    readSync(this.#markFd, mark, 0, 4, 0);
    return mark.readUInt32LE(0);
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
        const [, number, op] = CALL_NAME.exec(frame.name) ?? [];
        if (number === undefined || op === undefined) throw new Error('call without a number or a name');
        this.#events.onCall(frame.id, number, op, frame.body);
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
    const envelope = JSON.parse(body) as {
      ok: boolean;
      value?: unknown;
      error?: { message?: string };
    };
    if (envelope.ok) waiting?.resolve(readLoadReport(envelope.value));
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

  /** Asked with each answer, not now and then: hundreds may be made in one turn of the event loop. */
  #refuseUnread(): void {
    if (this.#queuedBytes + this.#socket.writableLength <= LIMITS.runnerUnreadBytes) return;
    this.kill('MEMORY_LIMIT', 'The sandbox process does not read its answers.');
  }

  #check(): void {
    const { rssBytes, ownBytes } = memoryOf(this.pid);
    this.#stats = { ...this.#stats, rssBytes };
    this.#ownBytes = ownBytes;
    if (rssBytes > LIMITS.runnerRssMb * 1_048_576) {
      this.kill('MEMORY_LIMIT', `The sandbox process grew over ${LIMITS.runnerRssMb} MB.`);
      return;
    }
    if (rssBytes > LIMITS.runnerRssRelieveMb * 1_048_576) this.#events.onPressure();
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
    if (this.#isOver) return;
    const entered = this.entered();
    this.#isOver = true;
    closeSync(this.#markFd);
    clearInterval(this.#watch);
    const verdict = this.#verdict ?? UNEXPECTED;
    // Only a process that died while it loaded may have died of what it loaded; and it loads in the order it was asked to.
    let lost: Verdict = entered === LOADING_MARK ? verdict : RESTARTED;
    for (const waiting of this.#loading.values()) {
      waiting.reject(new HostError(lost.code, lost.message));
      lost = RESTARTED;
    }
    this.#loading.clear();
    this.#events.onExit(entered, verdict);
  }
}

/** A file without a name: only the two processes that hold its descriptor can reach it. */
function anonymousFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-mark-'));
  const fd = openSync(join(folder, 'mark'), 'w+', 0o600);
  rmSync(folder, { recursive: true });
  return fd;
}

/** Resident memory in bytes, all of it and without shared files; 0 where /proc is not to be had (then only the isolate's own limit counts). */
function memoryOf(pid: number): { readonly rssBytes: number; readonly ownBytes: number } {
  try {
    const [, resident = '0', shared = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
    const rssBytes = Number(resident) * PAGE_BYTES;
    return { rssBytes, ownBytes: rssBytes - Number(shared) * PAGE_BYTES };
  } catch {
    return { rssBytes: 0, ownBytes: 0 };
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
