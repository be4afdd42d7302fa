/** Modules that listen, and what the host wrote down about an event. */
import type { ModuleSource } from '../support/modules.ts';
import type { Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

/** A module whose hooks.ts is the given text; it may hear and emit what is named. */
export function listener(
  name: string,
  hooks: string,
  events: { readonly emits?: readonly string[]; readonly listens?: readonly string[] },
  manifest: Readonly<Record<string, unknown>> = {},
): ModuleSource {
  return {
    name,
    type: 'Plugin',
    manifest: { events, ...manifest },
    files: {
      'hooks.ts': `import { on } from 'bulkhead';\nimport ${name} from './${name}.ts';\nvoid ${name};\n${hooks}\n`,
    },
  };
}

let number = 0;

/** A new client of the tenant: the host tells that it was registered. @returns the event's row */
export async function register(tenant: Tenant) {
  const email = `c${++number}@${tenant.slug}.example`;
  await tenant.panel.auth.createAccount({
    kind: 'client',
    tenantId: tenant.id,
    name: 'New',
    email,
    password: 'A long password 3',
  });
  return found(tenant, 'ClientRegistered', (payload) => payload['email'] === email);
}

export async function found(
  tenant: Tenant,
  name: string,
  fits: (payload: Record<string, unknown>) => boolean = () => true,
) {
  return until(`the event ${name}`, async () => {
    const rows = await tenant.panel.db
      .selectFrom('events')
      .selectAll()
      .where('tenant_id', '=', tenant.id)
      .where('name', '=', name)
      .orderBy('at', 'desc')
      .execute();
    return rows.find((row) => fits(row.payload as Record<string, unknown>));
  });
}

/** What the host itself always does about some events; it is no part of what is tested here. */
const ALWAYS = 'notifications';

/** Who heard an event and what came of it, in the order of their turns, once all of it is over. */
export async function handled(tenant: Tenant, eventId: string) {
  return until('every handler to have ended', async () => {
    const event = await tenant.panel.db
      .selectFrom('events')
      .select('delivered_at')
      .where('id', '=', eventId)
      .executeTakeFirstOrThrow();
    if (event.delivered_at === null) return undefined;
    const rows = await tenant.panel.db
      .selectFrom('event_deliveries as delivery')
      .leftJoin('installations as installation', 'installation.id', 'delivery.installation_id')
      .leftJoin('modules as module', 'module.id', 'installation.module_id')
      .leftJoin('tasks as task', 'task.id', 'delivery.task_id')
      .select([
        'delivery.id',
        'delivery.subscriber',
        'delivery.attempts as host_attempts',
        'delivery.error as host_error',
        'delivery.finished_at as host_finished_at',
        'delivery.priority',
        'module.name as module',
        'task.id as task_id',
        'task.status',
        'task.attempts',
        'task.result',
        'task.error',
        'task.started_at',
        'task.finished_at',
      ])
      .where('delivery.event_id', '=', eventId)
      .where((eb) => eb.or([eb('delivery.subscriber', 'is', null), eb('delivery.subscriber', '<>', ALWAYS)]))
      .orderBy('delivery.position')
      .execute();
    const over = rows.every(
      (row) => (row.subscriber === null ? row.finished_at : row.host_finished_at) !== null,
    );
    return over && rows;
  });
}
