/**
 * From one task to the next. A run whose task is then over, with nobody to be told, hands its place straight to the oldest waiting task
 * of its installation: the end of the one and the beginning of the other are one transaction, and runs of one installation that
 * end at the same moment share it. Through the queue each of them cost thirty statements; this way it is a few for all (docs/decisions/0040).
 * Fair all the same: a chain of tasks goes back to the queue after a while (JOB_LIMITS.successionMs), behind whoever waits there.
 */
import { sql } from 'kysely';

import { startedRun } from './claim.ts';
import type { Run, StartedRow } from './claim.ts';
import { JOB_LIMITS } from './limits.ts';
import type { FinalDecision, TaskOutcome } from './outcome.ts';
import { freePlaces, lockPlaces, promote } from './places.ts';
import type { Places } from './places.ts';
import type { Db, Trx } from './task.ts';

/** A run that ended, and its task with it. */
export interface Ending {
  readonly run: Run;
  readonly outcome: TaskOutcome;
  readonly decision: FinalDecision;
  /** The worker that ran it: what it takes next is noted under its name. */
  readonly workerId: string;
  /** Whether it goes on with another task. */
  readonly wantsNext: boolean;
}

/** `other` if the task is no more what it was when the run began (cancelled, taken over): nothing was written. */
export type Ended = { readonly kind: 'ended'; readonly next: Run | undefined } | { readonly kind: 'other' };

export interface Succession {
  /** Rejects if the database cannot be written to: then nothing was. */
  end(ending: Ending): Promise<Ended>;
}

interface Waiting {
  readonly ending: Ending;
  readonly settled: PromiseWithResolvers<Ended>;
}

const OTHER: Ended = { kind: 'other' };

/** Closes the runs and their tasks, as far as both still stand as they were. Returns the tasks that are over. */
async function close(trx: Trx, endings: readonly Ending[]): Promise<ReadonlySet<string>> {
  const rows = endings.map(({ run, outcome, decision }) => ({
    task: run.task.id,
    attempt: run.attemptId,
    status: decision.status,
    outcome: decision.outcome,
    result: decision.result ?? null,
    error: decision.error,
    cpu_us: Math.round(outcome.cpuUs),
    wall_ms: Math.round(outcome.wallMs),
  }));
  const { rows: closed } = await sql<{ id: string }>`
    with ended as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as e (
        task uuid, attempt bigint, status text, outcome text, result jsonb, error jsonb, cpu_us bigint, wall_ms integer
      )
    ), closed as (
      update task_attempts a
      set outcome = e.outcome, error = e.error, ended_at = clock_timestamp(), cpu_us = e.cpu_us, wall_ms = e.wall_ms
      from ended e join tasks t on t.id = e.task
      where a.id = e.attempt and a.ended_at is null and t.status = 'processing' and t.finished_at is null
      returning a.task_id
    )
    update tasks t
    set status = e.status, result = e.result, error = e.error, cpu_us = t.cpu_us + e.cpu_us,
      finished_at = clock_timestamp(), taken_by = null
    from ended e join closed c on c.task_id = e.task
    where t.id = e.task
    returning t.id`.execute(trx);
  return new Set(closed.map(({ id }) => id));
}

/** Begins the oldest waiting tasks of an installation, as many as are wanted and have a place. Only a registered worker gets any. */
async function takeNext(trx: Trx, places: Places, wanted: number, workerId: string): Promise<Run[]> {
  const count = Math.min(wanted, await freePlaces(trx, places));
  if (count === 0) return [];
  const { rows } = await sql<StartedRow>`
    with next as (
      select id from tasks
      where installation_id = ${places.installationId} and status = 'pending'
        and exists (select 1 from workers where id = ${workerId})
      order by run_at, created_at limit ${count}
    ), started as (
      update tasks t
      set status = 'processing', attempts = attempts + 1, taken_by = ${workerId},
        started_at = coalesce(started_at, clock_timestamp())
      from next where t.id = next.id
      returning t.*
    ), made as (
      insert into task_attempts (task_id, number)
      select id, 1 + coalesce((select max(number) from task_attempts a where a.task_id = started.id), 0) from started
      returning id, task_id
    )
    select started.*, made.id as attempt_id
    from started join made on made.task_id = started.id
    order by started.run_at, started.created_at`.execute(trx);
  return rows.map(startedRun);
}

/** Endings of one installation, run by one worker, in one transaction. */
async function endTogether(db: Db, endings: readonly Ending[]): Promise<Ended[]> {
  const [first] = endings;
  if (first === undefined) return [];
  return db.transaction().execute(async (trx) => {
    const places = await lockPlaces(trx, first.run.task.installationId);
    if (places === undefined) return endings.map(() => OTHER);
    const closed = await close(trx, endings);
    const wanted = endings.filter(({ run, wantsNext }) => wantsNext && closed.has(run.task.id)).length;
    const next = await takeNext(trx, places, wanted, first.workerId);
    // Less than was wanted means that nothing waits any more, or no place is free.
    if (next.length === wanted && closed.size > wanted) await promote(trx, places);
    return endings.map(({ run, wantsNext }) => {
      if (!closed.has(run.task.id)) return OTHER;
      return { kind: 'ended', next: wantsNext ? next.shift() : undefined };
    });
  });
}

/** One transaction at a time for each installation; what ends meanwhile shares the next. */
export function createSuccession(db: Db): Succession {
  const queues = new Map<string, Waiting[]>();

  const drain = async (key: string, waiting: Waiting[]): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, JOB_LIMITS.successionBatch);
      try {
        const ended = await endTogether(
          db,
          batch.map(({ ending }) => ending),
        );
        for (const [index, { settled }] of batch.entries()) settled.resolve(ended[index] ?? OTHER);
      } catch (error) {
        for (const { settled } of batch) settled.reject(error);
      }
    }
    queues.delete(key);
  };

  return {
    end(ending) {
      const key = `${ending.workerId} ${ending.run.task.installationId}`;
      const settled = Promise.withResolvers<Ended>();
      const known = queues.get(key);
      if (known !== undefined) {
        known.push({ ending, settled });
        return settled.promise;
      }
      const waiting: Waiting[] = [{ ending, settled }];
      queues.set(key, waiting);
      void drain(key, waiting);
      return settled.promise;
    },
  };
}
