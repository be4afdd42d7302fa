/**
 * Takes an installation away: switched off, without data, and with no product that needs it. It is a flow, so that nothing else is being
 * done with the installation meanwhile, and all of it is looked at in the transaction that deletes.
 */
import type { Transaction } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { type FlowDefinition, StepEnd } from '../flows/executor.ts';
import type { Installation, Installations } from './installations.ts';

const State = v.object({ installationId: v.string() });

export function uninstallFlow(installations: Installations): FlowDefinition {
  return {
    kind: 'uninstall',
    steps: [
      {
        name: 'delete',
        async run(state) {
          const { installationId } = v.parse(State, state);
          const write = (trx: Transaction<Tables>) => deleteInstallation(installations, trx, installationId);
          return new StepEnd(write, () => installations.forget());
        },
      },
    ],
  };
}

async function deleteInstallation(
  installations: Installations,
  trx: Transaction<Tables>,
  installationId: string,
): Promise<void> {
  const row = await trx
    .selectFrom('installations')
    .select(['status', 'schema_name'])
    .where('id', '=', installationId)
    .forUpdate()
    .executeTakeFirst();
  // Taken away by this very step before the process died.
  if (row === undefined) return;
  refuseUnlessOff(row);
  const used = await trx
    .selectFrom('products')
    .select('name')
    .where('installation_id', '=', installationId)
    .executeTakeFirst();
  if (used !== undefined)
    throw new HostError(
      'CONFLICT',
      `The product “${used.name}” belongs to this module; its services would be orphaned.`,
    );
  if (row.schema_name !== null)
    throw new HostError(
      'CONFLICT',
      'The module still has data. Export what you need, purge it, and uninstall it then.',
    );
  await trx.deleteFrom('installations').where('id', '=', installationId).execute();
  await installations.announce(trx, installationId);
}

export function isOff({ status }: Pick<Installation, 'status'>): boolean {
  return status === 'inactive' || status === 'error';
}

/** @throws CONFLICT */
export function refuseUnlessOff(installation: Pick<Installation, 'status'>): void {
  if (!isOff(installation))
    throw new HostError('CONFLICT', 'Disable the module first; its data stays until you purge it.');
}
