/** The modules a tenant has, with what they did in the last 24 hours. */
import { sql } from 'kysely';
import type { AccountApp } from '../env.ts';
import { need } from '../need.ts';
import { accountPage, type Panel } from '../panel.ts';
import { totalUsage, usageByInstallation, usageOf } from '../usage.ts';

function installed(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select([
      'installations.id',
      'installations.status',
      'installations.paused_at',
      'modules.publisher',
      'modules.type',
      'modules.name',
      'module_versions.version',
      'module_versions.taken_back_at',
      sql<string>`module_versions.manifest ->> 'title'`.as('title'),
      sql<string>`module_versions.manifest ->> 'description'`.as('description'),
      sql<string | null>`module_versions.manifest ->> 'icon'`.as('icon'),
    ])
    .where('installations.tenant_id', '=', tenantId)
    .orderBy('modules.name')
    .execute();
}

export function modulesPage(app: AccountApp, panel: Panel): void {
  app.get('/modules', async (c) => {
    need(c, 'modules.view');
    const tenantId = c.get('tenant').id;
    const [rows, usage] = await Promise.all([
      installed(panel, tenantId),
      usageByInstallation(panel.deps.db, tenantId, panel.deps.now()),
    ]);
    const modules = rows.map((row) => ({ ...row, usage: usageOf(usage, row.id) }));
    const attention = rows.filter(
      (row) =>
        row.paused_at !== null ||
        row.taken_back_at !== null ||
        row.status === 'restricted' ||
        row.status === 'error',
    ).length;
    return accountPage(panel, c, 'admin/modules', {
      title: c.get('t')('menu.modules'),
      modules,
      attention,
      total: totalUsage(usage),
    });
  });
}
