/**
 * Who may connect to the modules' database stands in one row for all installations, and PostgreSQL refuses the second of two who change it
 * at once ("tuple concurrently updated") instead of letting him wait. So whoever grants or revokes there waits for this lock first, which is
 * held until his transaction ends.
 */
import type { HostSql } from '../connect.ts';

export type Transaction = Parameters<Parameters<HostSql['begin']>[1]>[0];

/** Two-part advisory locks are apart from one-part ones, which installations are locked by. */
const RIGHTS_LOCK = 1_148_225;

/** To be called as the host, whom alone the function is left to. */
export async function lockDatabaseRights(sql: Transaction): Promise<void> {
  await sql`select pg_advisory_xact_lock(${RIGHTS_LOCK}::int, 0)`;
}
