/** Tasks as lists show them, filtered by status, tag, module or service. */
import { sql } from 'kysely';
import type { AccountContext } from './env.ts';
import { WEB_LIMITS } from './limits.ts';
import { pageNumber, paged, rowsFrom } from './paging.ts';
import type { Panel } from './panel.ts';

const STATUSES = [
  'queued',
  'pending',
  'processing',
  'completed',
  'failed',
  'cancelled',
  'duplicate',
] as const;
export type TaskStatus = (typeof STATUSES)[number];
export const TASK_STATUSES: readonly TaskStatus[] = STATUSES;

export function taskStatus(text: string | undefined): TaskStatus | undefined {
  return STATUSES.find((status) => status === text);
}

export interface TaskFilter {
  readonly status?: TaskStatus | undefined;
  readonly tag?: string | undefined;
  readonly installationId?: string | undefined;
  readonly serviceId?: string | undefined;
}

/** One page of a tenant's tasks, newest first. */
export async function readTasks(panel: Panel, c: AccountContext, filter: TaskFilter) {
  const page = pageNumber(c.req.query('page'));
  let query = panel.deps.db
    .selectFrom('tasks')
    .innerJoin('installations', 'installations.id', 'tasks.installation_id')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .leftJoin('services', 'services.id', 'tasks.service_id')
    .select([
      'tasks.id',
      'tasks.method',
      'tasks.status',
      'tasks.tags',
      'tasks.attempts',
      'tasks.tries',
      'tasks.cpu_us',
      'tasks.progress_percent',
      'tasks.created_at',
      'tasks.finished_at',
      'modules.name as module',
      'services.id as service_id',
      'services.name as service',
    ])
    .where('tasks.tenant_id', '=', c.get('tenant').id);
  if (filter.status !== undefined) query = query.where('tasks.status', '=', filter.status);
  if (filter.installationId !== undefined)
    query = query.where('tasks.installation_id', '=', filter.installationId);
  if (filter.serviceId !== undefined) query = query.where('tasks.service_id', '=', filter.serviceId);
  if (filter.tag !== undefined) query = query.where(sql<boolean>`tasks.tags @> array[${filter.tag}]::text[]`);
  const rows = await query
    .orderBy('tasks.created_at', 'desc')
    .limit(WEB_LIMITS.pageRows + 1)
    .offset(rowsFrom(page))
    .execute();
  return paged(c.req.url, page, rows);
}
