/** The queue as a test sees it: nothing runs until it is told to, and then until nothing is left. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Bulkhead } from '../host.ts';
import { addJob } from '../jobs/graphile.ts';

export interface TaskView {
  readonly uuid: string;
  readonly method: string;
  readonly status: string;
  readonly tags: readonly string[];
  readonly params: unknown;
  readonly attempts: number;
  readonly result: unknown;
  readonly error: unknown;
  readonly run_at: Date;
}

export interface RunTasksOptions {
  /** Also what is due later: delays, retries and schedules are taken as if their time had come. */
  readonly delayed?: boolean;
  readonly timeoutMs?: number;
}

const LOOK_MS = 25;
const TIMEOUT_MS = 60_000;
const WAITING = ['queued', 'pending', 'processing'] as const;
const WORKER = { concurrency: 4, timing: { pollMs: LOOK_MS } };

export async function readTasks({ panel }: Bulkhead, installationId: string): Promise<TaskView[]> {
  const rows = await panel.db
    .selectFrom('tasks')
    .selectAll()
    .where('installation_id', '=', installationId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(({ id, method, status, tags, params, attempts, result, error, run_at }) => ({
    uuid: id,
    method,
    status,
    tags,
    params,
    attempts,
    result,
    error,
    run_at,
  }));
}

async function bringForward({ panel }: Bulkhead, installationId: string): Promise<void> {
  await panel.db.transaction().execute(async (trx) => {
    const runAt = new Date();
    const early = await trx
      .updateTable('tasks')
      .set({ run_at: runAt })
      .where('installation_id', '=', installationId)
      .where('status', '=', 'queued')
      .where('run_at', '>', runAt)
      .returning('id')
      .execute();
    for (const { id } of early) await addJob(trx, { taskId: id, runAt, priority: 0 });
  });
}

/** How many of an installation's tasks are left to be run now. */
async function countDue({ panel }: Bulkhead, installationId: string): Promise<number> {
  const rows = await panel.db
    .selectFrom('tasks')
    .select('id')
    .where('installation_id', '=', installationId)
    .where('status', 'in', WAITING)
    .where((e) => e.or([e('run_at', '<=', new Date()), e('status', '=', 'processing')]))
    .execute();
  return rows.length;
}

/**
 * Runs what waits, and what that adds, until nothing is due.
 * @returns the installation's tasks, oldest first
 * @throws HostError TIMEOUT naming what still runs
 */
export async function runTasks(
  bulkhead: Bulkhead,
  installationId: string,
  { delayed = false, timeoutMs = TIMEOUT_MS }: RunTasksOptions = {},
): Promise<TaskView[]> {
  const worker = await bulkhead.startWorker(WORKER);
  try {
    const end = performance.now() + timeoutMs;
    for (;;) {
      if (delayed) await bringForward(bulkhead, installationId);
      if ((await countDue(bulkhead, installationId)) === 0) break;
      if (performance.now() > end) {
        const left = (await readTasks(bulkhead, installationId)).filter(({ status }) =>
          WAITING.some((waiting) => waiting === status),
        );
        throw new HostError(
          'TIMEOUT',
          `After ${timeoutMs} ms there still wait or run: ${left.map(({ method, status }) => `${method} (${status})`).join(', ')}.`,
        );
      }
      await sleep(LOOK_MS);
    }
  } finally {
    await worker.stop();
  }
  await bulkhead.recorder.flush();
  return readTasks(bulkhead, installationId);
}
