/**
 * The rows behind a task's steps and the requests that they sent: what `this.step(…)`, requests and mails inside of a job, and a
 * person's Resume and Mark-as-done all read and write. A step that is done stays done; one request is noted once and answered once.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { storable } from '../database/storable.ts';
import type { Db } from './task.ts';

export interface StepKey {
  readonly taskId: string;
  readonly name: string;
}

/** One request of a step: `number` counts from 0. */
export interface RequestKey extends StepKey {
  readonly number: number;
}

export interface StepRow {
  readonly idempotency_key: string;
  readonly status: 'running' | 'done' | 'in_doubt';
  readonly value: unknown;
}

export async function findStep(db: Db, { taskId, name }: StepKey): Promise<StepRow | undefined> {
  return db
    .selectFrom('steps')
    .select(['idempotency_key', 'status', 'value'])
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/**
 * The step of that name, made if the task has none yet.
 * @throws HostError NOT_FOUND if the task is gone
 */
export async function openStep(db: Db, key: StepKey): Promise<StepRow> {
  // Two at once: the second finds the first's row.
  await db
    .insertInto('steps')
    .columns(['task_id', 'name', 'idempotency_key'])
    .expression((eb) =>
      eb
        .selectFrom('tasks')
        .select(['id', eb.val(key.name).as('name'), eb.val(randomUUID()).as('idempotency_key')])
        .where('id', '=', key.taskId),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await findStep(db, key);
  if (row === undefined) throw new HostError('NOT_FOUND', 'steps: the task is gone.');
  return row;
}

export async function countSteps(db: Db, taskId: string): Promise<number> {
  const { count } = await db
    .selectFrom('steps')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('task_id', '=', taskId)
    .executeTakeFirstOrThrow();
  return count;
}

export async function setStepStatus(
  db: Db,
  { taskId, name }: StepKey,
  status: 'running' | 'in_doubt',
): Promise<void> {
  await db
    .updateTable('steps')
    .set({ status })
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .where('status', '<>', 'done')
    .execute();
}

/** @returns false if there is no such step, or it is done already */
export async function finishStep(db: Db, { taskId, name }: StepKey, value: unknown): Promise<boolean> {
  const done = await db
    .updateTable('steps')
    .set({ status: 'done', value: storable(value) ?? null, finished_at: sql<Date>`clock_timestamp()` })
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .where('status', '<>', 'done')
    .returning('name')
    .executeTakeFirst();
  return done !== undefined;
}

/** Notes a request as sent. @returns false if it was noted before */
export async function noteSent(
  db: Db,
  { taskId, name, number }: RequestKey,
  fingerprint: string,
): Promise<boolean> {
  const noted = await db
    .insertInto('step_requests')
    .values({ task_id: taskId, step: name, number, fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .returning('number')
    .executeTakeFirst();
  return noted !== undefined;
}

/**
 * @param response as JSON can hold it
 * @returns false if it is not there to be answered: another run of the task has taken over
 */
export async function noteAnswered(
  db: Db,
  { taskId, name, number }: RequestKey,
  response: unknown,
): Promise<boolean> {
  const noted = await db
    .updateTable('step_requests')
    .set({ response: JSON.stringify(response), answered_at: sql<Date>`clock_timestamp()` })
    .where('task_id', '=', taskId)
    .where('step', '=', name)
    .where('number', '=', number)
    .where('answered_at', 'is', null)
    .returning('number')
    .executeTakeFirst();
  return noted !== undefined;
}

/** Forgets what was sent without an answer: of one request, of a step, or of the whole task. */
export async function forgetUnanswered(
  db: Db,
  { taskId, name, number }: Pick<StepKey, 'taskId'> & Partial<RequestKey>,
): Promise<void> {
  let unanswered = db
    .deleteFrom('step_requests')
    .where('task_id', '=', taskId)
    .where('answered_at', 'is', null);
  if (name !== undefined) unanswered = unanswered.where('step', '=', name);
  if (number !== undefined) unanswered = unanswered.where('number', '=', number);
  await unanswered.execute();
}
