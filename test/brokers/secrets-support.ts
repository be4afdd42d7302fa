/** Installations to keep secrets for, with as little around them as the tables ask. */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';

import type { Tables } from '../../src/database/tables.ts';

/** @returns the ids of two installations of one module, by two tenants */
export async function twoInstallations(db: Kysely<Tables>): Promise<readonly [string, string]> {
  const tag = `p${randomUUID().slice(0, 8)}`;
  const sha256 = tag.padEnd(64, '0');
  await db.insertInto('publishers').values({ name: tag, public_key: 'k', fingerprint: 'f' }).execute();
  await db
    .insertInto('packages')
    .values({ sha256, bytes: Buffer.from('x'), size_bytes: 1 })
    .execute();
  const module = await db
    .insertInto('modules')
    .values({ publisher: tag, type: 'Plugin', name: 'Test' })
    .returning('id')
    .executeTakeFirstOrThrow();
  const version = await db
    .insertInto('module_versions')
    .values({ module_id: module.id, version: '1.0.0', package_sha256: sha256, manifest: {}, declaration: {} })
    .returning('id')
    .executeTakeFirstOrThrow();
  const install = async (slug: string): Promise<string> => {
    const tenant = await db
      .insertInto('tenants')
      .values({ slug, name: slug })
      .returning('id')
      .executeTakeFirstOrThrow();
    const row = await db
      .insertInto('installations')
      .values({ tenant_id: tenant.id, module_id: module.id, version_id: version.id })
      .returning('id')
      .executeTakeFirstOrThrow();
    return row.id;
  };
  return [await install(`${tag}-a`), await install(`${tag}-b`)];
}
