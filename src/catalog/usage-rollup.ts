/**
 * What installations used, made coarser as it grows old, so that it does not grow for ever: minutes become their hour after two days (the pages
 * look a day back), hours their day after two months, days go after two years. The sums stay what they were. Rows stay in the one table:
 * what begins on the hour may be an hour, and nothing needs to know which.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database/tables.ts';

export const USAGE_AGES = Object.freeze({ minutesDays: 2, hoursDays: 60, daysDays: 730 });

/** Of one installation in one round: a day of minutes. */
const ROWS_OF_INSTALLATION = 1_440;

const STAGES = [
  { unit: 'hour', afterDays: USAGE_AGES.minutesDays },
  { unit: 'day', afterDays: USAGE_AGES.hoursDays },
] as const;

/**
 * One slice. To be run again and again; two processes may do it at once: each row is taken away by one of them, and its sum added by that one.
 * @returns how many rows went
 */
export async function rollUpUsage(db: Kysely<Tables>, now: Date): Promise<number> {
  let gone = 0;
  for (const { unit, afterDays } of STAGES) {
    // Whole units only: one that has begun would be counted twice by whoever asks for its first half.
    const edge = sql`date_trunc(${unit}::text, ${now}::timestamptz - make_interval(days => ${afterDays}), 'UTC')`;
    const { rows } = await sql<{ gone: number }>`
      with taken as (
        delete from usage_minutes where (installation_id, minute) in (
          select old.installation_id, old.minute from installations, lateral (
            select u.installation_id, u.minute from usage_minutes u
            where u.installation_id = installations.id and u.minute < ${edge}
              and u.minute <> date_trunc(${unit}::text, u.minute, 'UTC')
            order by u.minute limit ${ROWS_OF_INSTALLATION}) old)
        returning *
      ), added as (
        insert into usage_minutes as u (installation_id, minute, invocations, errors, killed, refused, capability_calls, cpu_us, wall_ms)
        select installation_id, date_trunc(${unit}::text, minute, 'UTC'), sum(invocations), sum(errors), sum(killed), sum(refused),
          sum(capability_calls), sum(cpu_us), sum(wall_ms)
        from taken group by 1, 2
        on conflict (installation_id, minute) do update set
          invocations = u.invocations + excluded.invocations, errors = u.errors + excluded.errors, killed = u.killed + excluded.killed,
          refused = u.refused + excluded.refused, capability_calls = u.capability_calls + excluded.capability_calls,
          cpu_us = u.cpu_us + excluded.cpu_us, wall_ms = u.wall_ms + excluded.wall_ms
      )
      select count(*)::int as gone from taken`.execute(db);
    gone += rows[0]?.gone ?? 0;
  }
  const dropped = await sql`
    delete from usage_minutes where minute < ${now}::timestamptz - make_interval(days => ${USAGE_AGES.daysDays})`.execute(
    db,
  );
  return gone + Number(dropped.numAffectedRows ?? 0);
}
