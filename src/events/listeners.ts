/** Which handlers of a tenant's modules hear an event: what hooks.ts declared, within what the admin granted. Highest priority first. */
import type { Kysely } from 'kysely';
import { eventCovers } from '../../sandbox/contract/host-events.ts';
import type { Installation, Installations } from '../catalog/installations.ts';
import type { Tables } from '../database/tables.ts';

export interface Listener {
  readonly installationId: string;
  readonly handler: number;
  readonly priority: number;
}

/** True if the handler is there, for this event, and the admin lets the module hear it. */
export function hears(installation: Installation, event: string, handler: number): boolean {
  const granted = installation.grants['events']?.['listen'];
  const patterns = Array.isArray(granted) ? granted.filter((item) => typeof item === 'string') : [];
  return (
    installation.version.declaration.hooks[handler]?.event === event &&
    patterns.some((pattern) => eventCovers(pattern, event))
  );
}

export async function findListeners(
  db: Kysely<Tables>,
  installations: Installations,
  event: { readonly tenantId: string; readonly name: string },
): Promise<Listener[]> {
  const rows = await db
    .selectFrom('installations')
    .select('id')
    .where('tenant_id', '=', event.tenantId)
    .where('status', 'in', ['active', 'restricted'])
    .orderBy('installed_at')
    .orderBy('id')
    .execute();
  const found: Listener[] = [];
  for (const { id } of rows) {
    const installation = await installations.get(id);
    for (const [handler, hook] of installation.version.declaration.hooks.entries())
      if (hears(installation, event.name, handler))
        found.push({ installationId: id, handler, priority: hook.priority });
  }
  // Stable: of equal priority, the module that was installed first.
  return found.sort((a, b) => b.priority - a.priority);
}
