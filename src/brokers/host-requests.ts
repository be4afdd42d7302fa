/**
 * Hosts that a module keeps in rows of its own and asks for while it runs (contract A24). The admin confirms each once, on a page; until then, and
 * if refused, it is not reachable. Asking again changes nothing, so a module may ask before each use.
 */
import { sql, type Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Tables } from '../database/tables.ts';
import { LOCKS } from '../jobs/locks.ts';
import type { Trx } from '../jobs/task.ts';
import type { Scope } from './broker.ts';
import { createRate } from './tasks-rate.ts';

export type HostRequestStatus = 'asked' | 'confirmed' | 'refused';

export interface HostRequests {
  /** @param pattern one host, as it would stand in the capability's hosts */
  ask(scope: Scope, capability: 'http' | 'net', pattern: string): Promise<HostRequestStatus>;
}

export function createHostRequests(db: Kysely<Tables>): HostRequests {
  const rate = createRate(() => performance.now());
  const find = async (scope: Scope, capability: 'http' | 'net', pattern: string) =>
    db
      .selectFrom('host_requests')
      .select('status')
      .where('installation_id', '=', scope.installationId)
      .where('capability', '=', capability)
      .where('pattern', '=', pattern)
      .executeTakeFirst();
  return {
    ask: async (scope, capability, pattern) => {
      if (!rate.allows(scope.installationId, LIMITS.hostRequestsPerMinute))
        throw new HostError(
          'LIMIT',
          `${capability}: a module may ask for hosts ${LIMITS.hostRequestsPerMinute} times a minute; keep the answer for a while.`,
        );
      const known = await find(scope, capability, pattern);
      if (known !== undefined) return known.status;
      await db.transaction().execute((trx) => add(trx, scope.installationId, capability, pattern));
      return (await find(scope, capability, pattern))?.status ?? 'asked';
    },
  };
}

/** One after the other for an installation: else fifty at once would all find room for one. */
async function add(
  trx: Trx,
  installationId: string,
  capability: 'http' | 'net',
  pattern: string,
): Promise<void> {
  await sql`select pg_advisory_xact_lock(${LOCKS.hostRequests}::int, hashtext(${installationId}::text))`.execute(
    trx,
  );
  const { count } = await trx
    .selectFrom('host_requests')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('installation_id', '=', installationId)
    .executeTakeFirstOrThrow();
  if (count >= LIMITS.hostRequests)
    throw new HostError(
      'LIMIT',
      `${capability}: this module has asked for ${LIMITS.hostRequests} hosts; the admin takes back what is no longer needed.`,
    );
  await trx
    .insertInto('host_requests')
    .values({ installation_id: installationId, capability, pattern })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
