/**
 * What a person, or the module itself, does to a task from outside: cancel it, queue it again, resume it at a step in doubt. All of
 * it works from any process: the row says what is wanted, and a notification hurries the worker that is concerned.
 */
import { sql } from 'kysely';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { holdTask } from './claim.ts';
import { addJob } from './graphile.ts';
import { backlogIndex, freePlaces, promote } from './places.ts';
import type { Places } from './places.ts';
import { finishStep, forgetUnanswered } from './step-rows.ts';
import { inTransaction } from './task.ts';
import type { Db, Task, Trx } from './task.ts';

/** Channel on which workers hear, by task id, that a running task was cancelled. */
export const CANCEL_CHANNEL = 'bulkhead_task_cancel';

function notFound(): HostError {
  return new HostError('NOT_FOUND', 'There is no such task.');
}

async function hasOpenAttempt(trx: Trx, taskId: string): Promise<boolean> {
  const open = await trx
    .selectFrom('task_attempts')
    .select('id')
    .where('task_id', '=', taskId)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  return open !== undefined;
}

/**
 * Cancels a task. A waiting one never runs; a running one is told to stop and counts as cancelled from now on, whatever it still
 * returns. `cancelled` is false if it had ended already. The finishing hook runs for both, in a worker.
 * @throws HostError NOT_FOUND
 */
export async function cancelTask(
  db: Db,
  taskId: string,
  message = 'The task was cancelled.',
): Promise<{ cancelled: boolean }> {
  return inTransaction(db, async (trx) => {
    const held = await holdTask(trx, taskId);
    if (held === undefined) throw notFound();
    const { task, places } = held;
    const waits = task.status === 'queued' || task.status === 'pending';
    const runs = task.status === 'processing' && (await hasOpenAttempt(trx, taskId));
    if (!waits && !runs) return { cancelled: false };
    const error = { code: 'CANCELLED', message };
    await trx.updateTable('tasks').set({ status: 'cancelled', error }).where('id', '=', taskId).execute();
    if (runs) await sql`select pg_notify(${CANCEL_CHANNEL}::text, ${taskId}::text)`.execute(trx);
    else await addJob(trx, { taskId, runAt: places.now, priority: 0 });
    if (waits) await promote(trx, places);
    return { cancelled: true };
  });
}

async function refuseUnlessEnded(trx: Trx, task: Task): Promise<void> {
  if (task.finishedAt === null || (task.status !== 'failed' && task.status !== 'cancelled')) {
    throw new HostError(
      'CONFLICT',
      `Only a failed or cancelled task can be queued again; this one is ${task.finishedAt === null ? 'not ended yet' : task.status}.`,
    );
  }
  const twin = await sql`
    select 1 from tasks
    where installation_id = ${task.installationId}
      and dedupe_key = (select dedupe_key from tasks where id = ${task.id}::uuid)
      and status in ('queued', 'pending', 'processing') limit 1`.execute(trx);
  if (twin.rows.length > 0) {
    throw new HostError('CONFLICT', 'The same task waits or runs already; wait for that one.');
  }
}

async function queueAgain(trx: Trx, task: Task, places: Places): Promise<void> {
  const waits = (await freePlaces(trx, places)) === 0;
  const priority = waits ? 0 : await backlogIndex(trx, places.tenantId, places.now);
  await trx
    .updateTable('tasks')
    .set({
      status: waits ? 'pending' : 'queued',
      run_at: places.now,
      attempts: 0,
      exceptions: 0,
      result: null,
      error: null,
      progress_percent: null,
      progress_note: null,
      started_at: null,
      finished_at: null,
    })
    .where('id', '=', task.id)
    .execute();
  if (!waits) await addJob(trx, { taskId: task.id, runAt: places.now, priority });
}

/**
 * Queues a failed or cancelled task again, with its tries anew. Its attempts stay as history and its finished steps stay finished.
 * @throws HostError NOT_FOUND, CONFLICT if it has not ended so or the same task waits already
 */
export async function retryTask(db: Db, taskId: string): Promise<void> {
  await endedTask(db, taskId, async () => {});
}

async function endedTask(db: Db, taskId: string, prepare: (trx: Trx) => Promise<void>): Promise<void> {
  await inTransaction(db, async (trx) => {
    const held = await holdTask(trx, taskId);
    if (held === undefined) throw notFound();
    await refuseUnlessEnded(trx, held.task);
    await prepare(trx);
    await queueAgain(trx, held.task, held.places);
  });
}

/**
 * The Resume button of a task that failed with STEP_IN_DOUBT: a person has found that the request had no effect, so what was sent
 * without an answer is forgotten and the task runs on from that step, with the same idempotency key.
 * @throws HostError NOT_FOUND, CONFLICT
 */
export async function resumeTask(db: Db, taskId: string): Promise<void> {
  await endedTask(db, taskId, async (trx) => {
    await forgetUnanswered(trx, { taskId });
    await trx
      .updateTable('steps')
      .set({ status: 'running' })
      .where('task_id', '=', taskId)
      .where('status', '=', 'in_doubt')
      .execute();
  });
}

/**
 * The Mark-as-done button: a person has found that the step had its effect. The step counts as finished with `value` and the task
 * runs on after it.
 * @throws HostError NOT_FOUND without such an unfinished step, CONFLICT
 */
export async function markStepDone(db: Db, taskId: string, step: string, value: unknown): Promise<void> {
  await endedTask(db, taskId, async (trx) => {
    if (!(await finishStep(trx, { taskId, name: step }, value))) {
      throw new HostError('NOT_FOUND', `The task has no unfinished step "${step}".`);
    }
  });
}
