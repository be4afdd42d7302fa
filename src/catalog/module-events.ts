/** What a module's life tells the host's listeners, in the transaction that flips its status. */
import { emit } from '../events/emit.ts';
import type { Installation } from './installations.ts';
import type { Deferred } from './scope.ts';
import type { Version } from './versions.ts';

function aboutOf({ id }: Installation, { type, name, version }: Version) {
  return { installation_uuid: id, module: `${type}/${name}`, version };
}

export function tellOfModule(
  name: 'ModuleActivated' | 'ModuleDeactivated',
  installation: Installation,
): Deferred {
  const payload = aboutOf(installation, installation.version);
  return (trx) => emit(trx, { tenantId: installation.tenant.id, name, payload });
}

export function tellOfUpdate(installation: Installation, version: Version, fromVersion: string): Deferred {
  const payload = { ...aboutOf(installation, version), from_version: fromVersion };
  return (trx) => emit(trx, { tenantId: installation.tenant.id, name: 'ModuleUpdated', payload });
}
