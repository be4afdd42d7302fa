/** What the stores offer, seen beside what this panel has: who signed it, whether that key is known here, and whether it is newer. */
import type { Kysely } from 'kysely';
import semver from 'semver';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { fingerprint } from '../store/package/keys.ts';
import type { RemoteOffer, StoreRow, Trust } from '../web/deps.ts';
import type { StoreClient } from './client.ts';
import { STORE_LIMITS } from './limits.ts';
import type { RemoteEntry } from './shape.ts';

interface Kept {
  readonly until: number;
  readonly entries: Promise<readonly RemoteEntry[]>;
}

/** Lists as they were a moment ago, so that a page of a tenant is not a question to a stranger each time. */
export class Lists {
  readonly #client: StoreClient;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();

  constructor(client: StoreClient, now: () => number = Date.now) {
    this.#client = client;
    this.#now = now;
  }

  of(url: string): Promise<readonly RemoteEntry[]> {
    const found = this.#kept.get(url);
    if (found !== undefined && found.until > this.#now()) return found.entries;
    const entries = this.#client.list(url);
    this.#kept.set(url, { until: this.#now() + STORE_LIMITS.listMs, entries });
    entries.catch(() => this.#kept.set(url, { until: this.#now() + STORE_LIMITS.awayMs, entries }));
    return entries;
  }

  forget(url: string): void {
    this.#kept.delete(url);
  }
}

/** Key of a publisher's name → the pinned key. */
type Pinned = ReadonlyMap<string, { readonly publicKey: string; readonly revoked: boolean }>;

export async function pinnedKeys(db: Kysely<Tables>, names: readonly string[]): Promise<Pinned> {
  if (names.length === 0) return new Map();
  const rows = await db
    .selectFrom('publishers')
    .select(['name', 'public_key', 'revoked_at'])
    .where('name', 'in', [...new Set(names)])
    .execute();
  return new Map(
    rows.map((row) => [row.name, { publicKey: row.public_key, revoked: row.revoked_at !== null }]),
  );
}

export function trustOf(
  pinned: Pinned,
  { publisher, public_key }: Pick<RemoteEntry, 'publisher' | 'public_key'>,
): Trust {
  const known = pinned.get(publisher);
  if (known === undefined) return 'unknown';
  if (known.publicKey !== public_key) return 'other-key';
  return known.revoked ? 'revoked' : 'trusted';
}

type Local = ReadonlyMap<string, { readonly moduleId: string; readonly version: string }>;
const keyOf = (name: { publisher: string; type: string; name: string }): string =>
  `${name.publisher}/${name.type}/${name.name}`;

/** The newest version of each module that is here, revoked ones too: a version never comes back under its number. */
async function localModules(db: Kysely<Tables>): Promise<Local> {
  const rows = await db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select(['module.id', 'module.publisher', 'module.type', 'module.name', 'version.version'])
    .execute();
  const newest = new Map<string, { moduleId: string; version: string }>();
  for (const row of rows) {
    const found = newest.get(keyOf(row));
    if (found === undefined || semver.gt(row.version, found.version))
      newest.set(keyOf(row), { moduleId: row.id, version: row.version });
  }
  return newest;
}

function offerOf(store: StoreRow, entry: RemoteEntry, pinned: Pinned, local: Local): RemoteOffer {
  const here = local.get(keyOf(entry));
  return {
    storeId: store.id,
    storeName: store.name,
    publisher: entry.publisher,
    type: entry.type,
    name: entry.name,
    title: entry.title,
    description: entry.description,
    icon: entry.icon,
    version: entry.version,
    publicKey: entry.public_key,
    fingerprint: fingerprint(entry.public_key),
    trust: trustOf(pinned, entry),
    localModuleId: here?.moduleId ?? null,
    localVersion: here?.version ?? null,
    isNewer: here === undefined || semver.gt(entry.version, here.version),
  };
}

export interface Offers {
  readonly offers: readonly RemoteOffer[];
  /** Stores that did not answer, and why. */
  readonly away: readonly { readonly name: string; readonly reason: string }[];
}

/** One store that is away takes nothing from the others. */
export async function readOffers(
  db: Kysely<Tables>,
  lists: Lists,
  stores: readonly StoreRow[],
): Promise<Offers> {
  const answers = await Promise.all(
    stores.map(async (store) => {
      try {
        return { store, entries: await lists.of(store.url) };
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        return { store, entries: [], reason: error.message };
      }
    }),
  );
  const names = answers.flatMap(({ entries }) => entries.map(({ publisher }) => publisher));
  const [pinned, local] = await Promise.all([pinnedKeys(db, names), localModules(db)]);
  return {
    offers: answers.flatMap(({ store, entries }) =>
      entries.map((entry) => offerOf(store, entry, pinned, local)),
    ),
    away: answers.flatMap(({ store, reason }) =>
      reason === undefined ? [] : [{ name: store.name, reason }],
    ),
  };
}
