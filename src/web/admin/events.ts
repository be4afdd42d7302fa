/** What happened, who heard of it, and what each made of it. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { hostEvents } from '../../../sandbox/contract/host-events.ts';
import { redact } from '../../secrets/redact-by-key.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { idFrom } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { may, need } from '../need.ts';
import { withNote } from '../notes.ts';
import { paged, pageNumber, rowsFrom } from '../paging.ts';
import { accountPage, type Panel } from '../panel.ts';

const NAME_CHARACTERS = 160;
const HandlerError = v.object({ message: v.string() });

async function list(panel: Panel, c: AccountContext, name: string, source: string) {
  const page = pageNumber(c.req.query('page'));
  let query = panel.deps.db
    .selectFrom('events')
    .select((eb) => [
      'events.id',
      'events.name',
      'events.source',
      'events.at',
      eb
        .selectFrom('event_deliveries')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('event_deliveries.event_id', '=', 'events.id')
        .as('handlers'),
      eb
        .selectFrom('event_deliveries')
        .leftJoin('tasks', 'tasks.id', 'event_deliveries.task_id')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('event_deliveries.event_id', '=', 'events.id')
        .where((inner) =>
          inner.or([inner('tasks.status', '=', 'failed'), inner('event_deliveries.error', 'is not', null)]),
        )
        .as('failed'),
    ])
    .where('events.tenant_id', '=', c.get('tenant').id);
  if (name !== '') query = query.where('events.name', '=', name);
  if (source !== '') query = query.where('events.source', source === 'host' ? '=' : '<>', 'host');
  const rows = await query
    .orderBy('events.at', 'desc')
    .limit(WEB_LIMITS.pageRows + 1)
    .offset(rowsFrom(page))
    .execute();
  return paged(c.req.url, page, rows);
}

async function eventRow(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('events')
    .selectAll()
    .where('tenant_id', '=', c.get('tenant').id)
    .where('id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such event.');
  return row;
}

/** Each handler in its turn, with what its task says: the host's own subscribers have no task. */
async function handlers(panel: Panel, eventId: string) {
  const rows = await panel.deps.db
    .selectFrom('event_deliveries as delivery')
    .leftJoin('tasks as task', 'task.id', 'delivery.task_id')
    .leftJoin('installations as installation', 'installation.id', 'delivery.installation_id')
    .leftJoin('modules as module', 'module.id', 'installation.module_id')
    .select((eb) => [
      'delivery.id',
      'delivery.subscriber',
      'delivery.handler',
      'delivery.priority',
      'delivery.attempts as host_attempts',
      'delivery.error as host_error',
      'delivery.wall_ms as host_wall_ms',
      'delivery.finished_at as host_finished_at',
      'delivery.installation_id',
      'module.name as module',
      'task.id as task_id',
      'task.status',
      'task.attempts',
      'task.error',
      eb
        .selectFrom('task_attempts')
        .select((inner) => inner.fn.sum<number>('task_attempts.wall_ms').as('ms'))
        .whereRef('task_attempts.task_id', '=', 'task.id')
        .as('wall_ms'),
    ])
    .where('delivery.event_id', '=', eventId)
    .orderBy('delivery.position')
    .execute();
  return rows.map((row) => {
    const error = v.safeParse(HandlerError, row.error);
    const own = row.subscriber !== null;
    const hostStatus =
      row.host_finished_at === null ? 'pending' : row.host_error === null ? 'completed' : 'failed';
    const status = own ? hostStatus : (row.status ?? 'pending');
    return {
      ...row,
      status,
      attempts: own ? row.host_attempts : (row.attempts ?? 0),
      wall_ms: own ? row.host_wall_ms : row.wall_ms,
      error: own ? row.host_error : error.success ? error.output.message : null,
      again: !own && (status === 'completed' || status === 'failed' || status === 'cancelled'),
    };
  });
}

export function eventPages(app: AccountApp, panel: Panel): void {
  app.get('/events', async (c) => {
    need(c, 'logs.view');
    const name = (c.req.query('name') ?? '').slice(0, NAME_CHARACTERS);
    const source = (c.req.query('source') ?? '').slice(0, NAME_CHARACTERS);
    const { rows, paging } = await list(panel, c, name, source);
    return accountPage(panel, c, 'admin/events', {
      title: c.get('t')('menu.events'),
      events: rows,
      paging,
      filter: { name, source },
      names: Object.keys(hostEvents),
    });
  });

  app.get('/events/:id', async (c) => {
    need(c, 'logs.view');
    const event = await eventRow(panel, c);
    return accountPage(panel, c, 'admin/event', {
      title: event.name,
      crumb: { href: `${c.get('tenantBase')}/admin/events`, title: c.get('t')('menu.events') },
      event,
      payload: redact(event.payload),
      handlers: await handlers(panel, event.id),
      manage: may(c, 'tasks.manage'),
    });
  });

  app.post('/events/:id/again/:delivery', async (c) => {
    need(c, 'tasks.manage');
    const event = await eventRow(panel, c);
    const wanted = idFrom(c.req.param('delivery'));
    const found = (await handlers(panel, event.id)).find(({ id }) => id === wanted);
    if (found?.again !== true)
      throw new HostError('CONFLICT', 'This handler waits or runs already, or is the host’s own.');
    await panel.deps.events.runAgain(found.id);
    return c.redirect(withNote(`${c.get('tenantBase')}/admin/events/${event.id}`, 'handler-again'), 303);
  });
}
