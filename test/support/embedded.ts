/** What the tests of the embedded PostgreSQL share: a folder that goes away, a host of its own process, and waiting. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const IS_ROOT = process.getuid?.() === 0;

/** Speed only: what is tested here is not what fsync is for. */
export const FAST = { fsync: 'off', full_page_writes: 'off' };

const WAIT_MS = 20_000;
const POLL_MS = 20;

export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/** A folder that every account may enter, unless another mode is given. */
export function temporaryFolder(mode = 0o755): TemporaryFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'bulkhead-test-')));
  chmodSync(path, mode);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += POLL_MS) {
    if (holds()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`waited in vain until ${what}`);
}

export interface OtherHost extends AsyncDisposable {
  readonly pid: number;
  readonly postgresPid: number;
  /** Resolves at its end. */
  readonly exited: Promise<unknown>;
  /** kill -9, and wait for its end. */
  kill(): Promise<void>;
}

/** Starts the embedded PostgreSQL in a process of its own, which then waits to be killed, or ends without a stop. */
export async function otherHost(dataDir: string, then: 'wait' | 'leave' = 'wait'): Promise<OtherHost> {
  const script = fileURLToPath(new URL('embedded-host.ts', import.meta.url));
  const child = spawn(process.execPath, [script, dataDir, then], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const line = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the other host ended with ${code}`)));
  });
  const postgresPid = Number(await line);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    pid: child.pid ?? 0,
    postgresPid,
    exited,
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
      await until('the other host’s PostgreSQL has stopped', () => !isAlive(postgresPid));
    },
  };
}
