/** The admin's first page: how the tenant's modules do, what waits for a person, and what happened last. */
import { sql } from 'kysely';
import * as v from 'valibot';
import type { AccountApp, AccountContext } from '../env.ts';
import { may } from '../need.ts';
import { accountPage, type Panel } from '../panel.ts';
import { cpuChart, totalUsage, usageByInstallation } from '../usage.ts';

const ROWS = 8;
const Counts = v.object({
  modules: v.number(),
  attention: v.number(),
  services: v.number(),
  active_services: v.number(),
  clients: v.number(),
  waiting: v.number(),
  received_minor: v.number(),
  open_minor: v.number(),
});

async function counts(panel: Panel, tenantId: string): Promise<v.InferOutput<typeof Counts>> {
  const { rows } = await sql`
    select
      (select count(*)::int from installations where tenant_id = ${tenantId}) as modules,
      (select count(*)::int from installations i join module_versions m on m.id = i.version_id
        where i.tenant_id = ${tenantId} and (i.status in ('restricted', 'error') or i.paused_at is not null or m.taken_back_at is not null)) as attention,
      (select count(*)::int from services where tenant_id = ${tenantId}) as services,
      (select count(*)::int from services where tenant_id = ${tenantId} and status = 'active') as active_services,
      (select count(*)::int from accounts where tenant_id = ${tenantId} and kind = 'client') as clients,
      (select count(*)::int from tasks where tenant_id = ${tenantId} and status in ('queued', 'pending', 'processing')) as waiting,
      (select coalesce(sum(amount_minor - refunded_minor), 0)::float8 from payments where tenant_id = ${tenantId} and created_at > now() - interval '30 days') as received_minor,
      (select coalesce(sum(total_minor - paid_minor), 0)::float8 from invoices where tenant_id = ${tenantId} and status in ('unpaid', 'overdue')) as open_minor
  `.execute(panel.deps.db);
  return v.parse(Counts, rows[0]);
}

function recentTasks(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('tasks')
    .innerJoin('installations', 'installations.id', 'tasks.installation_id')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .select([
      'tasks.id',
      'tasks.method',
      'tasks.status',
      'tasks.created_at',
      'modules.name as module',
      'tasks.cpu_us',
    ])
    .where('tasks.tenant_id', '=', tenantId)
    .orderBy('tasks.created_at', 'desc')
    .limit(ROWS)
    .execute();
}

function recentChanges(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('service_changes')
    .innerJoin('services', 'services.id', 'service_changes.service_id')
    .select([
      'services.id',
      'services.name',
      'service_changes.field',
      'service_changes.new_value',
      'service_changes.actor',
      'service_changes.at',
    ])
    .where('services.tenant_id', '=', tenantId)
    .where('service_changes.field', '!=', 'product')
    .orderBy('service_changes.at', 'desc')
    .limit(ROWS)
    .execute();
}

/** Modules in use whose store has taken their version back: a person must decide. */
function takenBack(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select([
      'installations.id',
      'modules.type',
      'modules.name',
      'module_versions.version',
      'module_versions.taken_back_reason as reason',
    ])
    .where('installations.tenant_id', '=', tenantId)
    .where('module_versions.taken_back_at', 'is not', null)
    .orderBy('modules.name')
    .limit(ROWS)
    .execute();
}

export function dashboardPage(app: AccountApp, panel: Panel): void {
  app.get('/', async (c: AccountContext) => {
    const tenant = c.get('tenant');
    const nowMs = panel.deps.now();
    // Each card is for who may open the page it stands for; what nobody sees is not asked for.
    const sees = {
      modules: may(c, 'modules.view'),
      store: may(c, 'modules.manage'),
      services: may(c, 'services.view'),
      clients: may(c, 'clients.manage'),
      tasks: may(c, 'tasks.view'),
      billing: may(c, 'billing.view'),
      logs: may(c, 'logs.view'),
    };
    const [numbers, usage, chart, tasks, changes, taken] = await Promise.all([
      counts(panel, tenant.id),
      sees.modules ? usageByInstallation(panel.deps.db, tenant.id, nowMs) : new Map(),
      sees.modules
        ? cpuChart(panel.deps.db, { tenantId: tenant.id, timezone: tenant.timezone, nowMs })
        : undefined,
      sees.tasks ? recentTasks(panel, tenant.id) : [],
      sees.services ? recentChanges(panel, tenant.id) : [],
      sees.modules ? takenBack(panel, tenant.id) : [],
    ]);
    const total = totalUsage(usage);
    const averageMs = total.invocations === 0 ? 0 : total.wallMs / total.invocations;
    return accountPage(panel, c, 'admin/dashboard', {
      title: c.get('t')('menu.dashboard'),
      sees,
      numbers,
      total,
      averageMs,
      chart,
      tasks,
      changes,
      taken,
    });
  });
}
