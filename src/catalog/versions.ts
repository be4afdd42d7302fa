/**
 * Versions as the host uses them: manifest, declaration and package contents, parsed once and kept, since a version never changes.
 * The bytes come from PostgreSQL, so that every process of a deployment sees the same.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { Declaration } from '../../sandbox/contract/declaration.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { type Manifest, parseManifest } from '../../sandbox/contract/manifest.ts';
import type { LoadInput } from '../../sandbox/contract/wire.ts';
import type { Tables } from '../database/tables.ts';
import { readPackage, type ReadPackage } from '../store/package/read.ts';

export interface Version {
  readonly id: string;
  readonly moduleId: string;
  readonly publisher: string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly manifest: Manifest;
  readonly declaration: Declaration;
  readonly methods: ReadonlySet<string>;
}

export interface Versions {
  /** @throws HostError NOT_FOUND */
  get(versionId: string): Promise<Version>;
  /** The contents of a version's package. */
  contents(versionId: string): Promise<ReadPackage>;
  /** What a runner needs to make an isolate of it. */
  loadInput(versionId: string): Promise<LoadInput>;
}

const VERSIONS_KEPT = 500;
const PACKAGES_KEPT = 50;

/** Keeps the most recently used values of an asynchronous lookup; a failed one is not kept. */
export function remember<T>(size: number, look: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const kept = new Map<string, Promise<T>>();
  return (key) => {
    const known = kept.get(key) ?? look(key);
    kept.delete(key);
    kept.set(key, known);
    known.catch(() => kept.delete(key));
    const oldest = kept.keys().next();
    if (kept.size > size && oldest.done !== true) kept.delete(oldest.value);
    return known;
  };
}

export function loadInputOf(contents: ReadPackage): LoadInput {
  return {
    name: contents.name,
    script: contents.script,
    views: contents.views,
    lang: contents.lang,
    heapMb: LIMITS.isolateHeapMb,
  };
}

export function createVersions(db: Kysely<Tables>): Versions {
  const get = remember(VERSIONS_KEPT, (versionId) => readVersion(db, versionId));
  const contents = remember(PACKAGES_KEPT, (versionId) => readContents(db, versionId));
  return { get, contents, loadInput: async (versionId) => loadInputOf(await contents(versionId)) };
}

async function readVersion(db: Kysely<Tables>, versionId: string): Promise<Version> {
  const row = await db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select([
      'version.id',
      'version.module_id',
      'version.version',
      'version.manifest',
      'version.declaration',
      'module.publisher',
      'module.type',
      'module.name',
    ])
    .where('version.id', '=', versionId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such module version.');
  const declaration = v.parse(Declaration, row.declaration);
  return {
    id: row.id,
    moduleId: row.module_id,
    publisher: row.publisher,
    type: row.type,
    name: row.name,
    version: row.version,
    manifest: parseManifest(row.manifest),
    declaration,
    methods: new Set(declaration.methods),
  };
}

async function readContents(db: Kysely<Tables>, versionId: string): Promise<ReadPackage> {
  const row = await db
    .selectFrom('module_versions as version')
    .innerJoin('packages as package', 'package.sha256', 'version.package_sha256')
    .select('package.bytes')
    .where('version.id', '=', versionId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such module version.');
  return readPackage(row.bytes);
}

/** What the operator revoked does not run, whoever asks. @throws CONFLICT */
export async function refuseRevoked(db: Kysely<Tables>, versionId: string): Promise<void> {
  const row = await db
    .selectFrom('module_versions')
    .select(['version', 'status', 'status_reason'])
    .where('id', '=', versionId)
    .executeTakeFirstOrThrow();
  if (row.status !== 'revoked') return;
  const why = row.status_reason === null ? '' : `: ${row.status_reason}`;
  throw new HostError(
    'CONFLICT',
    `Version ${row.version} was revoked by the operator${why}. Update to another version.`,
  );
}
