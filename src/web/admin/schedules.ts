/** What runs again and again: when next, how the last runs went, and a person's say in it. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { maySchedule } from '../../schedules/granted.ts';
import { nextAfter } from '../../schedules/times.ts';
import { installationChoices } from '../choices.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { idFrom } from '../forms.ts';
import { may, need, runs } from '../need.ts';
import { withNote, type Note } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

/** More are never: so many installations with as many schedules. */
const ROWS = 1_000;
const NEXT_SHOWN = 3;

function upcoming(
  row: { readonly cron: string | null; readonly every_s: number | null; readonly next_at: Date },
  timezone: string,
): Date[] {
  const found = [row.next_at];
  while (found.length < NEXT_SHOWN) {
    const next = nextAfter({ cron: row.cron, everyS: row.every_s }, timezone, found.at(-1) ?? row.next_at);
    if (next === undefined) break;
    found.push(next);
  }
  return found;
}

async function schedules(panel: Panel, c: AccountContext, module: string) {
  const tenant = c.get('tenant');
  let query = panel.deps.db
    .selectFrom('schedules as schedule')
    .innerJoin('installations as installation', 'installation.id', 'schedule.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .leftJoin('tasks as task', 'task.id', 'schedule.last_task_id')
    .select([
      'schedule.id',
      'schedule.method',
      'schedule.title',
      'schedule.cron',
      'schedule.every_s',
      'schedule.next_at',
      'schedule.paused_at',
      'schedule.source',
      'schedule.installation_id',
      'installation.status as module_status',
      'installation.paused_at as module_paused_at',
      maySchedule('installation').as('granted'),
      'module.name as module',
      'task.id as task_id',
      'task.status as task_status',
      'task.created_at as task_at',
    ])
    .where('schedule.tenant_id', '=', tenant.id);
  if (module !== '') query = query.where('schedule.installation_id', '=', idFrom(module));
  const rows = await query.orderBy('module.name').orderBy('schedule.created_at').limit(ROWS).execute();
  const left = await panel.deps.db
    .selectFrom('schedule_runs as run')
    .innerJoin('schedules as schedule', 'schedule.id', 'run.schedule_id')
    .select(['run.schedule_id', 'run.outcome', 'run.missed', 'run.at'])
    .distinctOn('run.schedule_id')
    .where('schedule.tenant_id', '=', tenant.id)
    .where('run.outcome', 'in', ['overlap', 'caught_up'])
    .orderBy('run.schedule_id')
    .orderBy('run.id', 'desc')
    .execute();
  return rows.map((row) => {
    const works =
      runs(row.module_status) && row.module_paused_at === null && row.paused_at === null && row.granted;
    return {
      ...row,
      works,
      upcoming: works ? upcoming(row, tenant.timezone) : [],
      note: left.find(({ schedule_id }) => schedule_id === row.id),
    };
  });
}

export function schedulePages(app: AccountApp, panel: Panel): void {
  const { schedules: cases, db } = panel.deps;

  app.get('/schedules', async (c) => {
    need(c, 'tasks.view');
    const module = c.req.query('module') ?? '';
    const [rows, modules] = await Promise.all([
      schedules(panel, c, module),
      installationChoices(panel, c.get('tenant').id),
    ]);
    return accountPage(panel, c, 'admin/schedules', {
      title: c.get('t')('menu.schedules'),
      schedules: rows,
      modules,
      filter: { module },
      manage: may(c, 'tasks.manage'),
    });
  });

  const acting = (name: string, note: Note, act: (id: string) => Promise<void>): void => {
    app.post(`/schedules/:id/${name}`, async (c) => {
      need(c, 'tasks.manage');
      const row = await db
        .selectFrom('schedules')
        .select('id')
        .where('tenant_id', '=', c.get('tenant').id)
        .where('id', '=', idFrom(c.req.param('id')))
        .executeTakeFirst();
      if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such schedule.');
      await act(row.id);
      return c.redirect(withNote(`${c.get('tenantBase')}/admin/schedules`, note), 303);
    });
  };
  acting('run', 'schedule-run', (id) => cases.runNow(id));
  acting('pause', 'schedule-paused', (id) => cases.pause(id));
  acting('resume', 'schedule-resumed', (id) => cases.resume(id));
}
