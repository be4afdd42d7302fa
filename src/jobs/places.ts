/**
 * Who may run now. An installation has as many places as its admin granted jobs at once; tasks beyond that wait as `pending`, outside
 * graphile-worker, and the one that ends hands its place to the oldest of them. So nobody polls for a place, a tenant's backlog
 * never sits in front of another's in the queue, and within an installation first come is first served.
 * What is in the queue gets as its priority the number of its tenant's tasks already there: a tenant's first job comes before
 * anybody's second.
 */
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';

import { tasks } from '../../sandbox/contract/capabilities/tasks.ts';
import { addJob } from './graphile.ts';
import { JOB_LIMITS, MAX_PRIORITY } from './limits.ts';
import { LOCKS } from './locks.ts';
import type { Trx } from './task.ts';

/** An installation while the caller holds its lock. */
export interface Places {
  readonly installationId: string;
  readonly tenantId: string;
  /** Tasks at once; 0 while the installation is paused or not enabled: its tasks wait. */
  readonly limit: number;
  /** The database's clock, which decides what is due; ours may differ. */
  readonly now: Date;
}

/**
 * How many tasks an installation `i` may run at once. At least one while it runs at all: what the host itself queues (createJob …) must
 * run even if the module may queue nothing.
 */
export const limitOfInstallation = sql<number>`
  case when i.paused_at is null and i.status in ('active', 'restricted') then greatest(1, case
    when jsonb_typeof(i.grants #> '{tasks,concurrency}') = 'number' then (i.grants #>> '{tasks,concurrency}')::int
    else ${sql.lit(tasks.grant.concurrency.fallback)} end)
  else 0 end`;

/** What takes a place: of statuses that are literals, so that the partial index serves them. */
export const takesPlace = sql<boolean>`
  (status = 'processing' or (status = 'queued' and run_at <= clock_timestamp())) and status in ('queued', 'processing')`;

/** A worker's lane `l`: it has so many of an installation's places for the oldest waiting tasks, which it need not note (succession.ts). */
export const isOpenLane = sql<boolean>`l.places > 0 and l.until > clock_timestamp()`;

/** Waits for the lock under which an installation's tasks change their status; held until the transaction ends. */
export function installationLock(installationId: string): RawBuilder<unknown> {
  return sql`select pg_advisory_xact_lock(${LOCKS.installationTasks}::int, hashtext(${installationId}::text))`;
}

/**
 * Takes the lock under which an installation's tasks change their status, until the transaction ends. Order of locks everywhere:
 * a service's row, this lock, a task's row. Undefined if there is no such installation.
 */
export async function lockPlaces(trx: Trx, installationId: string): Promise<Places | undefined> {
  await installationLock(installationId).execute(trx);
  const { rows } = await sql<{ tenant_id: string; limit: number; now: Date }>`
    select tenant_id, ${limitOfInstallation} as limit, clock_timestamp() as now
    from installations i where id = ${installationId}`.execute(trx);
  const [row] = rows;
  if (row === undefined) return undefined;
  return { installationId, tenantId: row.tenant_id, limit: row.limit, now: row.now };
}

/** The places of an installation's open lane; 0 without one. */
export async function lanePlaces(trx: Trx, installationId: string): Promise<number> {
  const { rows } = await sql<{ places: number }>`
    select places from task_lanes l where installation_id = ${installationId} and ${isOpenLane}`.execute(trx);
  return rows[0]?.places ?? 0;
}

/** Places that neither a running task nor one that is due in the queue nor a lane has taken. */
export async function freePlaces(trx: Trx, { installationId, limit }: Places): Promise<number> {
  const { rows } = await sql<{ taken: number }>`
    select (select count(*) from tasks where installation_id = ${installationId} and ${takesPlace}) + coalesce((
      select places from task_lanes l where installation_id = ${installationId} and ${isOpenLane}
    ), 0) as taken`.execute(trx);
  return Math.max(0, limit - (rows[0]?.taken ?? 0));
}

/** The tenant's backlog index for a job that is due at `runAt`: how many of its tasks stand in the queue before it. */
export async function backlogIndex(trx: Trx, tenantId: string, runAt: Date): Promise<number> {
  const counted = await sql<{ count: number }>`
    select count(*) from tasks
    where installation_id in (select id from installations where tenant_id = ${tenantId})
      and status = 'queued' and run_at <= greatest(${runAt}::timestamptz, clock_timestamp())`.execute(trx);
  return counted.rows[0]?.count ?? 0;
}

/**
 * Moves a tenant's waiting jobs up when one of them has left the queue, so that it always has one in front: with a fixed index, a
 * tenant whose second job waits would stand still for as long as others keep adding their first. Skipped while another process
 * does it for this tenant.
 */
export async function moveUp(trx: Trx, tenantId: string): Promise<void> {
  await sql`
    select graphile_worker.reschedule_jobs(array[id], priority := index)
    from (
      select pg_try_advisory_xact_lock(${LOCKS.tenantQueue}::int, hashtext(${tenantId}::text)) as free
    ) as turn, lateral (
      select j.id, j.priority,
        least(row_number() over (order by j.priority, j.run_at) - 1, ${MAX_PRIORITY}::int)::int as index
      from tasks t join graphile_worker.jobs j on j.key = t.id::text
      where turn.free and t.installation_id in (select id from installations where tenant_id = ${tenantId})
        and t.status = 'queued' and t.run_at <= clock_timestamp() and j.locked_at is null
    ) as waiting
    where index <> priority`.execute(trx);
}

/** Gives free places to the oldest waiting tasks. The caller holds the lock. Returns how many it let in. */
export async function promote(trx: Trx, places: Places): Promise<number> {
  const free = await freePlaces(trx, places);
  if (free === 0) return 0;
  const inLane = await lanePlaces(trx, places.installationId);
  // The oldest are in the hands of a lane's worker.
  const skipped = inLane === 0 ? 0 : inLane + JOB_LIMITS.aheadTasks;
  const waiting = await sql<{ id: string; run_at: Date }>`
    select id, run_at from tasks
    where installation_id = ${places.installationId} and status = 'pending'
    order by run_at, created_at limit ${free} offset ${skipped}`.execute(trx);
  for (const { id, run_at: runAt } of waiting.rows) {
    const priority = await backlogIndex(trx, places.tenantId, runAt);
    await trx.updateTable('tasks').set({ status: 'queued' }).where('id', '=', id).execute();
    await addJob(trx, { taskId: id, runAt, priority });
  }
  return waiting.rows.length;
}
