/**
 * Whose turn it is: handlers of one event begin one after another, the highest priority first. The next one's turn comes when the one before
 * has had a first run, however that ended, or has not begun for a while; so nobody's failure, retry or backlog stops the rest.
 */
import { sql } from 'kysely';
import type { Db, Task, Trx } from '../jobs/task.ts';
import { enqueueTask } from '../jobs/queue.ts';
import { EVENT_LIMITS } from './limits.ts';

/** Tasks of handlers have names that no module can queue. */
export const HANDLER_PREFIX = 'on:';

interface Waiting {
  readonly id: string;
  readonly installation_id: string;
  readonly handler: number;
}

/** Gives the next handler of an event its turn, if it has come. */
export async function nextTurn(db: Db, eventId: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const event = await trx
      .selectFrom('events')
      .select(['id', 'name', 'depth'])
      .where('id', '=', eventId)
      .forUpdate()
      .executeTakeFirst();
    if (event === undefined || (await isHeld(trx, eventId))) return;
    const next = await trx
      .selectFrom('event_deliveries')
      .select(['id', 'installation_id', 'handler'])
      .where('event_id', '=', eventId)
      .where('subscriber', 'is', null)
      .where('released_at', 'is', null)
      .orderBy('position')
      .limit(1)
      .$narrowType<Waiting>()
      .executeTakeFirst();
    if (next !== undefined) await release(trx, event, next);
  });
}

/** Called after each run of a task: if it was a handler's, the next one's turn may have come. */
export async function nextTurnAfter(db: Db, task: Task): Promise<void> {
  const event = task.method.startsWith(HANDLER_PREFIX) ? task.params['event'] : undefined;
  if (typeof event === 'string') await nextTurn(db, event);
}

/** Whether the handler whose turn it is has not had its first run. */
async function isHeld(trx: Trx, eventId: string): Promise<boolean> {
  const held = await sql`
    select 1 from (
      select task_id, released_at from event_deliveries
      where event_id = ${eventId} and subscriber is null and released_at is not null
      order by position desc limit 1
    ) as last
    join tasks t on t.id = last.task_id
    where last.released_at > clock_timestamp() - make_interval(secs => ${EVENT_LIMITS.turnMs / 1_000})
      and t.finished_at is null
      and not exists (select 1 from task_attempts a where a.task_id = t.id and a.ended_at is not null)`.execute(
    trx,
  );
  return held.rows.length > 0;
}

async function release(
  trx: Trx,
  event: { readonly id: string; readonly name: string; readonly depth: number },
  next: Waiting,
): Promise<void> {
  const { id: taskId } = await enqueueTask(trx, {
    installationId: next.installation_id,
    method: `${HANDLER_PREFIX}${event.name}`,
    // The delivery too: run again by a person, it is no duplicate of another handler's.
    params: { event: event.id, handler: next.handler, delivery: next.id },
    tags: ['event', event.name],
    tries: EVENT_LIMITS.handlerTries,
    maxExceptions: EVENT_LIMITS.handlerTries,
    backoffS: EVENT_LIMITS.handlerBackoffS,
    timeoutS: EVENT_LIMITS.handlerTimeoutS,
    eventDepth: event.depth,
  });
  await trx
    .updateTable('event_deliveries')
    .set({ task_id: taskId, released_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', next.id)
    .execute();
}

/** Runs a handler once more, as a new task: for a person who mended its cause. */
export async function runHandlerAgain(trx: Trx, deliveryId: string): Promise<void> {
  const delivery = await trx
    .selectFrom('event_deliveries as delivery')
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .select([
      'delivery.id',
      'delivery.installation_id',
      'delivery.handler',
      'delivery.event_id',
      'event.name',
      'event.depth',
    ])
    .where('delivery.id', '=', deliveryId)
    .where('delivery.subscriber', 'is', null)
    .$narrowType<Waiting>()
    .executeTakeFirstOrThrow();
  await release(trx, { id: delivery.event_id, name: delivery.name, depth: delivery.depth }, delivery);
}

/**
 * Events with handlers whose turn may have come without anybody saying so: after a crash, or because one does not begin. One of each tenant
 * before anybody's second.
 */
export async function waitingEvents(db: Db): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from (
      select id, at, row_number() over (partition by tenant_id order by at) as turn
      from events
      where id in (select event_id from event_deliveries where subscriber is null and released_at is null)
    ) as waiting
    order by turn, at limit ${EVENT_LIMITS.perRound}`.execute(db);
  return rows.map(({ id }) => id);
}
