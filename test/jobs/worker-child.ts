/**
 * A worker in a process of its own, to be killed. What it does depends on the task's method, and each run leaves a line in a file
 * before anything else, so that a test can count runs that the database may not know of.
 */
import { appendFileSync } from 'node:fs';
import * as v from 'valibot';

import { connectHost } from '../../src/database/connect.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import type { TaskOutcome } from '../../src/jobs/outcome.ts';

const Settings = v.object({
  runs: v.string(),
  concurrency: v.number(),
  endpoint: v.object({
    host: v.string(),
    port: v.number(),
    user: v.string(),
    password: v.string(),
    database: v.string(),
  }),
  timing: v.record(v.string(), v.number()),
});

const { runs, endpoint, timing, concurrency } = v.parse(
  Settings,
  JSON.parse(process.env['WORKER_CHILD'] ?? ''),
);
const { db } = connectHost(endpoint, { max: 5 });
const success: TaskOutcome = { kind: 'returned', value: { status: 'success' }, cpuUs: 0, wallMs: 0 };

await startWorker({
  endpoint,
  db,
  concurrency,
  timing,
  log: () => {},
  runTask: async (task, { signal }) => {
    appendFileSync(runs, `${task.id}\n`);
    if (task.method === 'stop') process.kill(process.pid, 'SIGSTOP');
    if (task.method !== 'hang') return success;
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(success));
      process.once('SIGUSR2', () => resolve(success));
    });
  },
  concernsEnd: ({ method }) => method !== 'plain' && method !== 'hang' && method !== 'stop',
  onFinished: async (task) => {
    if (task.method === 'dieInHook') process.kill(process.pid, 'SIGKILL');
    return undefined;
  },
});
process.stdout.write('ready\n');
