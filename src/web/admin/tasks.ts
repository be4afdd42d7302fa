/** All tasks of a tenant, filtered by status, tag or module. */
import type { AccountApp } from '../env.ts';
import { idFrom } from '../forms.ts';
import { installationChoices } from '../choices.ts';
import { need } from '../need.ts';
import { accountPage, type Panel } from '../panel.ts';
import { readTasks, TASK_STATUSES, taskStatus } from '../task-rows.ts';

const TAG_CHARS = 100;

export function tasksPage(app: AccountApp, panel: Panel): void {
  app.get('/tasks', async (c) => {
    need(c, 'tasks.view');
    const status = taskStatus(c.req.query('status'));
    const tag = c.req.query('tag')?.slice(0, TAG_CHARS);
    const module = c.req.query('module');
    const [{ rows, paging }, modules] = await Promise.all([
      readTasks(panel, c, {
        status,
        tag: tag === '' ? undefined : tag,
        installationId: module === undefined || module === '' ? undefined : idFrom(module),
      }),
      installationChoices(panel, c.get('tenant').id),
    ]);
    const filter = { status, tag, module };
    return accountPage(panel, c, 'admin/tasks', {
      title: c.get('t')('menu.tasks'),
      tasks: rows,
      paging,
      filter,
      statuses: TASK_STATUSES,
      modules,
    });
  });
}
