/**
 * What is kept for a time only: log lines, outbound calls, what people had modules do, and events, 30 days (contract §3). Each round takes a bounded number of each
 * owner's oldest rows, found by the index that the pages use, so that a long history goes in slices and holds up nobody.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database/tables.ts';

export const RETENTION_LIMITS = Object.freeze({ days: 30, rowsOfOwner: 2_000 });

/** An event that somebody still has to hear stays until they have. */
const HEARD = sql`delivered_at is not null and not exists (
  select from event_deliveries delivery left join tasks task on task.id = delivery.task_id
  where delivery.event_id = events.id and case when delivery.subscriber is null
    then delivery.released_at is null or task.status in ('queued', 'pending', 'processing')
    else delivery.finished_at is null end)`;

const KEPT = [
  { table: 'logs', owners: 'tenants', owner: 'tenant_id', only: sql`true` },
  { table: 'calls', owners: 'installations', owner: 'installation_id', only: sql`true` },
  { table: 'module_actions', owners: 'installations', owner: 'installation_id', only: sql`true` },
  { table: 'events', owners: 'tenants', owner: 'tenant_id', only: HEARD },
] as const;

/** One slice of what is too old. To be run again and again. @returns how many rows went */
export async function dropOld(db: Kysely<Tables>, now: Date): Promise<number> {
  const { days, rowsOfOwner } = RETENTION_LIMITS;
  let dropped = 0n;
  for (const { table, owners, owner, only } of KEPT) {
    const result = await sql`
      delete from ${sql.table(table)} where id in (
        select old.id from ${sql.table(owners)} as owner, lateral (
          select id from ${sql.table(table)}
          where ${sql.ref(owner)} = owner.id and at < ${now}::timestamptz - make_interval(days => ${days}) and ${only}
          order by at limit ${rowsOfOwner}) as old)`.execute(db);
    dropped += result.numAffectedRows ?? 0n;
  }
  return Number(dropped);
}
