/** The two questions every page asks first: may this account, and is this row its tenant's? */
import { HostError } from '../../sandbox/contract/envelope.ts';
import { hasPermission, requirePermission, type PanelPermission } from '../auth/permissions.ts';
import type { AccountContext } from './env.ts';
import type { Panel } from './panel.ts';

/** The last route of an area: what it does not have must not fall through to another area. @throws NOT_FOUND */
export function nothingHere(): never {
  throw new HostError('NOT_FOUND', 'There is no such page.');
}

/** @throws NOT_GRANTED */
export function need(c: AccountContext, permission: PanelPermission): void {
  requirePermission(c.get('account').permissions, permission);
}

export function may(c: AccountContext, permission: PanelPermission): boolean {
  return hasPermission(c.get('account').permissions, permission);
}

export interface InstallationRow {
  readonly id: string;
  readonly module_id: string;
  readonly version_id: string;
  readonly status: 'inactive' | 'active' | 'restricted' | 'error';
  readonly status_reason: string | null;
  readonly paused_at: Date | null;
  readonly paused_reason: string | null;
  readonly installed_at: Date;
  readonly schema_name: string | null;
  readonly publisher: string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  /** The store it came from took it back: since when that is known, and why. */
  readonly taken_back_at: Date | null;
  readonly taken_back_reason: string | null;
  readonly manifest: unknown;
  readonly declaration: unknown;
}

/** Its module runs: a newer version that waits for consent ('restricted') does not stop the one in force. */
export function runs(status: InstallationRow['status']): boolean {
  return status === 'active' || status === 'restricted';
}

function installations(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select([
      'installations.id',
      'installations.module_id',
      'installations.version_id',
      'installations.status',
      'installations.status_reason',
      'installations.paused_at',
      'installations.paused_reason',
      'installations.installed_at',
      'installations.schema_name',
      'modules.publisher',
      'modules.type',
      'modules.name',
      'module_versions.version',
      'module_versions.taken_back_at',
      'module_versions.taken_back_reason',
      'module_versions.manifest',
      'module_versions.declaration',
    ])
    .where('installations.tenant_id', '=', tenantId);
}

/** @throws NOT_FOUND, also for another tenant's */
export async function installationOf(panel: Panel, tenantId: string, id: string): Promise<InstallationRow> {
  const row = await installations(panel, tenantId).where('installations.id', '=', id).executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such module here.');
  return row;
}

/** The installation behind `/modules/{Type}/{Name}`. @throws NOT_FOUND */
export async function installationNamed(
  panel: Panel,
  tenantId: string,
  type: string,
  name: string,
): Promise<InstallationRow> {
  const row = await installations(panel, tenantId)
    .where('modules.type', '=', type)
    .where('modules.name', '=', name)
    .orderBy('installations.installed_at')
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such module here.');
  return row;
}
