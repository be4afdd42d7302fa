/** The end of a task: its final status and the finishing hook's effects, together and once. */
import { sql } from 'kysely';

import type { Finished } from './claim.ts';
import { lockPlaces, promote } from './places.ts';
import type { Db, Task, Trx } from './task.ts';

/** Effects of the finishing hook that must happen together with the task's final status, or not at all. */
export type Apply = (trx: Trx) => Promise<void>;

/**
 * Makes a task's end final, with the hook's effects in the same transaction, and hands its place on. False if it was final already:
 * then nothing happens, the effects neither.
 */
export async function finishTask(
  db: Db,
  task: Task,
  finished: Finished,
  apply: Apply | undefined,
): Promise<boolean> {
  const missed = Symbol('already final');
  try {
    await db.transaction().execute(async (trx) => {
      await apply?.(trx);
      const places = await lockPlaces(trx, task.installationId);
      const done = await trx
        .updateTable('tasks')
        .set({
          status: finished.status,
          error: finished.error,
          finished_at: sql<Date>`clock_timestamp()`,
          taken_by: null,
        })
        .where('id', '=', task.id)
        .where('finished_at', 'is', null)
        .where('status', 'in', ['processing', 'cancelled'])
        .returning('id')
        .executeTakeFirst();
      if (done === undefined) throw missed;
      if (places !== undefined) await promote(trx, places);
    });
    return true;
  } catch (error) {
    if (error === missed) return false;
    throw error;
  }
}
