/**
 * What happens to tasks whose worker is gone. graphile-worker would free their jobs after four hours; here a dead worker is found
 * by its missed beats and its free lock (lifeline.ts), its open runs are closed as interrupted and its tasks queued again at
 * once, those that it took without a job too (succession.ts). Any worker does it for any other; the dead worker's own lock lets one at a time.
 * A slower sweep looks for what no such path explains: a waiting task without a job, a job that its handler could not end.
 */
import { sql } from 'kysely';

import { MODULE_RUN } from './graphile.ts';
import { JOB_LIMITS } from './limits.ts';
import type { JobTiming } from './limits.ts';
import { LOCKS } from './locks.ts';
import { lockPlaces, promote } from './places.ts';
import { requeueInterrupted } from './record.ts';
import type { Db, Trx } from './task.ts';

interface HeldJob {
  id: string;
  task_id: string | null;
}

function deadAfterS(timing: JobTiming): number {
  return (timing.beatMs * timing.beatsMissed) / 1_000;
}

/** Workers that missed their beats, and holders of jobs that never registered. Whether they are dead, their lock decides. */
async function suspects(db: Db, timing: JobTiming): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select id from workers where heartbeat_at < now() - make_interval(secs => ${deadAfterS(timing)})
    union
    select locked_by from graphile_worker.jobs j
    where locked_by is not null and not exists (select 1 from workers w where w.id = j.locked_by)
    group by locked_by
    having max(locked_at) < now() - make_interval(secs => ${JOB_LIMITS.unregisteredS})`.execute(db);
  return found.rows.map(({ id }) => id);
}

/** Interrupts and queues the tasks of these jobs again, in the order of their installations' locks, and removes the jobs. */
async function replaceJobs(
  trx: Trx,
  jobs: readonly HeldJob[],
  jobless: readonly string[] = [],
): Promise<void> {
  const taskIds = [...jobs.flatMap(({ task_id: id }) => (id === null ? [] : [id])), ...jobless];
  if (taskIds.length > 0) {
    const known = await trx
      .selectFrom('tasks')
      .select('id')
      .where('id', 'in', taskIds)
      .orderBy('installation_id')
      .execute();
    for (const { id } of known) await requeueInterrupted(trx, id);
  }
  const jobIds = jobs.map(({ id }) => id);
  await sql`select graphile_worker.complete_jobs(${jobIds}::bigint[])`.execute(trx);
}

/**
 * Takes over what a dead worker held. Does nothing while its lock is held (it lives, or another takes it over right now), or if it
 * has beaten again. Returns how many tasks it freed.
 */
export async function takeOver(db: Db, workerId: string, timing: JobTiming): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const tried = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(${LOCKS.worker}::int, hashtext(${workerId}::text)) as free`.execute(
      trx,
    );
    if (tried.rows[0]?.free !== true) return 0;
    const fresh = await sql`
      select 1 from workers where id = ${workerId}
        and heartbeat_at >= now() - make_interval(secs => ${deadAfterS(timing)})`.execute(trx);
    if (fresh.rows.length > 0) return 0;
    const jobs = await sql<HeldJob>`
      select id::text, key as task_id from graphile_worker.jobs where locked_by = ${workerId}`.execute(trx);
    await sql`select graphile_worker.force_unlock_workers(array[${workerId}::text])`.execute(trx);
    const taken = await trx
      .selectFrom('tasks')
      .select('id')
      .where('taken_by', '=', workerId)
      .where('finished_at', 'is', null)
      .execute();
    await replaceJobs(
      trx,
      jobs.rows,
      taken.map(({ id }) => id),
    );
    await trx.deleteFrom('workers').where('id', '=', workerId).execute();
    return jobs.rows.length + taken.length;
  });
}

/** Takes over from every worker that is dead. Returns how many tasks were freed. */
export async function recoverDead(db: Db, timing: JobTiming): Promise<number> {
  let freed = 0;
  for (const id of await suspects(db, timing)) freed += await takeOver(db, id, timing);
  return freed;
}

/**
 * Tasks that a living worker took without a job and does not run any more: their end could not be written. One that was taken a
 * moment ago may not have reached the worker yet. Returns how many it queued again.
 */
