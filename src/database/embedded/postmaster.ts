/**
 * The running PostgreSQL: started in a session of its own, so that Ctrl-C reaches the host first; watched over by a
 * shell that holds the other end of a pipe, so that it stops even when the host is killed with -9.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { executable } from './binaries.ts';
import type { Binaries } from './binaries.ts';
import type { DataDir } from './data-dir.ts';
import { ENVIRONMENT } from './environment.ts';
import type { Identity } from './identity.ts';
import { settingArguments } from './settings.ts';
import type { Settings } from './settings.ts';

const READY = 'database system is ready to accept connections';
const TAIL_LINES = 30;
const FAST_STOP_MS = 30_000;
const IMMEDIATE_STOP_MS = 10_000;
const KIB_PER_MIB = 1024;

/**
 * Reads the postmaster's pid, then waits for the pipe's end. "done" says that it was stopped in good order; anything
 * else, that the host is gone. The pid file is asked again, since a pid alone may have become another program's.
 */
const WATCHDOG = `read -r pid || exit 0
read -r word && [ "$word" = done ] && exit 0
[ "$(head -n 1 postmaster.pid 2>/dev/null)" = "$pid" ] && kill -INT "$pid"`;

/** A limit that is there already and lower cannot be raised, and is as good. */
const LIMITED = `ulimit -v "$1" 2>/dev/null || [ "$(ulimit -v)" != unlimited ] || { echo "ulimit -v $1 is refused"; exit 1; } >&2
shift
exec "$@"`;

export interface PostmasterOptions {
  readonly dir: DataDir;
  readonly binaries: Binaries;
  readonly identity: Identity;
  readonly settings: Settings;
  readonly memoryLimitMib: number;
  readonly log: (line: string) => void;
}

export interface Postmaster {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason: its exit code or signal. */
  readonly exited: Promise<number | string | null>;
  /** Stops it in good order and waits for its end; may be called again. */
  readonly stop: () => Promise<void>;
}

function launch({ dir, binaries, identity, settings, memoryLimitMib }: PostmasterOptions): ChildProcess {
  const command = [
    executable(binaries, 'postgres'),
    '-D',
    dir.asSeenFrom(dir.cluster),
    ...settingArguments(settings),
  ];
  const limited = process.platform === 'linux';
  const [program = '', ...args] = limited
    ? ['/bin/sh', '-c', LIMITED, 'sh', String(memoryLimitMib * KIB_PER_MIB), ...command]
    : command;
  return spawn(program, args, {
    ...identity,
    cwd: dir.cluster,
    env: ENVIRONMENT,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** Windows has neither sh nor signals: there a Node process holds the pipe and asks pg_ctl. */
function watch(dir: DataDir, binaries: Binaries, identity: Identity): ChildProcess {
  const options = { ...identity, cwd: dir.cluster, env: ENVIRONMENT, detached: true } as const;
  if (process.platform !== 'win32') {
    return spawn('/bin/sh', ['-c', WATCHDOG], { ...options, stdio: ['pipe', 'ignore', 'ignore'] });
  }
  const script = `let words = '';
process.stdin.on('data', (chunk) => { words += chunk; }).on('close', () => {
  if (!words.includes('done')) require('node:child_process').spawnSync(process.argv[1], process.argv.slice(2));
});`;
  const stop = [executable(binaries, 'pg_ctl'), 'stop', '-m', 'fast', '-D', dir.cluster];
  return spawn(process.execPath, ['-e', script, ...stop], {
    ...options,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

function ended(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
}

/** Resolves at PostgreSQL's word that it is ready; its lines go to `log` from then on, and into the error until then. */
function untilReady(
  child: ChildProcess,
  exited: Promise<number | string | null>,
  log: (line: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const tail: string[] = [];
    let ready = false;
    if (child.stderr === null) throw new TypeError('the postmaster was spawned without a pipe');
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => {
      if (ready) return log(`PostgreSQL: ${line}`);
      tail.push(line);
      tail.splice(0, tail.length - TAIL_LINES);
      if (!line.includes(READY)) return undefined;
      ready = true;
      return resolve();
    });
    void Promise.all([exited, new Promise((closed) => lines.once('close', closed))]).then(([code]) =>
      reject(new HostError('CONFLICT', `PostgreSQL did not start (${code}):\n${tail.join('\n')}`)),
    );
  });
}

async function within(promise: Promise<unknown>, waitMs: number): Promise<boolean> {
  const enough = new AbortController();
  const late = sleep(waitMs, false, { signal: enough.signal }).catch(() => false);
  const inTime = await Promise.race([promise.then(() => true), late]);
  enough.abort();
  return inTime;
}

/** Lets the host's process end although this is still open. A child's pipe is a Socket, which its type does not tell. */
function unref(handle: ChildProcess | Readable | Writable | null): void {
  if (handle !== null && 'unref' in handle && typeof handle.unref === 'function') handle.unref();
}

/**
 * Starts PostgreSQL on a finished cluster and waits until it takes connections.
 * @throws HostError CONFLICT with PostgreSQL's own words, when it ends instead
 */
export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  const { dir, binaries, identity, log } = options;
  const watchdog = watch(dir, binaries, identity);
  const watchdogEnded = ended(watchdog);
  // A watchdog that died must not take the host along with an EPIPE.
  watchdog.stdin?.on('error', () => log('the watchdog of PostgreSQL has ended'));
  const child = launch(options);
  const exited = ended(child);
  watchdog.stdin?.write(`${child.pid ?? ''}\n`);
  const dismissed = exited.then(async (code) => {
    watchdog.stdin?.end('done\n');
    await watchdogEnded;
    return code;
  });
  let stopping: Promise<void> | undefined;
  // What PostgreSQL says about a stop that was asked for is no news.
  const tell = (line: string): void => (stopping === undefined ? log(line) : undefined);
  await untilReady(child, exited, tell).catch(async (error: unknown) => {
    await dismissed;
    throw error;
  });

  // From here on the host may end without stop(): the watchdog then does it.
  for (const handle of [child, child.stderr, watchdog, watchdog.stdin]) unref(handle);
  const stop = async (): Promise<void> => {
    child.ref();
    watchdog.ref();
    fastStop(child, dir, binaries);
    if (await within(exited, FAST_STOP_MS)) return void (await dismissed);
    log('PostgreSQL does not stop; trying harder');
    child.kill('SIGQUIT');
    if (!(await within(exited, IMMEDIATE_STOP_MS))) child.kill('SIGKILL');
    await dismissed;
  };
  return {
    pid: child.pid ?? 0,
    exited: dismissed,
    stop: () => (stopping ??= stop()),
  };
}

/** Breaks off open transactions, writes a checkpoint and ends. */
function fastStop(child: ChildProcess, dir: DataDir, binaries: Binaries): void {
  if (process.platform !== 'win32') child.kill('SIGINT');
  else
    spawn(executable(binaries, 'pg_ctl'), ['stop', '-m', 'fast', '-W', '-D', dir.cluster], {
      env: ENVIRONMENT,
    });
}
