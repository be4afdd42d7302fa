/**
 * The circuit breaker. An invocation that had to be killed costs more than its own quota: it takes its isolate or its whole process with
 * it, and its neighbours are run again. So a version that is killed time and again is paused, for a person to look at. Counted in the
 * database, since any process may see the next kill. Only the invocation that was killed counts; who was interrupted
 * beside it does not. A pause touches no data and runs no code of the module: what was queued waits.
 */
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { ErrorCode } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Tables } from '../database/tables.ts';
import { emit } from '../events/emit.ts';
import type { Installation, Installations } from './installations.ts';
import type { Recorder } from './recorder.ts';

export interface Kill {
  /** The version that was killed, which need not be the one in force (update). */
  readonly installation: Installation;
  readonly method: string;
  readonly code: ErrorCode;
}

export interface Breaker {
  /** Counts a kill and pauses the installation when it was one too many. Never rejects: what happened is told already. */
  killed(kill: Kill): Promise<void>;
}

export interface BreakerDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly recorder: Recorder;
  onFault(error: unknown): void;
}

const MINUTE_MS = 60_000;

export function createBreaker(deps: BreakerDeps): Breaker {
  return {
    async killed(kill) {
      try {
        const reason = await count(deps, kill);
        if (reason !== undefined) await tell(deps, kill.installation, reason);
      } catch (error) {
        deps.onFault(error);
      }
    },
  };
}

/** Why the installation is paused now; undefined if it is not, or was already. */
async function count(deps: BreakerDeps, { installation, method, code }: Kill): Promise<string | undefined> {
  const { id, version } = installation;
  return deps.db.transaction().execute(async (trx) => {
    // One after the other: two kills at once must not each believe that they are not yet the last.
    const present = await trx
      .selectFrom('installations')
      .select(['version_id', 'paused_at'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    if (present === undefined || present.paused_at !== null) return undefined;
    await trx
      .insertInto('breaker_kills')
      .values({ installation_id: id, version_id: version.id, method: method.slice(0, 100), code })
      .execute();
    const kills = trx
      .deleteFrom('breaker_kills')
      .where('installation_id', '=', id)
      .where('version_id', '=', version.id);
    await kills
      .where('at', '<', sql<Date>`clock_timestamp() - ${LIMITS.breakerWindowMs} * interval '1 ms'`)
      .execute();
    const { number } = await trx
      .selectFrom('breaker_kills')
      .select((eb) => eb.fn.countAll<number>().as('number'))
      .where('installation_id', '=', id)
      .where('version_id', '=', version.id)
      .executeTakeFirstOrThrow();
    if (number < LIMITS.breakerKills || present.version_id !== version.id) return undefined;
    const reason = `Version ${version.version} had to be stopped ${number} times within ${LIMITS.breakerWindowMs / MINUTE_MS} minutes, at last in ${method}() with ${code}.`;
    await trx
      .updateTable('installations')
      .set({ paused_at: new Date(), paused_reason: reason })
      .where('id', '=', id)
      .execute();
    await emit(trx, {
      tenantId: installation.tenant.id,
      name: 'ModulePaused',
      payload: {
        installation_uuid: id,
        module: `${version.type}/${version.name}`,
        version: version.version,
        reason,
      },
    });
    // Whoever lets it run again begins to count anew.
    await kills.execute();
    return reason;
  });
}

async function tell(
  { recorder, installations }: BreakerDeps,
  installation: Installation,
  reason: string,
): Promise<void> {
  await installations.changed(installation.id);
  recorder.log({
    tenant_id: installation.tenant.id,
    installation_id: installation.id,
    level: 'alert',
    action: 'paused by the circuit breaker',
    request: reason,
    source: 'host',
  });
}
