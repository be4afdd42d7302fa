/**
 * Taking a task to run it. The claim on the task's row decides who runs it; graphile-worker's lock only delivers. Each change
 * happens under the installation's lock and is fenced by the attempt's row: a worker that was taken for dead can no longer
 * write a result. Between a run's record and the task's finish it stands as `processing` without an open attempt: its
 * method has ended and will not run again, and the finishing hook is due.
 */
import { sql } from 'kysely';
import type { Selectable } from 'kysely';

import type { WireError } from '../../sandbox/contract/envelope.ts';
import type { TasksTable } from '../database/tables.ts';
import type { AttemptOutcome } from './outcome.ts';
import { isOpenLane, lockPlaces, moveUp } from './places.ts';
import type { Places } from './places.ts';
import { taskFrom } from './task.ts';
import type { Db, FinalStatus, Task, Trx } from './task.ts';

/** A claimed run. `attempt` counts from 1 within the task's tries. */
export interface Run {
  readonly task: Task;
  readonly attemptId: number;
  readonly attempt: number;
}

/** A waiting task that runs before that is written down (docs/decisions/0041). */
export interface Draft {
  readonly task: Task;
  readonly attempt: number;
}

/** How a task ended, for the finishing hook. `value` is what its method returned; null if it did not return. */
export interface Finished {
  readonly status: FinalStatus;
  readonly value: unknown;
  readonly error: WireError | null;
}

export type Claim =
  | { readonly kind: 'none' }
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'finish'; readonly task: Task; readonly finished: Finished };

const NONE: Claim = { kind: 'none' };

/** A task and its installation's places, both locked. */
export interface Held {
  readonly places: Places;
  readonly task: Task;
}

/** The task's row and its installation's lock, for the rest of the transaction. */
export async function holdTask(trx: Trx, taskId: string): Promise<Held | undefined> {
  const home = await trx
    .selectFrom('tasks')
    .select('installation_id')
    .where('id', '=', taskId)
    .executeTakeFirst();
  if (home === undefined) return undefined;
  const places = await lockPlaces(trx, home.installation_id);
  const row = await trx
    .selectFrom('tasks')
    .selectAll()
    .where('id', '=', taskId)
    .forUpdate()
    .executeTakeFirst();
  return places === undefined || row === undefined ? undefined : { places, task: taskFrom(row) };
}

interface Standing {
  /** The task's last run; null if it never ran. */
  readonly last: { readonly outcome: AttemptOutcome | null; readonly number: number } | null;
  /** How many of its installation's tasks run. */
  readonly running: number;
}

/** Statuses are literals in the query so that the partial index serves it. */
async function standingOf(trx: Trx, task: Task): Promise<Standing> {
  const { rows } = await sql<Standing>`
    select (
      select jsonb_build_object('outcome', outcome, 'number', number) from task_attempts
      where task_id = ${task.id} order by id desc limit 1
    ) as last, (
      select count(*) from tasks where installation_id = ${task.installationId} and status = 'processing'
    ) + coalesce((
      select places from task_lanes l where installation_id = ${task.installationId} and ${isOpenLane}
    ), 0) as running`.execute(trx);
  return rows[0] ?? { last: null, running: 0 };
}

/** How a task ended, told from its row and its last run. */
export function finishedAs(task: Task, outcome: AttemptOutcome | null | undefined): Finished {
  if (task.status === 'cancelled' || outcome === 'cancelled') {
    return { status: 'cancelled', value: null, error: task.error };
  }
  return { status: outcome === 'completed' ? 'completed' : 'failed', value: task.result, error: task.error };
}

/**
 * Takes a task to run it, if that is right now. A task beyond its installation's places becomes `pending` and waits for one.
 * A task that another worker runs, or ran when it died, is left to that worker, or to the recovery.
 */
export async function claimTask(db: Db, taskId: string): Promise<Claim> {
  return db.transaction().execute(async (trx) => {
    const held = await holdTask(trx, taskId);
    if (held === undefined || held.task.finishedAt !== null) return NONE;
    const { task, places } = held;
    const { last, running } = await standingOf(trx, task);
    const isOpen = last !== null && last.outcome === null;
    switch (task.status) {
      case 'cancelled':
      case 'processing':
        return isOpen ? NONE : { kind: 'finish', task, finished: finishedAs(task, last?.outcome) };
      case 'queued':
      case 'pending': {
        if (running < places.limit) return startRun(trx, task, last?.number ?? 0);
        await trx.updateTable('tasks').set({ status: 'pending' }).where('id', '=', taskId).execute();
        return NONE;
      }
      case 'completed':
      case 'failed':
      case 'duplicate':
        return NONE;
      default:
        return task.status satisfies never;
    }
  });
}

/** A row of `tasks` with the run that was begun for it. */
export type StartedRow = Selectable<TasksTable> & { readonly attempt_id: number };

export function startedRun(row: StartedRow): Run {
  return { task: taskFrom(row), attemptId: row.attempt_id, attempt: row.attempts };
}

async function startRun(trx: Trx, task: Task, runsBefore: number): Promise<Claim> {
  const { rows } = await sql<StartedRow>`
    with started as (
      update tasks
      set status = 'processing', attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp())
      where id = ${task.id}
      returning *
    ), made as (
      insert into task_attempts (task_id, number) select id, ${runsBefore + 1} from started returning id
    )
    select started.*, made.id as attempt_id from started, made`.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new Error('a task that is held was not there');
  await moveUp(trx, task.tenantId);
  return { kind: 'run', run: startedRun(row) };
}
