/**
 * Starting what is due. Any number of workers look at once; the one that holds the schedule's row moves it on and queues its task in the same
 * transaction, so a due moment is run once or, after a crash, not yet. What was missed while nobody looked is made up for by one run, and a run
 * that would overlap the one before is left out; both are recorded.
 */
import { sql, type Selectable } from 'kysely';
import type { SchedulesTable } from '../database/tables.ts';
import { isDatabaseAway } from '../database/database-away.ts';
import { type Loop, startLoop } from '../jobs/loop.ts';
import { reasonOf, type JobLog } from '../jobs/log.ts';
import { lockPlaces } from '../jobs/places.ts';
import { enqueueTask } from '../jobs/queue.ts';
import type { Db, Trx } from '../jobs/task.ts';
import { maySchedule } from './granted.ts';
import { SCHEDULE_LIMITS } from './limits.ts';
import { nextAfter } from './times.ts';

type Schedule = Selectable<SchedulesTable>;
type Outcome = 'queued' | 'caught_up' | 'overlap' | 'manual';

/**
 * Queues what is due at `now`. Returns how many schedules it moved on. One that cannot be started is looked at again after a while and
 * stops no other: it would else stand first in every round, in front of every tenant's.
 */
export async function tick(db: Db, now: Date, log: JobLog = () => undefined): Promise<number> {
  const due = await db
    .selectFrom('schedules as schedule')
    .innerJoin('installations as installation', 'installation.id', 'schedule.installation_id')
    .select(['schedule.id', 'schedule.installation_id'])
    .where('schedule.paused_at', 'is', null)
    .where('schedule.next_at', '<=', now)
    .where('installation.status', 'in', ['active', 'restricted'])
    .where('installation.paused_at', 'is', null)
    .where(maySchedule('installation'))
    .orderBy('schedule.next_at')
    .limit(SCHEDULE_LIMITS.perTick)
    .execute();
  let moved = 0;
  for (const { id, installation_id: installationId } of due)
    try {
      if (await startOne(db, id, installationId, now)) moved++;
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      log('warning', `schedule ${id}: ${reasonOf(error)}`);
      await postpone(db, id, now);
    }
  return moved;
}

async function postpone(db: Db, scheduleId: string, now: Date): Promise<void> {
  await db
    .updateTable('schedules')
    .set({ next_at: new Date(now.getTime() + SCHEDULE_LIMITS.againMs) })
    .where('id', '=', scheduleId)
    .where('next_at', '<=', now)
    .execute();
}

async function startOne(db: Db, scheduleId: string, installationId: string, now: Date): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    // Where tasks take their locks, and before the schedule's own.
    await lockPlaces(trx, installationId);
    const row = await trx
      .selectFrom('schedules')
      .selectAll()
      .where('id', '=', scheduleId)
      .where('paused_at', 'is', null)
      .where('next_at', '<=', now)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return false;
    const { missed, dueAt, nextAt } = await moments(trx, row, now);
    await trx
      .updateTable('schedules')
      .set(nextAt === undefined ? { paused_at: now } : { next_at: nextAt })
      .where('id', '=', row.id)
      .execute();
    await run(trx, row, { dueAt, missed, outcome: missed === 0 ? 'queued' : 'caught_up' });
    return true;
  });
}

/** How many due moments passed unseen, the last of them, and the next one to come. */
async function moments(
  trx: Trx,
  row: Schedule,
  now: Date,
): Promise<{ missed: number; dueAt: Date; nextAt: Date | undefined }> {
  const { timezone } = await trx
    .selectFrom('tenants')
    .select('timezone')
    .where('id', '=', row.tenant_id)
    .executeTakeFirstOrThrow();
  const times = { cron: row.cron, everyS: row.every_s };
  let dueAt = row.next_at;
  let nextAt = nextAfter(times, timezone, dueAt);
  let missed = 0;
  while (nextAt !== undefined && nextAt <= now && missed < SCHEDULE_LIMITS.missedCounted) {
    missed++;
    dueAt = nextAt;
    nextAt = nextAfter(times, timezone, dueAt);
  }
  if (nextAt !== undefined && nextAt <= now) nextAt = nextAfter(times, timezone, now);
  return { missed, dueAt, nextAt };
}

interface Run {
  readonly dueAt: Date;
  readonly missed: number;
  readonly outcome: Outcome;
}

async function stillRuns(trx: Trx, taskId: string | null): Promise<boolean> {
  if (taskId === null) return false;
  const task = await trx
    .selectFrom('tasks')
    .select('id')
    .where('id', '=', taskId)
    .where('status', 'in', ['queued', 'pending', 'processing'])
    .executeTakeFirst();
  return task !== undefined;
}

async function run(trx: Trx, row: Schedule, wanted: Run): Promise<Outcome> {
  const taskId = (await stillRuns(trx, row.last_task_id)) ? null : await queue(trx, row);
  const outcome = taskId === null ? 'overlap' : wanted.outcome;
  if (taskId !== null)
    await trx.updateTable('schedules').set({ last_task_id: taskId }).where('id', '=', row.id).execute();
  await trx
    .insertInto('schedule_runs')
    .values({
      schedule_id: row.id,
      due_at: wanted.dueAt,
      outcome,
      missed: wanted.missed,
      task_id: taskId,
    })
    .execute();
  await sql`
    delete from schedule_runs where schedule_id = ${row.id} and id not in (
      select id from schedule_runs where schedule_id = ${row.id} order by id desc limit ${SCHEDULE_LIMITS.runsKept}
    )`.execute(trx);
  return outcome;
}

/** The run's task; null if the same task waits or runs already, whoever queued it. */
async function queue(trx: Trx, row: Schedule): Promise<string | null> {
  const queued = await enqueueTask(trx, {
    installationId: row.installation_id,
    method: row.method,
    params: row.params as Readonly<Record<string, unknown>>,
    tags: row.tags,
    tries: row.tries,
    backoffS: row.backoff_s,
    timeoutS: row.timeout_s,
    maxExceptions: row.max_exceptions,
    eventDepth: row.event_depth,
  });
  return queued.status === 'duplicate' ? null : queued.id;
}

/** One run now, because a person wants it. Its next run stays as it was. 'overlap' if one waits or runs already. */
export async function runNow(
  db: Db,
  scheduleId: string,
  now: Date,
): Promise<'manual' | 'overlap' | undefined> {
  return db.transaction().execute(async (trx) => {
    const found = await trx
      .selectFrom('schedules')
      .select('installation_id')
      .where('id', '=', scheduleId)
      .executeTakeFirst();
    if (found === undefined) return undefined;
    await lockPlaces(trx, found.installation_id);
    const row = await trx
      .selectFrom('schedules')
      .selectAll()
      .where('id', '=', scheduleId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined || (await stillRuns(trx, row.last_task_id))) return row && 'overlap';
    const outcome = await run(trx, row, { dueAt: now, missed: 0, outcome: 'manual' });
    return outcome === 'manual' ? 'manual' : 'overlap';
  });
}

/** What each worker process does about schedules. */
export function startTicks(db: Db, log: JobLog): Loop {
  return startLoop(
    'schedules',
    SCHEDULE_LIMITS.tickMs,
    async () => {
      try {
        await tick(db, new Date(), log);
      } catch (error) {
        log('warning', `schedules: ${reasonOf(error)}`);
      }
    },
    log,
  );
}
