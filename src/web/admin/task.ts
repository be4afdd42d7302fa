/** One task: where it stands, its attempts, steps, calls and log, and what a person may do about it. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { redact } from '../../secrets/redact-by-key.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { liveStream } from '../live.ts';
import { may, need } from '../need.ts';
import { withNote, type Note } from '../notes.ts';
import { accountPage, fragment, type Panel } from '../panel.ts';
import { readTimeline, timelineFingerprint } from '../timeline.ts';

async function taskRow(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('tasks')
    .innerJoin('installations', 'installations.id', 'tasks.installation_id')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .leftJoin('services', 'services.id', 'tasks.service_id')
    .selectAll('tasks')
    .select(['modules.name as module', 'services.name as service'])
    .where('tasks.tenant_id', '=', c.get('tenant').id)
    .where('tasks.id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such task.');
  return row;
}
type TaskRow = Awaited<ReturnType<typeof taskRow>>;

function steps(panel: Panel, taskId: string) {
  return panel.deps.db
    .selectFrom('steps')
    .selectAll()
    .where('task_id', '=', taskId)
    .orderBy('started_at')
    .execute();
}

/** What makes sense now; the use case decides again. */
function actionsFor(row: TaskRow): Record<string, boolean> {
  return {
    retry: row.status === 'failed' || row.status === 'cancelled',
    cancel: row.status === 'queued' || row.status === 'pending' || row.status === 'processing',
  };
}

const StepForm = v.object({
  step: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  value: v.optional(v.string(), ''),
});

/** What the person entered as a step's value: JSON if it is JSON, else a text, nothing if empty. */
function stepValue(text: string): unknown {
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function parts(panel: Panel, c: AccountContext) {
  const task = await taskRow(panel, c);
  const [entries, stepRows] = await Promise.all([
    readTimeline(panel.deps.db, { taskId: task.id }, c.get('t')),
    steps(panel, task.id),
  ]);
  const manage = may(c, 'tasks.manage');
  return { task, entries, steps: stepRows, manage, actions: manage ? actionsFor(task) : {} };
}

export function taskPages(app: AccountApp, panel: Panel): void {
  const { jobs, db } = panel.deps;
  const done = (c: AccountContext, id: string, note: Note) =>
    c.redirect(withNote(`${c.get('tenantBase')}/admin/tasks/${id}`, note), 303);

  app.get('/tasks/:id', async (c) => {
    need(c, 'tasks.view');
    const data = await parts(panel, c);
    return accountPage(panel, c, 'admin/task', {
      ...data,
      title: data.task.method,
      crumb: { href: `${c.get('tenantBase')}/admin/tasks`, title: c.get('t')('menu.tasks') },
      params: redact(data.task.params),
      result: redact(data.task.result),
    });
  });

  app.get('/tasks/:id/timeline', async (c) => {
    need(c, 'tasks.view');
    return fragment(panel, c, 'parts/task-fragment', await parts(panel, c));
  });

  app.get('/tasks/:id/events', async (c) => {
    need(c, 'tasks.view');
    const { id } = await taskRow(panel, c);
    return liveStream(c, () => timelineFingerprint(db, { taskId: id }));
  });

  app.post('/tasks/:id/retry', async (c) => {
    need(c, 'tasks.manage');
    const { id } = await taskRow(panel, c);
    await jobs.retry(id, c.get('account').accountId);
    return done(c, id, 'task-retried');
  });

  app.post('/tasks/:id/cancel', async (c) => {
    need(c, 'tasks.manage');
    const { id } = await taskRow(panel, c);
    await jobs.cancel(id, c.get('account').accountId);
    return done(c, id, 'task-cancelled');
  });

  app.post('/tasks/:id/resume', async (c) => {
    need(c, 'tasks.manage');
    const { id } = await taskRow(panel, c);
    const form = await checkForm(c, StepForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such step.');
    await jobs.resume(id, form.value.step, c.get('account').accountId);
    return done(c, id, 'task-resumed');
  });

  app.post('/tasks/:id/step-done', async (c) => {
    need(c, 'tasks.manage');
    const { id } = await taskRow(panel, c);
    const form = await checkForm(c, StepForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such step.');
    const { step, value } = form.value;
    await jobs.markStepDone({
      taskId: id,
      step,
      value: stepValue(value),
      accountId: c.get('account').accountId,
    });
    return done(c, id, 'step-done');
  });
}
