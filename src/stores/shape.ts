/**
 * What a store says over HTTP, declared once: the store answers in these shapes (src/web/store/api.ts) and a panel reads nothing else from
 * it (client.ts). A store is a stranger: each text is bounded, and whatever decides something (who signed, what is in it) is not
 * believed but found out from the package itself.
 */
import semver from 'semver';
import * as v from 'valibot';
import { PACKAGE_LIMITS } from '../store/package/limits.ts';
import { PublisherName } from '../store/package/signature.ts';
import { STORE_LIMITS } from './limits.ts';

/** Below the store's address. */
export const STORE_API = '/store/v1';

const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
const Word = v.pipe(v.string(), v.regex(/^[A-Z][A-Za-z0-9]{1,49}$/));
const Version = v.pipe(
  text(100),
  v.check((version) => semver.valid(version) === version),
);
export const Sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** publisher/Type/Name: what a module is, wherever it is offered. */
export const ModuleName = v.object({ publisher: PublisherName, type: Word, name: Word });
export type ModuleName = v.InferOutput<typeof ModuleName>;

const release = {
  version: Version,
  sha256: Sha256,
  size_bytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(PACKAGE_LIMITS.compressedBytes)),
  published_at: v.pipe(v.string(), v.isoTimestamp()),
} as const;

export const RemoteEntry = v.object({
  ...ModuleName.entries,
  ...release,
  title: text(200),
  description: text(2_000),
  icon: text(100),
  /** base64url; its fingerprint is reckoned here. */
  public_key: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/)),
});
export type RemoteEntry = v.InferOutput<typeof RemoteEntry>;

export const RemoteList = v.object({
  modules: v.pipe(v.array(RemoteEntry), v.maxLength(STORE_LIMITS.pageEntries)),
  /** The next page's number. */
  next: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(2))),
});

export const RemoteRelease = v.object({ ...release, yanked: v.boolean(), reason: v.nullable(text(500)) });
export type RemoteRelease = v.InferOutput<typeof RemoteRelease>;

export const RemoteModule = v.object({
  ...RemoteEntry.entries,
  author: text(200),
  website: text(500),
  /** module.json's, of the newest version; read again from the package before it counts. */
  permissions: v.unknown(),
  /** Newest first. */
  versions: v.pipe(v.array(RemoteRelease), v.maxLength(STORE_LIMITS.versions)),
});
export type RemoteModule = v.InferOutput<typeof RemoteModule>;
