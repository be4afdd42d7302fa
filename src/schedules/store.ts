/**
 * An installation's schedules: those of its manifest, brought up to date whenever a version is switched on, and those that the module's code
 * asked for. Asking for the same again (method, parameters, tags) changes when it runs and nothing else, so activate() may be repeated.
 * Order of locks: the installation's places before a schedule's row, as in tick.ts.
 */
import { sql, type Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Installation } from '../catalog/installations.ts';
import type { Version } from '../catalog/versions.ts';
import type { Tables } from '../database/tables.ts';
import { dedupeKey } from '../jobs/canonical.ts';
import { lockPlaces } from '../jobs/places.ts';
import type { Trx } from '../jobs/task.ts';
import { SCHEDULE_LIMITS } from './limits.ts';
import { nextAfter, type Times } from './times.ts';

export interface NewSchedule extends Times {
  readonly tenantId: string;
  readonly installationId: string;
  readonly timezone: string;
  readonly source: 'manifest' | 'module';
  readonly method: string;
  readonly title: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly tries: number;
  readonly backoffS: number;
  readonly timeoutS: number;
  readonly maxExceptions: number;
  /** How many events led to it; its runs are as deep. */
  readonly eventDepth: number;
}

/** @throws HostError BAD_INPUT for a time that never comes */
export function firstRun(times: Times, timezone: string, now: Date): Date {
  const next = nextAfter(times, timezone, now);
  if (next === undefined)
    throw new HostError('BAD_INPUT', `schedule: "${times.cron ?? ''}" is no time that ever comes.`);
  return next;
}

/** Writes a schedule, or changes the one that is there: its next run stays, unless its times are others. */
export async function putSchedule(
  db: Kysely<Tables>,
  wanted: NewSchedule,
  now: Date,
): Promise<{ id: string; nextAt: Date }> {
  const { method, params, tags, cron, everyS, source } = wanted;
  const nextAt = firstRun(wanted, wanted.timezone, now);
  const row = await db
    .insertInto('schedules')
    .values({
      tenant_id: wanted.tenantId,
      installation_id: wanted.installationId,
      source,
      key: `${source}:${dedupeKey({ method, params, tags })}`,
      method,
      title: wanted.title,
      cron,
      every_s: everyS,
      params: { ...params },
      tags: [...tags],
      tries: wanted.tries,
      backoff_s: wanted.backoffS,
      timeout_s: wanted.timeoutS,
      max_exceptions: wanted.maxExceptions,
      event_depth: wanted.eventDepth,
      next_at: nextAt,
    })
    .onConflict((conflict) =>
      conflict.columns(['installation_id', 'key']).doUpdateSet((eb) => ({
        title: eb.ref('excluded.title'),
        cron: eb.ref('excluded.cron'),
        every_s: eb.ref('excluded.every_s'),
        tries: eb.ref('excluded.tries'),
        backoff_s: eb.ref('excluded.backoff_s'),
        timeout_s: eb.ref('excluded.timeout_s'),
        max_exceptions: eb.ref('excluded.max_exceptions'),
        // Asked for again by a handler of what it led to, it is the one that was there: only others lie deeper.
        event_depth: eb.fn<number>('least', ['schedules.event_depth', 'excluded.event_depth']),
        next_at: sql<Date>`case
          when schedules.cron is not distinct from excluded.cron and schedules.every_s is not distinct from excluded.every_s
          then schedules.next_at else excluded.next_at end`,
      })),
    )
    .returning(['id', 'next_at'])
    .executeTakeFirstOrThrow();
  return { id: row.id, nextAt: row.next_at };
}

/** @throws HostError LIMIT */
export async function refuseTooMany(db: Kysely<Tables>, installationId: string): Promise<void> {
  const { count } = await db
    .selectFrom('schedules')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('installation_id', '=', installationId)
    .executeTakeFirstOrThrow();
  if (count > LIMITS.schedulesPerInstallation)
    throw new HostError(
      'LIMIT',
      `schedule: a module may have ${LIMITS.schedulesPerInstallation} schedules; let one method look for what is due.`,
    );
}

/** Brings an installation's schedules in line with the version that is switched on. What was due while it was off is not made up for. */
export async function syncSchedules(trx: Trx, installation: Installation, version: Version): Promise<void> {
  const places = await lockPlaces(trx, installation.id);
  if (places === undefined) return;
  const granted = Object.hasOwn(installation.granted, 'tasks');
  const kept: string[] = [];
  for (const { method, cron, every, title, tags } of granted ? version.manifest.schedule : []) {
    const { id } = await putSchedule(
      trx,
      {
        tenantId: installation.tenant.id,
        installationId: installation.id,
        timezone: installation.tenant.timezone,
        source: 'manifest',
        method,
        title,
        cron: cron ?? null,
        everyS: every ?? null,
        params: {},
        tags,
        tries: SCHEDULE_LIMITS.tries,
        backoffS: SCHEDULE_LIMITS.backoffS,
        timeoutS: SCHEDULE_LIMITS.timeoutS,
        maxExceptions: SCHEDULE_LIMITS.maxExceptions,
        eventDepth: 0,
      },
      places.now,
    );
    kept.push(id);
  }
  const rows = await trx
    .selectFrom('schedules')
    .select(['id', 'source', 'method', 'cron', 'every_s'])
    .where('installation_id', '=', installation.id)
    .execute();
  for (const row of rows) {
    const gone = row.source === 'manifest' ? !kept.includes(row.id) : !version.methods.has(row.method);
    if (gone) {
      await trx.deleteFrom('schedules').where('id', '=', row.id).execute();
      continue;
    }
    const nextAt = nextAfter(
      { cron: row.cron, everyS: row.every_s },
      installation.tenant.timezone,
      places.now,
    );
    if (nextAt !== undefined)
      await trx
        .updateTable('schedules')
        .set({ next_at: nextAt })
        .where('id', '=', row.id)
        .where('next_at', '<', places.now)
        .execute();
  }
}
