/**
 * Whether a module may still run what it scheduled: taking back the permission to queue jobs holds its schedules too, those that its code
 * made included. Nothing is stored about it, so nothing can disagree with the grant.
 */
import { sql, type RawBuilder } from 'kysely';

/** @param installation the table, or what it is called in the query */
export function maySchedule(installation: string): RawBuilder<boolean> {
  return sql<boolean>`(${sql.ref(`${installation}.grants`)} ? 'tasks')`;
}
