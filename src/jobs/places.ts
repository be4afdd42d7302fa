/**
 * Who may run now. An installation has as many places as its admin granted jobs at once; tasks beyond that wait as `pending`, outside
 * graphile-worker, and the one that ends hands its place to the oldest of them. So nobody polls for a place, a tenant's backlog
 * never sits in front of another's in the queue, and within an installation first come is first served.
 * What is in the queue gets as its priority the number of its tenant's tasks already there: a tenant's first job comes before
 * anybody's second.
 */
import { sql } from 'kysely';
import * as v from 'valibot';

import { tasks } from '../../sandbox/contract/capabilities/tasks.ts';
import { addJob } from './graphile.ts';
import { MAX_PRIORITY } from './limits.ts';
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

const GrantedTasks = v.object({ tasks: v.object({ concurrency: v.number() }) });

/** At least one: what the host itself queues (createJob …) must run even if the module may queue nothing. */
function grantedAtOnce(grants: unknown): number {
  const parsed = v.safeParse(GrantedTasks, grants);
  const granted = parsed.success ? parsed.output.tasks.concurrency : tasks.grant.concurrency.fallback;
  return Math.max(1, granted);
}

/**
 * Takes the lock under which an installation's tasks change their status, until the transaction ends. Order of locks everywhere:
 * a service's row, this lock, a task's row. Undefined if there is no such installation.
 */
export async function lockPlaces(trx: Trx, installationId: string): Promise<Places | undefined> {
  await sql`select pg_advisory_xact_lock(${LOCKS.installationTasks}::int, hashtext(${installationId}::text))`.execute(
    trx,
  );
  const row = await trx
    .selectFrom('installations')
    .select(['tenant_id', 'status', 'paused_at', 'grants', sql<Date>`clock_timestamp()`.as('now')])
    .where('id', '=', installationId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const runs = row.paused_at === null && (row.status === 'active' || row.status === 'restricted');
  const limit = runs ? grantedAtOnce(row.grants) : 0;
  return { installationId, tenantId: row.tenant_id, limit, now: row.now };
}

/** Places that neither a running task nor one that is due in the queue has taken. Statuses are literals: the partial index serves them. */
export async function freePlaces(trx: Trx, places: Places): Promise<number> {
  const counted = await sql<{ count: number }>`
    select count(*) from tasks
    where installation_id = ${places.installationId}
      and (status = 'processing' or (status = 'queued' and run_at <= clock_timestamp()))
      and status in ('queued', 'pending', 'processing')`.execute(trx);
  return Math.max(0, places.limit - (counted.rows[0]?.count ?? 0));
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
  const waiting = await sql<{ id: string; run_at: Date }>`
    select id, run_at from tasks
    where installation_id = ${places.installationId} and status = 'pending'
    order by run_at, created_at limit ${free}`.execute(trx);
  for (const { id, run_at: runAt } of waiting.rows) {
    const priority = await backlogIndex(trx, places.tenantId, runAt);
    await trx.updateTable('tasks').set({ status: 'queued' }).where('id', '=', id).execute();
    await addJob(trx, { taskId: id, runAt, priority });
  }
  return waiting.rows.length;
}
