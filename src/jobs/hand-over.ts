/**
 * The statements by which an installation's runs end and its waiting tasks begin, many at once. They take no decision between them, so that
 * they leave for PostgreSQL with one write (succession.ts). Each is fenced by what it finds under the installation's lock: a run that was
 * written down by its open attempt; one that was not, by its task's still waiting.
 */
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';

import type { StartedRow } from './claim.ts';
import { JOB_LIMITS } from './limits.ts';
import type { FinalDecision, TaskOutcome } from './outcome.ts';
import { isOpenLane, limitOfInstallation, takesPlace } from './places.ts';

/** Not if the queue has somebody for the place: of an installation that the worker runs nothing of, or of any. */
export type Wish = boolean | 'unlessOthers' | 'unlessAny';

/** A run that ended, and its task with it. */
export interface Record {
  readonly taskId: string;
  /** Null if the run was never written down. */
  readonly attemptId: number | null;
  readonly outcome: TaskOutcome;
  readonly decision: FinalDecision;
}

/** What one of a worker's places of an installation has to say: a run that ended, if it is still to be written, and whether it goes on. */
export interface Word {
  readonly record: Record | undefined;
  readonly wish: Wish;
}

/** A worker and the installation whose tasks it runs. */
export interface Line {
  readonly workerId: string;
  readonly installationId: string;
  /** The tasks whose jobs of the queue the worker has in hand: others that it fetched wait for it. */
  readonly handled: readonly string[];
  /** The installations of which it runs something. */
  readonly served: readonly string[];
}

export interface HandOver extends Line {
  readonly words: readonly Word[];
  /** Places on which tasks run that are not written down, beside those that speak. */
  readonly drafts: number;
  /** Tasks that the worker has and that may still look as if they waited. */
  readonly inHand: readonly string[];
  /** How many of those wait in fact. */
  readonly known: number;
  /** Null: the next ones are begun. Else they are only told, and so many more, and the worker has the installation's free places for a while. */
  readonly ahead: number | null;
  /** Whether the worker may have a lane here. */
  readonly hasLane: boolean;
}

/** A next task; its attempt is null if it is only told. */
export type NextRow = Omit<StartedRow, 'attempt_id'> & { readonly attempt_id: number | null };

/** A row for each next task; one with nulls if there is none. */
export type HandOverRow = (NextRow | { readonly id: null }) & {
  /** The tasks that are over now. */
  readonly finished: readonly string[] | null;
  /** Places that may go on. */
  readonly granted: number;
  /** More tasks wait, and there are places for them: somebody has to let them in. */
  readonly isSpare: boolean;
};

function wordsJson(words: readonly Word[]): string {
  return JSON.stringify(
    words.map(({ record, wish }) => ({
      task: record?.taskId ?? null,
      attempt: record?.attemptId ?? null,
      status: record?.decision.status ?? null,
      outcome: record?.decision.outcome ?? null,
      result: record?.decision.result ?? null,
      error: record?.decision.error ?? null,
      cpu_us: Math.round(record?.outcome.cpuUs ?? 0),
      wall_ms: Math.round(record?.outcome.wallMs ?? 0),
      wants: wish !== false,
      yields: typeof wish === 'string',
    })),
  );
}

