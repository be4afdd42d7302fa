/**
 * Stores as people use them: the operator names them and compares fingerprints, a tenant's admin brings a module from one. What is brought
 * goes the way of every package: hash, signature, strict reading, throw-away sandbox. A key is never taken on its first sight
 * from a store: the operator pins it, or it was pinned when the publisher handed something in here.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { parsePermissions, wordsOf } from '../../sandbox/contract/grant.ts';
import type { Published, PublishOptions } from '../catalog/publish.ts';
import type { Tables } from '../database/tables.ts';
import { fingerprint } from '../store/package/keys.ts';
import { readPackage } from '../store/package/read.ts';
import type { RemotePage, StoreCases, StoreRow } from '../web/deps.ts';
import { type StoreClient, storeAddress } from './client.ts';
import { STORE_LIMITS } from './limits.ts';
import { Lists, pinnedKeys, readOffers, trustOf } from './offers.ts';
import type { ModuleName, RemoteModule } from './shape.ts';

export interface StoreDeps {
  readonly db: Kysely<Tables>;
  readonly client: StoreClient;
  readonly publish: (bytes: Uint8Array, options: PublishOptions) => Promise<Published>;
  readonly now?: () => number;
}

const STORE_COLUMNS = ['id', 'name', 'url', 'policy', 'added_at as addedAt'] as const;

function rowsOf(db: Kysely<Tables>) {
  return db.selectFrom('stores').select(STORE_COLUMNS).orderBy('name');
}

async function storeOf(db: Kysely<Tables>, storeId: string): Promise<StoreRow> {
  const row = await rowsOf(db).where('id', '=', storeId).executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such store.');
  return row;
}

export function createStoreCases(deps: StoreDeps): StoreCases {
  const { db, client } = deps;
  const lists = new Lists(client, deps.now);
  return {
    rows: () => rowsOf(db).execute(),
    async row(storeId) {
      return storeOf(db, storeId);
    },
    add: (input) => add(db, input),
    async setPolicy({ storeId, policy }) {
      await db.updateTable('stores').set({ policy }).where('id', '=', storeId).execute();
    },
    async remove(storeId) {
      const { url } = await storeOf(db, storeId);
      await db.deleteFrom('stores').where('id', '=', storeId).execute();
      lists.forget(url);
    },
    async offers(storeId) {
      const stores = storeId === undefined ? await rowsOf(db).execute() : [await storeOf(db, storeId)];
      return readOffers(db, lists, stores);
    },
    module: async ({ storeId, name }) => {
      const store = await storeOf(db, storeId);
      return pageOf(db, store, await client.module(store.url, name));
    },
    trust: (input) => trust(deps, input),
    bring: (input) => bring(deps, input),
  };
}

async function add(
  db: Kysely<Tables>,
  input: Parameters<StoreCases['add']>[0],
): ReturnType<StoreCases['add']> {
  let url: string;
  try {
    url = storeAddress(input.url);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { ok: false, errors: { url: [error.message.replace(/^http: /, '')] } };
  }
  const known = await rowsOf(db).execute();
  if (known.length >= STORE_LIMITS.stores)
    return { ok: false, errors: { '': [`At most ${STORE_LIMITS.stores} stores are kept.`] } };
  const added = await db
    .insertInto('stores')
    .values({ name: input.name, url, policy: input.policy, added_by: input.accountId })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return added === undefined
    ? { ok: false, errors: { '': ['A store of this name or address is there already.'] } }
    : { ok: true, storeId: added.id };
}

/** In plain words, for reading before anything is brought; what counts is read from the package. */
function wordsFor(permissions: unknown): RemotePage['lines'] {
  try {
    return parsePermissions(permissions ?? {}, capabilities).map((ask) => ({
      ...wordsOf(ask, capabilities),
      reason: ask.reason,
      optional: ask.optional,
    }));
  } catch (error) {
    if (error instanceof HostError) return [];
    throw error;
  }
}

