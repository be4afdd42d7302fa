/**
 * What an earlier host left running or lying in the data directory. A PostgreSQL that still serves it is stopped (the
 * caller holds the lock, so it belongs to nobody); a pid file that names some other program, as after a container's
 * restart, would stop PostgreSQL from starting and is removed. A pid file of a dead process is left: PostgreSQL reads
 * more from it than the pid.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { DataDir } from './data-dir.ts';
import { errorCode } from './errors.ts';

const POLL_MS = 20;
/** Fast shutdown, then without a checkpoint, then by force; and how long each may take. */
const STOP_STEPS = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

function pidInFile(pidFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Linux: a PostgreSQL process works inside the directory it serves, whatever its command line says. */
function isServing(pid: string, cluster: { dev: number; ino: number }): boolean {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres') return false;
    const cwd = statSync(`/proc/${pid}/cwd`);
    return cwd.dev === cluster.dev && cwd.ino === cluster.ino;
  } catch {
    // It has ended meanwhile, or it is another account's and so cannot be serving this directory.
    return false;
  }
}

/** Elsewhere: the process in the pid file, if its command line is a PostgreSQL's on this directory. */
function isServingByCommand(pid: number, cluster: string): boolean {
  if (process.platform === 'win32') {
    const tasks = spawnSync('tasklist', ['/FI', `PID eq ${pid}`, '/NH'], { encoding: 'utf8' });
    return (tasks.stdout ?? '').includes('postgres');
  }
  const command =
    spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
  return command.includes('postgres') && command.includes(cluster);
}

/** Every process that serves this directory, the postmaster and (on Linux) the backends that may outlive it. */
export function processesServing(dir: DataDir): number[] {
  if (process.platform === 'linux') {
    const cluster = statSync(dir.cluster, { throwIfNoEntry: false });
    if (cluster === undefined) return [];
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => isServing(pid, cluster)).map(Number);
  }
  const pid = pidInFile(dir.pidFile);
  return pid !== undefined && isAlive(pid) && isServingByCommand(pid, dir.cluster) ? [pid] : [];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errorCode(error) !== 'ESRCH') throw error;
    }
  }
}

async function untilNoneServes(dir: DataDir, waitMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += POLL_MS) {
    if (processesServing(dir).length === 0) return true;
    await sleep(POLL_MS);
  }
  return false;
}

async function stopServers(dir: DataDir, log: (line: string) => void): Promise<void> {
  for (const { signal, waitMs } of STOP_STEPS) {
    const serving = processesServing(dir);
    if (serving.length === 0) return;
    const postmaster = pidInFile(dir.pidFile);
    // Its backends follow the postmaster; without one they end by themselves, and only force is left to hurry them.
    const targets = signal === 'SIGKILL' ? serving : serving.filter((pid) => pid === postmaster);
    if (signal === 'SIGINT')
      log(
        `stopping the PostgreSQL that an earlier host left running (pid ${postmaster ?? serving.join(', ')})`,
      );
    signalAll(targets, signal);
    if (await untilNoneServes(dir, waitMs)) return;
  }
  throw new HostError(
    'CONFLICT',
    `PostgreSQL (pid ${processesServing(dir).join(', ')}) still serves ${dir.path} and could not be stopped: stop it by hand.`,
  );
}

/**
 * Makes the directory free to be served. The caller holds its lock.
 * @throws HostError CONFLICT when a PostgreSQL on it cannot be stopped
 */
export async function clearLeftovers(dir: DataDir, log: (line: string) => void): Promise<void> {
  const pid = pidInFile(dir.pidFile);
  if (pid === undefined) return;
  await stopServers(dir, log);
  const stale = pidInFile(dir.pidFile);
  if (stale !== undefined && isAlive(stale)) {
    log(`removing ${dir.pidFile}: its pid ${stale} is another program by now`);
    rmSync(dir.pidFile, { force: true });
  }
}