export async function requeueStranded(db: Db, workerId: string, running: readonly string[]): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from tasks t
    where taken_by = ${workerId} and finished_at is null and id <> all (${[...running]}::uuid[])
      and not exists (
        select 1 from task_attempts a
        where a.task_id = t.id and a.started_at > clock_timestamp() - make_interval(secs => ${JOB_LIMITS.strandedS})
      )
      and not exists (select 1 from graphile_worker.jobs j where j.key = t.id::text)`.execute(db);
  for (const { id } of rows) await db.transaction().execute(async (trx) => requeueInterrupted(trx, id));
  return rows.length;
}

/** Jobs whose handler failed on our side: graphile-worker keeps them as failed for good. */
async function replaceDeadJobs(trx: Trx): Promise<number> {
  const dead = await sql<HeldJob>`
    select id::text, key as task_id from graphile_worker.jobs
    where task_identifier = ${MODULE_RUN} and locked_by is null and attempts >= max_attempts`.execute(trx);
  if (dead.rows.length > 0) await replaceJobs(trx, dead.rows);
  return dead.rows.length;
}

/** Tasks that should have a job and have none. */
async function requeueJobless(trx: Trx): Promise<number> {
  const found = await sql<{ id: string }>`
    select id from tasks t
    where status in ('queued', 'processing')
      and not exists (select 1 from graphile_worker.jobs j where j.key = t.id::text)
      and not exists (select 1 from workers w where w.id = t.taken_by)
    order by installation_id`.execute(trx);
  let requeued = 0;
  for (const { id } of found.rows) {
    const still = await requeueIfJobless(trx, id);
    if (still) requeued += 1;
  }
  return requeued;
}

/** Looked at again under the lock: it may have ended, or been given a job, since it was found. */
async function requeueIfJobless(trx: Trx, taskId: string): Promise<boolean> {
  const home = await trx
    .selectFrom('tasks')
    .select('installation_id')
    .where('id', '=', taskId)
    .executeTakeFirst();
  if (home === undefined) return false;
  await lockPlaces(trx, home.installation_id);
  const jobless = await sql`
    select 1 from tasks t where id = ${taskId}::uuid and status in ('queued', 'processing')
      and not exists (select 1 from graphile_worker.jobs j where j.key = t.id::text)
      and not exists (select 1 from workers w where w.id = t.taken_by)`.execute(trx);
  if (jobless.rows.length === 0) return false;
  await requeueInterrupted(trx, taskId);
  return true;
}

/** Lets waiting tasks in where places became free by something else than a task's end: a resumed installation, a wider grant. */
async function promoteAll(trx: Trx): Promise<number> {
  const waiting = await sql<{ installation_id: string }>`
    select distinct installation_id from tasks where status = 'pending' order by installation_id`.execute(
    trx,
  );
  let promoted = 0;
  for (const { installation_id: id } of waiting.rows) promoted += await promoteLocked(trx, id);
  return promoted;
}

async function promoteLocked(trx: Trx, installationId: string): Promise<number> {
  const places = await lockPlaces(trx, installationId);
  return places === undefined ? 0 : promote(trx, places);
}

/**
 * Lets an installation's waiting tasks in as far as its places go. To be called when it is enabled or resumed, or its grant grows;
 * the sweep does it too, later.
 */
export async function promoteTasks(db: Db, installationId: string): Promise<number> {
  return db.transaction().execute(async (trx) => promoteLocked(trx, installationId));
}

/** Closes the lanes of workers that died on them: what they ran there waits still. Returns how many tasks it let in. */
export async function closeDeadLanes(db: Db): Promise<number> {
  const { rows } = await sql<{ installation_id: string }>`
    delete from task_lanes where places > 0 and until < clock_timestamp() returning installation_id`.execute(
    db,
  );
  let promoted = 0;
  for (const { installation_id: id } of rows) promoted += await promoteTasks(db, id);
  return promoted;
}

/** Finds and mends what no worker's death explains. One process at a time; the others skip their turn. Returns what it mended. */
export async function sweepTasks(db: Db): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const tried = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(${LOCKS.sweep}::int, 0) as free`.execute(trx);
    if (tried.rows[0]?.free !== true) return 0;
    return (await replaceDeadJobs(trx)) + (await requeueJobless(trx)) + (await promoteAll(trx));
  });
}

/**
 * After a restore: the tasks are there, the queue is empty and none of their workers lives. What waited waits again, what ran was
 * interrupted. Safe to be run again. @returns how many it queued
 */
export async function requeueAll(db: Db): Promise<number> {
  const open = await db
    .selectFrom('tasks')
    .select('id')
    .where('finished_at', 'is', null)
    .where('status', '!=', 'pending')
    .orderBy('installation_id')
    .execute();
  for (const { id } of open) await db.transaction().execute(async (trx) => requeueInterrupted(trx, id));
  await sweepTasks(db);
  return open.length;
}
