/** The runner processes of this host: whose they are, their memory and processor time. */
import type { OperatorApp } from '../env.ts';
import { operatorPage, type Panel } from '../panel.ts';

export function runnersPage(app: OperatorApp, panel: Panel): void {
  app.get('/runners', async (c) => {
    const runners = await panel.deps.runners();
    const groups = runners.map(({ group }) => group).filter((group) => group !== 'shared');
    const tenants =
      groups.length === 0
        ? []
        : await panel.deps.db
            .selectFrom('tenants')
            .select(['id', 'name'])
            .where('id', 'in', groups)
            .execute();
    const names = new Map(tenants.map(({ id, name }) => [id, name]));
    const rows = runners.map((runner) => ({ ...runner, name: names.get(runner.group) ?? runner.group }));
    return operatorPage(panel, c, 'operator/runners', {
      title: c.get('t')('menu.runners'),
      runners: rows,
      rssBytes: rows.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
      isolates: rows.reduce((sum, { isolates }) => sum + isolates, 0),
    });
  });
}
