/**
 * Hosts that a module asked for while it ran and the admin confirmed: they count like those of the grant they extend, for as long as the module
 * has that capability at all.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Grants } from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';
import type { HostCases } from '../web/deps.ts';
import type { Installations } from './installations.ts';

export interface ConfirmedHost {
  readonly capability: string;
  readonly pattern: string;
}

export async function readConfirmedHosts(
  db: Kysely<Tables>,
  installationId: string,
): Promise<ConfirmedHost[]> {
  return db
    .selectFrom('host_requests')
    .select(['capability', 'pattern'])
    .where('installation_id', '=', installationId)
    .where('status', '=', 'confirmed')
    .orderBy('asked_at')
    .execute();
}

export function withConfirmed(grants: Grants, confirmed: readonly ConfirmedHost[]): Grants {
  const widened: Record<string, Grants[string]> = { ...grants };
  for (const { capability, pattern } of confirmed) {
    const grant = widened[capability];
    if (grant === undefined) continue;
    const hosts = Array.isArray(grant['hosts']) ? grant['hosts'] : [];
    widened[capability] = { ...grant, hosts: [...(hosts as readonly unknown[]), pattern] };
  }
  return widened;
}

export function createHostCases(db: Kysely<Tables>, installations: Installations): HostCases {
  return {
    decide: async ({ requestId, status, accountId }) => {
      const row = await db
        .updateTable('host_requests')
        .set({ status, decided_at: new Date(), decided_by: accountId })
        .where('id', '=', requestId)
        .returning('installation_id')
        .executeTakeFirst();
      if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such request.');
      await installations.changed(row.installation_id);
    },
    forget: async (requestId) => {
      const row = await db
        .deleteFrom('host_requests')
        .where('id', '=', requestId)
        .returning('installation_id')
        .executeTakeFirst();
      if (row !== undefined) await installations.changed(row.installation_id);
    },
  };
}
