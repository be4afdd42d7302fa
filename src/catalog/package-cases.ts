/** The operator's side of the store: taking packages in and putting versions in force. */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Sandbox } from '../../sandbox/supervisor/sandbox.ts';
import type { Tables } from '../database/tables.ts';
import type { Packages } from '../web/deps.ts';
import type { Installations } from './installations.ts';
import { publish } from './publish.ts';
import type { RunnerIds } from './runner-ids.ts';

export interface PackagesDeps {
  readonly db: Kysely<Tables>;
  readonly sandbox: Sandbox;
  readonly runnerIds: RunnerIds;
  readonly installations: Installations;
}

export function createPackages(deps: PackagesDeps): Packages {
  return {
    async upload({ bytes }) {
      const { versionId } = await publish(deps, bytes, { status: 'in_review' });
      return { versionId };
    },
    async review({ versionId, decision, reason }) {
      const row = await deps.db
        .updateTable('module_versions')
        .set({ status: decision, status_reason: reason === '' ? null : reason })
        .where('id', '=', versionId)
        .where('status', '<>', decision)
        .returning('id')
        .executeTakeFirst();
      if (row === undefined) throw new HostError('CONFLICT', `This version is ${decision} already.`);
      if (decision === 'revoked') await pauseInstallations(deps, versionId, reason);
    },
  };
}

/** A revoked version stops running everywhere at once; its data stays. */
async function pauseInstallations(deps: PackagesDeps, versionId: string, reason: string): Promise<void> {
  const rows = await deps.db
    .updateTable('installations')
    .set({
      paused_at: new Date(),
      paused_reason: `this version was revoked by the operator${reason === '' ? '' : `: ${reason}`}`,
    })
    .where('version_id', '=', versionId)
    .where('paused_at', 'is', null)
    .returning('id')
    .execute();
  for (const row of rows) await deps.installations.changed(row.id);
}
