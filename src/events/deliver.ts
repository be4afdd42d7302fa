/**
 * From an event to those who listen: their list is written down once, with a row for each handler, and is what the event's page shows.
 * Handlers of modules run as tasks of the queue; subscribers of the host run here, each in a transaction of its own that also records its
 * result. Any number of processes may do this at once: rows are locked, and what is locked is passed over.
 */
import { sql } from 'kysely';
import * as v from 'valibot';
import type { Installations } from '../catalog/installations.ts';
import { reasonOf } from '../jobs/log.ts';
import type { Db, Trx } from '../jobs/task.ts';
import { EVENT_LIMITS } from './limits.ts';
import { findListeners } from './listeners.ts';
import type { Subscribers } from './subscribers.ts';
import { nextTurn } from './turns.ts';

export interface DeliverDeps {
  readonly db: Db;
  readonly installations: Installations;
  readonly subscribers: Subscribers;
}

const Payload = v.record(v.string(), v.unknown());
const TEXT_CHARACTERS = 1_000;

/** Events nobody has looked at yet; one of each tenant before anybody's second. */
export async function undelivered(db: Db): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from (
      select id, at, row_number() over (partition by tenant_id order by at) as turn
      from events where delivered_at is null
    ) as waiting
    order by turn, at limit ${EVENT_LIMITS.perRound}`.execute(db);
  return rows.map(({ id }) => id);
}

/** Writes down who hears an event, and gives the first handler its turn. */
export async function deliver(deps: DeliverDeps, eventId: string): Promise<void> {
  const { db, installations, subscribers } = deps;
  await db.transaction().execute(async (trx) => {
    const event = await trx
      .selectFrom('events')
      .select(['id', 'tenant_id', 'name'])
      .where('id', '=', eventId)
      .where('delivered_at', 'is', null)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (event === undefined) return;
    const own = subscribers.listening(event.name).map((subscriber) => ({ subscriber }));
    const listeners = await findListeners(trx, installations, {
      tenantId: event.tenant_id,
      name: event.name,
    });
    const rows = [
      ...own,
      ...listeners.map(({ installationId, handler, priority }) => ({
        installation_id: installationId,
        handler,
        priority,
      })),
    ].map((row, position) => ({ event_id: eventId, position, ...row }));
    if (rows.length > 0) await trx.insertInto('event_deliveries').values(rows).execute();
    await trx
      .updateTable('events')
      .set({ delivered_at: sql<Date>`clock_timestamp()` })
      .where('id', '=', eventId)
      .execute();
  });
  await nextTurn(db, eventId);
}

/** Subscribers of the host that are due. */
export async function dueSubscribers(db: Db): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from (
      select delivery.id, retry_at, row_number() over (partition by tenant_id order by retry_at) as turn
      from event_deliveries delivery join events event on event.id = delivery.event_id
      where subscriber is not null and finished_at is null and retry_at <= clock_timestamp()
    ) as due
    order by turn, retry_at limit ${EVENT_LIMITS.perRound}`.execute(db);
  return rows.map(({ id }) => id);
}

async function lockDelivery(trx: Trx, deliveryId: string) {
  return trx
    .selectFrom('event_deliveries as delivery')
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .select([
      'delivery.id',
      'delivery.subscriber',
      'delivery.attempts',
      'event.id as event_id',
      'event.tenant_id',
      'event.name',
      'event.payload',
      'event.source',
      'event.at',
    ])
    .where('delivery.id', '=', deliveryId)
    .where('delivery.subscriber', 'is not', null)
    .where('delivery.finished_at', 'is', null)
    .where('delivery.retry_at', '<=', sql<Date>`clock_timestamp()`)
    .forUpdate('delivery')
    .skipLocked()
    .executeTakeFirst();
}

/** Calls one subscriber of the host: its effects and the record of it happen together. A failure is recorded and tried again later. */
export async function callSubscriber({ db, subscribers }: DeliverDeps, deliveryId: string): Promise<void> {
  const startedAt = performance.now();
  const wallMs = (): number => Math.round(performance.now() - startedAt);
  try {
    await db.transaction().execute(async (trx) => {
      const row = await lockDelivery(trx, deliveryId);
      if (row === undefined) return;
      const handler = subscribers.find(row.subscriber ?? '', row.name);
      if (handler === undefined) throw new Error('This part of the host listens to the event no longer.');
      await handler(
        {
          id: row.event_id,
          tenantId: row.tenant_id,
          name: row.name,
          payload: v.parse(Payload, row.payload),
          source: row.source,
          at: row.at,
        },
        trx,
      );
      await trx
        .updateTable('event_deliveries')
        .set({
          attempts: row.attempts + 1,
          error: null,
          wall_ms: wallMs(),
          finished_at: sql<Date>`clock_timestamp()`,
        })
        .where('id', '=', deliveryId)
        .execute();
    });
  } catch (error) {
    await recordFailure(db, deliveryId, reasonOf(error), wallMs());
  }
}

async function recordFailure(db: Db, deliveryId: string, reason: string, wallMs: number): Promise<void> {
  const { subscriberTries, subscriberBackoffS, subscriberBackoffGrowth } = EVENT_LIMITS;
  await sql`
    update event_deliveries set
      attempts = attempts + 1,
      error = ${reason.slice(0, TEXT_CHARACTERS)},
      wall_ms = ${wallMs},
      retry_at = clock_timestamp()
        + make_interval(secs => ${subscriberBackoffS} * power(${subscriberBackoffGrowth}, attempts)),
      finished_at = case when attempts + 1 >= ${subscriberTries} then clock_timestamp() end
    where id = ${deliveryId} and finished_at is null`.execute(db);
}

/** Removes what is older than it is kept. Returns how many. */
export async function cleanEvents(db: Db): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    delete from events where id in (
      select id from events
      where at < now() - make_interval(days => ${EVENT_LIMITS.keptDays}) and delivered_at is not null
      order by at limit ${EVENT_LIMITS.cleanRows}
    ) returning id`.execute(db);
  return rows.length;
}
