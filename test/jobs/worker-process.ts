/** worker-child.ts as a process of its own, with what it ran. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { TestDatabase } from '../support/database.ts';
import { FAST } from './fixture.ts';

export interface Child extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Ids of the tasks it has begun to run, in order. */
  ran(): string[];
  kill(): Promise<void>;
}

export async function workerChild(host: TestDatabase, concurrency = 4): Promise<Child> {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-worker-'));
  const runs = join(folder, 'runs');
  writeFileSync(runs, '');
  const settings = { runs, concurrency, endpoint: host.endpoint, timing: FAST };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'worker-child.ts')], {
    env: { WORKER_CHILD: JSON.stringify(settings) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await Promise.race([
    once(child.stdout, 'data'),
    exited.then(() => Promise.reject(new Error('no worker came up'))),
  ]);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    process: child,
    ran: () => readFileSync(runs, 'utf8').split('\n').filter(Boolean),
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
