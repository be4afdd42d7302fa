/**
 * Publishing into the host's own store: verify the signature, read strictly, parse the manifest, run the module once in a throw-away
 * sandbox, and only then write an immutable version row. A package that fails anywhere leaves nothing behind.
 */
import type { Kysely, Transaction } from 'kysely';
import semver from 'semver';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import type { Tables } from '../database/tables.ts';
import { checkPublisher } from '../store/package/publisher.ts';
import { readPackage, type ReadPackage } from '../store/package/read.ts';
import { type DeclareDeps, readDeclaration } from './declare.ts';

export interface Published {
  readonly moduleId: string;
  readonly versionId: string;
  /** False if this very package was published before. */
  readonly added: boolean;
}

export interface PublishDeps extends DeclareDeps {
  readonly db: Kysely<Tables>;
}

export interface PublishOptions {
  readonly status: 'in_review' | 'published';
}

/** @throws HostError BAD_INPUT (package, manifest, declaration), CONFLICT (another key, a version that is not newer) */
export async function publish(
  deps: PublishDeps,
  bytes: Uint8Array,
  options: PublishOptions,
): Promise<Published> {
  const contents = await readPackage(bytes);
  const manifest = parseManifest(contents.manifest);
  const known = await findSame(deps.db, contents.sha256);
  if (known !== undefined) return { ...known, added: false };
  const declaration = await readDeclaration(deps, contents, manifest);
  return deps.db.transaction().execute(async (trx) => {
    await pinPublisher(trx, contents);
    const moduleId = await moduleRow(trx, contents.publisher, manifest.type, manifest.name);
    await refuseOldVersion(trx, moduleId, manifest.version);
    await trx
      .insertInto('packages')
      .values({ sha256: contents.sha256, bytes, size_bytes: bytes.length })
      .onConflict((conflict) => conflict.column('sha256').doNothing())
      .execute();
    const version = await trx
      .insertInto('module_versions')
      .values({
        module_id: moduleId,
        version: manifest.version,
        package_sha256: contents.sha256,
        manifest: contents.manifest as object,
        declaration,
        status: options.status,
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    return { moduleId, versionId: version.id, added: true };
  });
}

async function findSame(
  db: Kysely<Tables>,
  sha256: string,
): Promise<{ moduleId: string; versionId: string } | undefined> {
  const row = await db
    .selectFrom('module_versions')
    .select(['id', 'module_id'])
    .where('package_sha256', '=', sha256)
    .executeTakeFirst();
  return row === undefined ? undefined : { moduleId: row.module_id, versionId: row.id };
}

async function pinPublisher(trx: Transaction<Tables>, contents: ReadPackage): Promise<void> {
  const row = await trx
    .selectFrom('publishers')
    .selectAll()
    .where('name', '=', contents.publisher)
    .forUpdate()
    .executeTakeFirst();
  if (row?.revoked_at != null)
    throw new HostError('CONFLICT', `The publisher ${contents.publisher} was revoked.`);
  const pinned = row === undefined ? undefined : { publisher: row.name, publicKey: row.public_key };
  if (checkPublisher(pinned, contents) === 'known') return;
  await trx
    .insertInto('publishers')
    .values({ name: contents.publisher, public_key: contents.publicKey, fingerprint: contents.fingerprint })
    .execute();
}

async function moduleRow(
  trx: Transaction<Tables>,
  publisher: string,
  type: string,
  name: string,
): Promise<string> {
  await trx
    .insertInto('modules')
    .values({ publisher, type, name })
    .onConflict((conflict) => conflict.columns(['publisher', 'type', 'name']).doNothing())
    .execute();
  const row = await trx
    .selectFrom('modules')
    .select('id')
    .where('publisher', '=', publisher)
    .where('type', '=', type)
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirstOrThrow();
  return row.id;
}

/** Versions only go up: an old one published again under a new number would undo a fix. */
async function refuseOldVersion(trx: Transaction<Tables>, moduleId: string, version: string): Promise<void> {
  const rows = await trx
    .selectFrom('module_versions')
    .select('version')
    .where('module_id', '=', moduleId)
    .execute();
  const newest = semver.rsort(rows.map((row) => row.version))[0];
  if (newest !== undefined && semver.lte(version, newest)) {
    throw new HostError(
      'CONFLICT',
      `Version ${newest} is published already; ${version} is not newer. Raise "version" in module.json.`,
    );
  }
}
