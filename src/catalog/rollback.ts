/**
 * Going back to the version that ran before the last update. The module is not asked: the version one wants to leave may be the one
 * that cannot be entered. Data stay as the newer version left them, which an older one has to bear (docs/security.md).
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { missingMandatory } from './consent.ts';
import type { Installations } from './installations.ts';
import type { Invoker } from './invoke.ts';
import type { Versions } from './versions.ts';

export interface RollbackDeps {
  readonly db: Kysely<Tables>;
  readonly versions: Versions;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

/**
 * Puts the previous version in force and ends a pause.
 * @throws HostError CONFLICT if none is known or it was revoked; NOT_GRANTED if it needs what is not granted any more
 */
export async function rollback(deps: RollbackDeps, installationId: string): Promise<void> {
  const before = await deps.installations.get(installationId);
  const row = await deps.db
    .selectFrom('installations as installation')
    .innerJoin('module_versions as version', 'version.id', 'installation.previous_version_id')
    .select(['version.id', 'version.version', 'version.status'])
    .where('installation.id', '=', installationId)
    .executeTakeFirst();
  if (row === undefined)
    throw new HostError('CONFLICT', 'There is no earlier version to go back to; disable the module instead.');
  if (row.status === 'revoked')
    throw new HostError('CONFLICT', `Version ${row.version} was revoked; disable the module instead.`);
  const { manifest } = await deps.versions.get(row.id);
  const missing = missingMandatory(manifest.asks, before.granted);
  if (missing.length > 0)
    throw new HostError(
      'NOT_GRANTED',
      `Version ${row.version} needs what is not granted any more: ${missing.join(', ')}.`,
      { data: { missing } },
    );
  await deps.db
    .updateTable('installations')
    .set({
      version_id: row.id,
      previous_version_id: null,
      pending_version_id: null,
      status_reason: `Went back from ${before.version.version} to ${row.version}.`,
      ...(before.status === 'restricted' ? { status: 'active' } : {}),
      paused_at: null,
      paused_reason: null,
    })
    .where('id', '=', installationId)
    .where('previous_version_id', '=', row.id)
    .execute();
  await deps.installations.changed(installationId);
  deps.invoker.unload(before);
}
