/** The tenant's log: by level, module, service and text. */
import type { AccountApp } from '../env.ts';
import { idFrom } from '../forms.ts';
import { installationChoices } from '../choices.ts';
import { LOG_LEVELS, logLevel, readLogs } from '../log-rows.ts';
import { need } from '../need.ts';
import { accountPage, type Panel } from '../panel.ts';

const TEXT_CHARS = 100;

function optionalId(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : idFrom(text);
}

export function logsPage(app: AccountApp, panel: Panel): void {
  app.get('/logs', async (c) => {
    need(c, 'logs.view');
    const level = logLevel(c.req.query('level'));
    const installationId = optionalId(c.req.query('module'));
    const serviceId = optionalId(c.req.query('service'));
    const text = c.req.query('q')?.slice(0, TEXT_CHARS);
    const [{ rows, paging }, modules] = await Promise.all([
      readLogs(panel, c, { level, installationId, serviceId, text }),
      installationChoices(panel, c.get('tenant').id),
    ]);
    const filter = { level, module: installationId, service: serviceId, q: text };
    return accountPage(panel, c, 'admin/logs', {
      title: c.get('t')('menu.logs'),
      logs: rows,
      paging,
      filter,
      levels: LOG_LEVELS,
      modules,
    });
  });
}
