/**
 * Versions that are installed here and that the store they came from has taken back since. Stores are asked by the clock, each by one process
 * of many. Nothing is stopped by what a store says: an admin who reads the reason decides. A store that takes it back again is believed too.
 */
import { type Kysely, sql } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { isDatabaseAway } from '../database/database-away.ts';
import type { Tables } from '../database/tables.ts';
import { type JobLog, reasonOf } from '../jobs/log.ts';
import { type Loop, startLoop } from '../jobs/loop.ts';
import type { StoreClient } from './client.ts';
import { STORE_LIMITS } from './limits.ts';
import type { RemoteModule } from './shape.ts';

export interface TakenBackDeps {
  readonly db: Kysely<Tables>;
  readonly client: StoreClient;
}

interface Used {
  readonly id: string;
  readonly publisher: string;
  readonly type: string;
  readonly name: string;
  readonly sha256: string;
}

/** Asks the stores whose turn it is. @returns how many versions are marked otherwise than before */
export async function askTakenBack(
  deps: TakenBackDeps,
  log: JobLog,
  everyMs: number = STORE_LIMITS.takenBackMs,
): Promise<number> {
  const stores = await deps.db
    .updateTable('stores')
    .set({ asked_at: sql<Date>`now()` })
    .where((e) =>
      e.or([
        e('asked_at', 'is', null),
        e('asked_at', '<=', sql<Date>`now() - make_interval(secs => ${everyMs / 1_000})`),
      ]),
    )
    .returning(['id', 'name', 'url'])
    .execute();
  let marked = 0;
  for (const store of stores)
    try {
      marked += await askStore(deps, store);
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      // It is asked again in its next turn; what it said before stands.
      log('warning', `store ${store.name}: ${reasonOf(error)}`);
    }
  return marked;
}

export function startTakenBack(deps: TakenBackDeps, log: JobLog): Loop {
  const round = async (): Promise<void> => void (await askTakenBack(deps, log));
  return startLoop('versions that stores took back', STORE_LIMITS.takenBackRoundMs, round, log);
}

async function askStore(
  deps: TakenBackDeps,
  store: { readonly id: string; readonly url: string },
): Promise<number> {
  const used = await usedFrom(deps.db, store.id);
  let marked = 0;
  for (const versions of Map.groupBy(used, ({ publisher, type, name }) =>
    [publisher, type, name].join('/'),
  ).values()) {
    const [first] = versions;
    if (first === undefined) continue;
    const module = await moduleAt(deps.client, store.url, first);
    for (const version of versions) marked += await mark(deps.db, version, module);
  }
  return marked;
}

/** Installed or about to be; in no order, so that each has its turn where there are too many for one. */
async function usedFrom(db: Kysely<Tables>, storeId: string): Promise<Used[]> {
  return db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select(['version.id', 'version.package_sha256 as sha256', 'publisher', 'type', 'name'])
    .where('version.store_id', '=', storeId)
    .where((e) =>
      e.exists(
        e
          .selectFrom('installations')
          .select('installations.id')
          .where((i) =>
            i.or([
              i('installations.version_id', '=', i.ref('version.id')),
              i('installations.pending_version_id', '=', i.ref('version.id')),
            ]),
          ),
      ),
    )
    .orderBy(sql`random()`)
    .limit(STORE_LIMITS.takenBackModules)
    .execute();
}

/** Null: the store has no such module any more. */
async function moduleAt(
  client: StoreClient,
  url: string,
  { publisher, type, name }: Used,
): Promise<RemoteModule | null> {
  try {
    return await client.module(url, { publisher, type, name });
  } catch (error) {
    if (error instanceof HostError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

/** @returns 1 if it was marked otherwise before */
async function mark(db: Kysely<Tables>, version: Used, module: RemoteModule | null): Promise<number> {
  const release = module?.versions.find(({ sha256 }) => sha256 === version.sha256);
  // Too old to be among those that a store tells of: what was said last stands.
  if (module !== null && release === undefined) return 0;
  const isTaken = release?.yanked ?? true;
  const reason = isTaken ? (release?.reason ?? null) : null;
  const { numUpdatedRows } = await db
    .updateTable('module_versions')
    .set({
      taken_back_at: isTaken ? sql<Date>`coalesce(taken_back_at, now())` : null,
      taken_back_reason: reason,
    })
    .where('id', '=', version.id)
    .where((e) =>
      e.or([
        e('taken_back_at', isTaken ? 'is' : 'is not', null),
        e('taken_back_reason', 'is distinct from', reason),
      ]),
    )
    .executeTakeFirst();
  return Number(numUpdatedRows);
}
