/**
 * Adding a task. The row in `tasks` is the source of truth and graphile-worker's job is written in the same transaction: there is
 * no task that nobody will run and no job for a task that was rolled back. Equal tasks of one installation are told apart from
 * duplicates under the installation's lock, so that two adds at the same moment give one queued and one duplicate.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { dedupeKey } from './canonical.ts';
import { addJob } from './graphile.ts';
import { backlogIndex, freePlaces, lockPlaces } from './places.ts';
import type { Places } from './places.ts';
import { inTransaction } from './task.ts';
import type { Db, Trx } from './task.ts';

/** A task to be. What is left out has the contract's default: tries 1, backoff 10 s, timeout 600 s, maxExceptions 2. */
export interface NewTask {
  /** For a caller who has to know it before the transaction; a fresh one if absent. */
  readonly id?: string;
  readonly installationId: string;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
  readonly serviceId?: string | null;
  /** The set of settings it is to run with. */
  readonly instanceId?: string | null;
  /** The task whose run adds this one. */
  readonly parentId?: string | null;
  /** How many events led to it; as for the task that adds it if absent. */
  readonly eventDepth?: number;
  readonly tries?: number;
  readonly backoffS?: number;
  readonly timeoutS?: number;
  readonly maxExceptions?: number;
  /** Now if absent; not before this many seconds from now, by the database's clock. */
  readonly delayS?: number;
  /** Instead of a delay. */
  readonly runAt?: Date;
  /** Refuse with LIMIT when this many tasks of the installation wait already. */
  readonly maxWaiting?: number;
}

export interface Enqueued {
  readonly id: string;
  readonly status: 'queued' | 'duplicate';
}

/** Whether a task of the same installation with the same key waits or runs, other than the one that is adding. */
async function hasTwin(trx: Trx, task: NewTask, key: string): Promise<boolean> {
  const found = await sql`
    select 1 from tasks
    where installation_id = ${task.installationId} and dedupe_key = ${key}
      and status in ('queued', 'pending', 'processing')
      and id is distinct from ${task.parentId ?? null}::uuid
    limit 1`.execute(trx);
  return found.rows.length > 0;
}

/** A job that adds itself again is never a duplicate (A13): of equal ones, only its own earlier follow-up is given back. */
async function findFollowUp(trx: Trx, task: NewTask, key: string): Promise<{ id: string } | undefined> {
  const found = await sql<{ id: string }>`
    select id from tasks
    where installation_id = ${task.installationId} and dedupe_key = ${key}
      and status in ('queued', 'pending', 'processing') and parent_id = ${task.parentId ?? null}::uuid
    limit 1`.execute(trx);
  return found.rows[0];
}

async function readdsItself(trx: Trx, task: NewTask, key: string): Promise<boolean> {
  if (task.parentId === undefined || task.parentId === null) return false;
  const parent = await trx
    .selectFrom('tasks')
    .select('dedupe_key')
    .where('id', '=', task.parentId)
    .where('installation_id', '=', task.installationId)
    .executeTakeFirst();
  return parent?.dedupe_key === key;
}

async function refuseFlood(trx: Trx, task: NewTask): Promise<void> {
  if (task.maxWaiting === undefined) return;
  const waiting = await sql<{ count: number }>`
    select count(*) from (
      select 1 from tasks
      where installation_id = ${task.installationId} and status in ('queued', 'pending')
      limit ${task.maxWaiting}
    ) as waiting`.execute(trx);
  if ((waiting.rows[0]?.count ?? 0) >= task.maxWaiting) {
    throw new HostError(
      'LIMIT',
      `tasks: ${task.maxWaiting} tasks of this module wait already; add more when some have run.`,
    );
  }
}

/** What a handler of an event queues belongs to the chain that led to it. */
export async function eventDepthOf(db: Db, taskId: string | null | undefined): Promise<number> {
  if (taskId === undefined || taskId === null) return 0;
  const parent = await db
    .selectFrom('tasks')
    .select('event_depth')
    .where('id', '=', taskId)
    .executeTakeFirst();
  return parent?.event_depth ?? 0;
}

type RowStatus = 'queued' | 'pending' | 'duplicate';

async function insertRow(
  trx: Trx,
  task: NewTask,
  places: Places,
  row: { id: string; key: string; status: RowStatus; runAt: Date },
): Promise<void> {
  await trx
    .insertInto('tasks')
    .values({
      id: row.id,
      tenant_id: places.tenantId,
      installation_id: task.installationId,
      service_id: task.serviceId ?? null,
      instance_id: task.instanceId ?? null,
      parent_id: task.parentId ?? null,
      event_depth: task.eventDepth ?? (await eventDepthOf(trx, task.parentId)),
      method: task.method,
      params: task.params ?? {},
      tags: [...(task.tags ?? [])],
      tries: task.tries,
      backoff_s: task.backoffS,
      timeout_s: task.timeoutS,
      max_exceptions: task.maxExceptions,
      run_at: row.runAt,
      status: row.status,
      dedupe_key: row.key,
      finished_at: row.status === 'duplicate' ? row.runAt : null,
    })
    .execute();
}

async function enqueueLocked(trx: Trx, task: NewTask, places: Places): Promise<Enqueued> {
  const id = task.id ?? randomUUID();
  const { method, params = {}, tags = [], instanceId } = task;
  const key = dedupeKey({ method, params, tags, instanceId });
  const { now } = places;
  const runAt = task.runAt ?? new Date(now.getTime() + (task.delayS ?? 0) * 1_000);
  if (await readdsItself(trx, task, key)) {
    const followUp = await findFollowUp(trx, task, key);
    if (followUp !== undefined) return { id: followUp.id, status: 'queued' };
  } else if (await hasTwin(trx, task, key)) {
    await insertRow(trx, task, places, { id, key, status: 'duplicate', runAt: now });
    return { id, status: 'duplicate' };
  }
  await refuseFlood(trx, task);
  const waits = runAt <= now && (await freePlaces(trx, places)) === 0;
  const priority = waits ? 0 : await backlogIndex(trx, places.tenantId, runAt);
  await insertRow(trx, task, places, { id, key, status: waits ? 'pending' : 'queued', runAt });
  if (!waits) await addJob(trx, { taskId: id, runAt, priority });
  return { id, status: 'queued' };
}

/**
 * Queues a task. `queued` tells the caller that it will run; in the table it may stand as `pending` until the installation has a
 * free place. A duplicate keeps its row, finished at once, so that the panel can show it.
 * @throws HostError NOT_FOUND without such an installation, LIMIT beyond `maxWaiting`
 */
export async function enqueueTask(db: Db, task: NewTask): Promise<Enqueued> {
  return inTransaction(db, async (trx) => {
    const places = await lockPlaces(trx, task.installationId);
    if (places === undefined) {
      throw new HostError('NOT_FOUND', 'There is no such installation to queue a task for.');
    }
    return enqueueLocked(trx, task, places);
  });
}
