/**
 * Writing down how a run ended, and what that makes of its task: another run in the queue, or the finish. Also for the runs of
 * workers that can no longer say it themselves.
 */
import { sql } from 'kysely';

import type { WireError } from '../../sandbox/contract/envelope.ts';
import { finishedAs, holdTask } from './claim.ts';
import type { Finished, Held, Run } from './claim.ts';
import { addJob } from './graphile.ts';
import { decide, decideInterrupted } from './outcome.ts';
import type { Decision, StopCause, TaskOutcome } from './outcome.ts';
import { backlogIndex, promote } from './places.ts';
import { taskFrom } from './task.ts';
import type { Db, Task, Trx } from './task.ts';

export type Recorded =
  | { readonly kind: 'queued' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'finish'; readonly task: Task; readonly finished: Finished };

/** How many of the task's last closed runs, since a person last queued it, were interrupted without another between. */
async function interruptionsInARow(trx: Trx, task: Task): Promise<number> {
  const counted = await sql<{ count: number }>`
    select count(*) from task_attempts a
    where a.task_id = ${task.id} and a.outcome = 'interrupted' and a.started_at >= ${task.startedAt}::timestamptz
      and not exists (
        select 1 from task_attempts later
        where later.task_id = a.task_id and later.id > a.id and later.outcome <> 'interrupted'
      )`.execute(trx);
  return counted.rows[0]?.count ?? 0;
}

async function applyDecision(trx: Trx, held: Held, decision: Decision): Promise<Recorded> {
  const { task, places } = held;
  if (decision.next === 'finish') {
    const row = await trx
      .updateTable('tasks')
      .set({ result: decision.result ?? null, error: decision.error })
      .where('id', '=', task.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const ended = taskFrom(row);
    return { kind: 'finish', task: ended, finished: finishedAs(ended, decision.outcome) };
  }
  const isRetry = decision.next === 'retry';
  const runAt = new Date(places.now.getTime() + (isRetry ? decision.delayS * 1_000 : 0));
  await trx
    .updateTable('tasks')
    .set({
      status: 'queued',
      run_at: runAt,
      error: decision.error,
      attempts: isRetry ? task.attempts : Math.max(0, task.attempts - 1),
      exceptions: task.exceptions + (isRetry && decision.exception ? 1 : 0),
      taken_by: null,
    })
    .where('id', '=', task.id)
    .execute();
  const priority = isRetry ? await backlogIndex(trx, places.tenantId, runAt) : 0;
  await addJob(trx, { taskId: task.id, runAt, priority });
  await promote(trx, places);
  return { kind: 'queued' };
}

/**
 * Records how a run ended and decides what is next. `lost` if the run was taken from this worker meanwhile: then nothing is
 * written. A task that was cancelled while it ran is cancelled, whatever it returned.
 */
export async function recordOutcome(
  db: Db,
  run: Run,
  outcome: TaskOutcome,
  cause: StopCause | null,
): Promise<Recorded> {
  return db.transaction().execute(async (trx) => {
    const held = await holdTask(trx, run.task.id);
    if (held === undefined) return { kind: 'lost' };
    const interruptions = await interruptionsInARow(trx, held.task);
    const decision =
      held.task.status === 'cancelled'
        ? cancelledDecision(held.task)
        : decide(held.task, outcome, cause, interruptions);
    const closed = await trx
      .updateTable('task_attempts')
      .set({
        outcome: decision.outcome,
        error: decision.error,
        ended_at: sql<Date>`clock_timestamp()`,
        cpu_us: Math.round(outcome.cpuUs),
        wall_ms: Math.round(outcome.wallMs),
      })
      .where('id', '=', run.attemptId)
      .where('ended_at', 'is', null)
      .returning('id')
      .executeTakeFirst();
    if (closed === undefined) return { kind: 'lost' };
    await trx
      .updateTable('tasks')
      .set({ cpu_us: sql<number>`cpu_us + ${Math.round(outcome.cpuUs)}::bigint` })
      .where('id', '=', run.task.id)
      .execute();
    return applyDecision(trx, held, decision);
  });
}

function cancelledDecision(task: Task): Decision {
  return { next: 'finish', outcome: 'cancelled', status: 'cancelled', result: null, error: task.error };
}

/**
 * Puts a task that its worker can no longer run back into the queue: its open run is closed as interrupted. The caller has made
 * sure that nobody runs it. Safe for a task in any state.
 */
export async function requeueInterrupted(trx: Trx, taskId: string): Promise<void> {
  const held = await holdTask(trx, taskId);
  if (held === undefined || held.task.finishedAt !== null) return;
  const { task, places } = held;
  await trx.updateTable('tasks').set({ taken_by: null }).where('id', '=', taskId).execute();
  const now = { taskId, runAt: places.now, priority: 0 };
  if (task.status === 'queued' || task.status === 'pending') {
    await trx.updateTable('tasks').set({ status: 'queued' }).where('id', '=', taskId).execute();
    await addJob(trx, { ...now, runAt: task.runAt });
    return;
  }
  const interruptions = await interruptionsInARow(trx, task);
  const error: WireError = { code: 'INTERRUPTED', message: 'The worker that ran this task is gone.' };
  const decision =
    task.status === 'cancelled' ? cancelledDecision(task) : decideInterrupted(error, interruptions);
  const open = await trx
    .updateTable('task_attempts')
    .set({ outcome: decision.outcome, error: decision.error, ended_at: sql<Date>`clock_timestamp()` })
    .where('task_id', '=', taskId)
    .where('ended_at', 'is', null)
    .returning('id')
    .execute();
  const recorded = open.length === 0 ? undefined : await applyDecision(trx, held, decision);
  if (recorded?.kind !== 'queued') await addJob(trx, now);
}
