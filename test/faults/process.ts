/** The server as a child process, as a test holds it: ask it for something, wait for its checkpoint, kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { HostError, isErrorCode } from '../../sandbox/contract/envelope.ts';
import { until } from '../support/until.ts';
import { Said, type Settings } from './protocol.ts';

const SCRIPT = fileURLToPath(new URL('server.ts', import.meta.url));
const START_MS = 30_000;
const STDERR_CHARS = 20_000;

export interface StartHow {
  /** Its own folder for temporary files, so that what it leaves there can be told from what others do. */
  readonly temporary: string;
  /** In front of the command, for example to give it a mount namespace. */
  readonly within?: readonly string[];
}

export class ServerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (said: Said) => void>();
  readonly #checkpoints = new Map<string, () => void>();
  readonly #ready = Promise.withResolvers<void>();
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  #stderr = '';
  #next = 1;

  private constructor(settings: Settings, { temporary, within = [] }: StartHow) {
    const [program, ...args] = [...within, process.execPath, SCRIPT];
    this.#child = spawn(program, args, {
      env: { PATH: process.env['PATH'], TMPDIR: temporary, FAULTS_SERVER: JSON.stringify(settings) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.exited = once(this.#child, 'close').then(([code, signal]) => String(signal ?? code));
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.on('data', (part: Buffer) => {
      this.#stderr = (this.#stderr + part.toString('utf8')).slice(-STDERR_CHARS);
    });
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
    void this.exited.then((how) => this.#ended(how));
  }

  /** Resolves when it serves. @throws Error with what it said, if it ends instead */
  static async start(settings: Settings, how: StartHow): Promise<ServerProcess> {
    const server = new ServerProcess(settings, how);
    const timer = setTimeout(() => server.#child.kill('SIGKILL'), START_MS);
    try {
      await server.#ready.promise;
      return server;
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it told its operator. */
  get said(): string {
    return this.#stderr;
  }

  /** Has a use case done. @throws HostError as the use case does; Error if the server ended meanwhile */
  async ask(op: string, args: unknown = null): Promise<unknown> {
    const id = this.#next++;
    const answered = Promise.withResolvers<Said>();
    this.#answers.set(id, answered.resolve);
    this.#child.stdin?.write(`${JSON.stringify({ id, op, args })}\n`);
    const said = await Promise.race([answered.promise, this.exited]);
    this.#answers.delete(id);
    if (typeof said !== 'object') throw new Error(`the server ended (${said}) before it had done ${op}`);
    if ('error' in said) {
      const { code, message } = said.error;
      throw isErrorCode(code)
        ? new HostError(code, message)
        : new Error(`${op}: ${message}\n${this.#stderr}`);
    }
    return 'value' in said ? said.value : undefined;
  }

  /** Begins something that the server is to die in: it is killed with -9 at this checkpoint. */
  async dieIn(checkpoint: string, op: string, args: unknown): Promise<void> {
    const reached = Promise.withResolvers<void>();
    this.#checkpoints.set(checkpoint, reached.resolve);
    await this.ask('arm', checkpoint);
    const asked = this.ask(op, args).then(
      () => Promise.reject(new Error(`${op} ended without passing ${checkpoint}`)),
      (error: unknown) => Promise.reject(error instanceof Error ? error : new Error(String(error))),
    );
    await Promise.race([reached.promise, asked]);
    asked.catch(() => undefined);
    await this.kill();
  }

  /** All that it has started and that runs now. */
  children(): Process[] {
    return childrenOf(this.pid);
  }

  static isRunning(this: void, one: Process): boolean {
    return isRunning(one);
  }

  /** kill -9, and nothing else: what it started has to notice by itself. Waits until its children have. */
  async kill(): Promise<void> {
    const children = childrenOf(this.pid);
    this.#child.kill('SIGKILL');
    await this.exited;
    await until('the children of a killed server to end', async () => !children.some(isRunning));
  }

  /** A line of PostgreSQL's own file about itself: the pid of the embedded one. */
  static postgresPid(dataDir: string): number {
    return Number(readFileSync(join(dataDir, 'pg', 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /** In good order. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }

  #hear(line: string): void {
    const said = v.parse(v.pipe(v.string(), v.parseJson(), Said), line);
    if ('ready' in said) this.#ready.resolve();
    else if ('checkpoint' in said) this.#checkpoints.get(said.checkpoint)?.();
    else this.#answers.get(said.id)?.(said);
  }

  #ended(how: number | string): void {
    this.#ready.reject(new Error(`the server did not start (${how}):\n${this.#stderr}`));
  }
}

export interface Process {
  readonly pid: number;
  readonly startedAt: string;
}

interface Stat extends Process {
  readonly parent: number;
  readonly state: string;
}

/** From /proc; undefined if there is no such process. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const TO_START_TIME = 17;
    return { pid, state, parent: Number(parent), startedAt: rest[TO_START_TIME] ?? '' };
  } catch {
    return undefined;
  }
}

/** All that a process has started, and what those have. */
function childrenOf(pid: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
  const own = all.filter(({ parent }) => parent === pid);
  return own.flatMap((child) => [child, ...childrenOf(child.pid)]);
}

function isRunning(process: Process): boolean {
  const now = statOf(process.pid);
  return now !== undefined && now.state !== 'Z' && now.startedAt === process.startedAt;
}