async function pageOf(db: Kysely<Tables>, store: StoreRow, module: RemoteModule): Promise<RemotePage> {
  const pinned = await pinnedKeys(db, [module.publisher]);
  const { publisher, type, name } = module;
  const here = await db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select(['version.package_sha256 as sha256', 'version.status', 'module.id as moduleId'])
    .where('module.publisher', '=', publisher)
    .where('module.type', '=', type)
    .where('module.name', '=', name)
    .execute();
  const local = new Map(here.map(({ sha256, status }) => [sha256, status]));
  return {
    store,
    publisher,
    type,
    name,
    title: module.title,
    description: module.description,
    icon: module.icon,
    author: module.author,
    website: module.website,
    version: module.version,
    fingerprint: fingerprint(module.public_key),
    knownFingerprint: ((key) => (key === undefined ? null : fingerprint(key.publicKey)))(
      pinned.get(publisher),
    ),
    trust: trustOf(pinned, module),
    localModuleId: here[0]?.moduleId ?? null,
    lines: wordsFor(module.permissions),
    versions: module.versions.map((version) => ({
      version: version.version,
      sizeBytes: version.size_bytes,
      publishedAt: new Date(version.published_at),
      yanked: version.yanked,
      reason: version.reason,
      here: local.get(version.sha256) ?? null,
    })),
  };
}

/** @throws HostError CONFLICT if the store shows another key than the person compared, or another is pinned */
async function trust({ db, client }: StoreDeps, input: Parameters<StoreCases['trust']>[0]): Promise<void> {
  const { url } = await storeOf(db, input.storeId);
  const module = await client.module(url, input.name);
  const { publisher, public_key } = module;
  if (fingerprint(public_key) !== input.fingerprint)
    throw new HostError(
      'CONFLICT',
      'The store shows another key than a moment ago. Compare the fingerprints again.',
    );
  const pinned = trustOf(await pinnedKeys(db, [publisher]), module);
  if (pinned === 'other-key' || pinned === 'revoked') throw notTrusted(publisher, pinned, public_key);
  await db
    .insertInto('publishers')
    .values({ name: publisher, public_key, fingerprint: fingerprint(public_key) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function notTrusted(
  publisher: string,
  trusted: 'unknown' | 'other-key' | 'revoked',
  publicKey: string,
): HostError {
  const text = {
    unknown: `The key of ${publisher} (${fingerprint(publicKey)}) is not trusted here yet. The operator compares it and trusts it: Operator → Stores.`,
    'other-key': `${publisher} is known here with another key than ${fingerprint(publicKey)}. Whoever signed this is not the ${publisher} that is known; nothing was kept.`,
    revoked: `The publisher ${publisher} was revoked here.`,
  }[trusted];
  return new HostError('CONFLICT', text);
}

/** @throws HostError HTTP_FAILED, BAD_INPUT (what the package itself says is wrong), CONFLICT (key, yanked, not newer) */
async function bring(
  deps: StoreDeps,
  input: Parameters<StoreCases['bring']>[0],
): ReturnType<StoreCases['bring']> {
  const { db, client } = deps;
  const store = await storeOf(db, input.storeId);
  const module = await client.module(store.url, input.name);
  const release = module.versions.find(({ version }) => version === input.version);
  if (release === undefined)
    throw new HostError('NOT_FOUND', `${store.name} has no version ${input.version}.`);
  if (release.yanked)
    throw new HostError(
      'CONFLICT',
      release.reason === null
        ? `${store.name} has taken version ${input.version} back.`
        : `${store.name} has taken version ${input.version} back: ${release.reason}`,
    );
  const bytes = await client.package(store.url, release);
  await checkIdentity(db, bytes, { ...input.name, version: input.version });
  const status = store.policy === 'publish' ? 'published' : 'in_review';
  const { moduleId, versionId, added } = await deps.publish(bytes, { status });
  if (added)
    await db.updateTable('module_versions').set({ store_id: store.id }).where('id', '=', versionId).execute();
  const row = await db
    .selectFrom('module_versions')
    .select('status')
    .where('id', '=', versionId)
    .executeTakeFirstOrThrow();
  return { moduleId, versionId, status: row.status };
}

/** The package is what was asked for, and signed with a key that a person has trusted; what the store said of it does not matter. */
async function checkIdentity(
  db: Kysely<Tables>,
  bytes: Uint8Array,
  wanted: ModuleName & { readonly version: string },
): Promise<void> {
  const contents = await readPackage(bytes);
  const found = `${contents.publisher}/${contents.name} ${contents.version}`;
  const asked = `${wanted.publisher}/${wanted.type}/${wanted.name} ${wanted.version}`;
  if (found !== asked)
    throw new HostError('BAD_INPUT', `The package is ${found}, and not ${asked}. Nothing was kept.`);
  const signer = { publisher: contents.publisher, public_key: contents.publicKey };
  const trusted = trustOf(await pinnedKeys(db, [signer.publisher]), signer);
  if (trusted !== 'trusted') throw notTrusted(signer.publisher, trusted, signer.public_key);
}