/** Whether a job waits for a worker, free or fetched ahead by this one: of an installation not served, or of any. */
function awaited({ workerId, handled, served }: Line, ofAny: boolean): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select 1 from graphile_worker.jobs j join tasks t on t.id = j.key::uuid
    where j.run_at <= now()
      and ((j.locked_at is null and j.attempts < j.max_attempts) or (j.locked_by = ${workerId} and j.key <> all (${[...handled]}::text[])))
      and (${ofAny}::boolean or t.installation_id <> all (${[...served]}::uuid[]))
  )`;
}

const began = sql`
  started as (
    update tasks t
    set status = 'processing', attempts = attempts + 1, taken_by = (select worker from line),
      started_at = coalesce(started_at, clock_timestamp())
    from next where t.id = next.id
    returning t.*
  ), made as (
    insert into task_attempts (task_id, number)
    select id, 1 + coalesce((select max(number) from task_attempts a where a.task_id = started.id), 0) from started
    returning id, task_id
  ), begun as (
    select started.*, made.id as attempt_id from started join made on made.task_id = started.id
  )`;
const told = sql`begun as (select t.*, null::bigint as attempt_id from next join tasks t on t.id = next.id)`;

/** The lane as it is after this: closed when nobody is on it any more. */
const laneKept = (known: number): RawBuilder<unknown> => sql`
  lane as (
    insert into task_lanes (installation_id, worker_id, places, until)
    select line.installation, line.worker, line.drafts + least(granted.count, ${known}::int + (select count(*) from next)),
      clock_timestamp() + make_interval(secs => ${sql.lit(JOB_LIMITS.laneMs / 1_000)})
    from line, granted where line.elsewhere = 0
    on conflict (installation_id) do update
    set worker_id = excluded.worker_id, places = excluded.places, until = excluded.until
  ),`;

/**
 * Closes runs and their tasks, as far as both still stand as they were, and gives their places to the oldest waiting tasks. Only a
 * registered worker gets any, and none while another has a lane.
 */
export function handOver(how: HandOver): RawBuilder<HandOverRow> {
  const { installationId, workerId, words } = how;
  const yields = words.some(({ wish }) => typeof wish === 'string');
  const isAwaited = yields
    ? awaited(
        how,
        words.some(({ wish }) => wish === 'unlessAny'),
      )
    : sql`false`;
  return sql`
    with word as (
      select * from jsonb_to_recordset(${wordsJson(words)}::text::jsonb) as e (
        task uuid, attempt bigint, status text, outcome text, result jsonb, error jsonb, cpu_us bigint, wall_ms integer,
        wants boolean, yields boolean
      )
    ), line as materialized (
      select i.id as installation, ${workerId}::text as worker, ${how.drafts}::int as drafts, ${limitOfInstallation} as places,
        exists (select 1 from workers where id = ${workerId}) as registered, coalesce((
          select l.places from task_lanes l where l.installation_id = i.id and l.worker_id <> ${workerId} and ${isOpenLane}
        ), 0) as elsewhere
      from installations i where id = ${installationId}
    ), closed as (
      update task_attempts a
      set outcome = e.outcome, error = e.error, ended_at = clock_timestamp(), cpu_us = e.cpu_us, wall_ms = e.wall_ms
      from word e join tasks t on t.id = e.task
      where a.id = e.attempt and a.ended_at is null and t.status = 'processing' and t.finished_at is null
      returning a.task_id
    ), finished as (
      update tasks t
      set status = e.status, result = e.result, error = e.error, cpu_us = t.cpu_us + e.cpu_us,
        attempts = t.attempts + (e.attempt is null)::int,
        started_at = coalesce(t.started_at, clock_timestamp() - make_interval(secs => e.wall_ms / 1000.0)),
        finished_at = clock_timestamp(), taken_by = null
      from word e, line
      where t.id = e.task and case when e.attempt is null then t.status = 'pending' and line.places > 0
        else e.task in (select task_id from closed) end
      returning t.id, e.attempt, e.outcome, e.error, e.cpu_us, e.wall_ms, t.started_at
    ), noted as (
      insert into task_attempts (task_id, number, outcome, error, started_at, ended_at, cpu_us, wall_ms)
      select id, 1 + coalesce((select max(number) from task_attempts a where a.task_id = finished.id), 0), outcome, error,
        greatest(started_at, clock_timestamp() - make_interval(secs => wall_ms / 1000.0)), clock_timestamp(), cpu_us, wall_ms
      from finished where attempt is null
    ), free as materialized (
      select places - drafts - elsewhere + (select count(*) from finished where attempt is not null) - (
        select count(*) from tasks where installation_id = ${installationId} and ${takesPlace}
      ) as count from line
    ), granted as materialized (
      select greatest(0, least((
        select count(*) from word
        where wants and not (yields and ${isAwaited}) and (attempt is null or task in (select id from finished))
      ), case when registered and elsewhere = 0 then free.count else 0 end)) as count from line, free
    ), next as materialized (
      select id from tasks
      where installation_id = ${installationId} and status = 'pending' and id <> all (${how.inHand}::uuid[])
      order by run_at, created_at
      limit (
        select granted.count + case when granted.count + line.drafts > 0 and line.registered and elsewhere = 0 and line.places > 0
          then ${how.ahead ?? 0}::int else 0 end from granted, line
      )
    ), ${how.ahead !== null || how.hasLane ? laneKept(how.known) : sql``} ${how.ahead === null ? began : told}
    select (select array_agg(id) from finished) as finished, granted.count as granted, begun.*,
      case when free.count > granted.count then exists (
        select 1 from tasks where installation_id = ${installationId} and status = 'pending' and id <> all (${how.inHand}::uuid[])
        order by run_at, created_at offset (select count(*) from next)
      ) else false end as "isSpare"
    from granted cross join free left join begun on true
    order by begun.run_at, begun.created_at`;
}

/** Writes down that tasks run which a worker began on its lane. */
export function beginDrafts(
  line: Line,
  drafts: readonly { readonly taskId: string; readonly ageMs: number }[],
): RawBuilder<StartedRow> {
  const { installationId, workerId } = line;
  return sql<StartedRow>`
    with begun as (
      select * from jsonb_to_recordset(${JSON.stringify(drafts)}::text::jsonb) as e ("taskId" uuid, "ageMs" float8)
    ), started as (
      update tasks t
      set status = 'processing', attempts = attempts + 1, taken_by = ${workerId},
        started_at = coalesce(started_at, clock_timestamp() - make_interval(secs => "ageMs" / 1000))
      from begun
      where t.id = "taskId" and t.status = 'pending'
        and exists (select 1 from workers where id = ${workerId})
        and exists (select 1 from installations i where id = ${installationId} and ${limitOfInstallation} > 0)
        and exists (
          select 1 from task_lanes l
          where l.installation_id = ${installationId} and l.worker_id = ${workerId} and ${isOpenLane}
        )
      returning t.*
    ), made as (
      insert into task_attempts (task_id, number, started_at)
      select id, 1 + coalesce((select max(number) from task_attempts a where a.task_id = started.id), 0),
        clock_timestamp() - make_interval(secs => "ageMs" / 1000)
      from started join begun on "taskId" = started.id
      returning id, task_id
    )
    select started.*, made.id as attempt_id from started join made on made.task_id = started.id`;
}
