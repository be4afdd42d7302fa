/** Instances as invocations see them: one set of settings, with secrets and a webhook address of its own. */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import type { Installation } from './installations.ts';

const Settings = v.record(v.string(), v.unknown());

export interface Instance {
  readonly id: string;
  readonly installationId: string;
  readonly tenantId: string;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly hookId: string;
  readonly active: boolean;
}

/** @throws HostError NOT_FOUND */
export async function readInstance(db: Kysely<Tables>, id: string): Promise<Instance> {
  const row = await db.selectFrom('instances').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such instance.');
  return {
    id: row.id,
    installationId: row.installation_id,
    tenantId: row.tenant_id,
    name: row.name,
    settings: v.parse(Settings, row.settings),
    hookId: row.hook_id,
    active: row.active,
  };
}

/** What an admin filled in: for the installation, and over it for the instance. */
export function settingsOf(
  installation: Pick<Installation, 'settings'>,
  instance: Pick<Instance, 'settings'> | null,
): Readonly<Record<string, unknown>> {
  return instance === null ? installation.settings : { ...installation.settings, ...instance.settings };
}
