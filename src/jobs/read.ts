/** Tasks as the panel shows them: one, a filtered page of them, and a task's runs. */
import { sql } from 'kysely';

import type { WireError } from '../../sandbox/contract/envelope.ts';
import { JOB_LIMITS } from './limits.ts';
import type { AttemptOutcome } from './outcome.ts';
import { readError, taskFrom } from './task.ts';
import type { Db, Task, TaskStatus } from './task.ts';

export interface TaskFilter {
  readonly tenantId?: string;
  readonly installationId?: string;
  readonly serviceId?: string;
  readonly status?: TaskStatus;
  readonly tag?: string;
  /** From 1. */
  readonly page?: number;
  /** 50 if absent, 200 at most. */
  readonly rows?: number;
}

export interface TaskPage {
  /** Newest first. */
  readonly tasks: readonly Task[];
  readonly page: number;
  readonly hasMore: boolean;
}

/** One run of a task. */
export interface Attempt {
  readonly number: number;
  /** Null while it runs. */
  readonly outcome: AttemptOutcome | null;
  readonly error: WireError | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly cpuUs: number;
  readonly wallMs: number;
}

export async function getTask(db: Db, taskId: string): Promise<Task | undefined> {
  const row = await db.selectFrom('tasks').selectAll().where('id', '=', taskId).executeTakeFirst();
  return row === undefined ? undefined : taskFrom(row);
}

export async function listTasks(db: Db, filter: TaskFilter): Promise<TaskPage> {
  const page = Math.max(1, filter.page ?? 1);
  const rows = Math.min(Math.max(1, filter.rows ?? JOB_LIMITS.taskPageRows), JOB_LIMITS.taskPageMaxRows);
  let query = db.selectFrom('tasks').selectAll();
  if (filter.tenantId !== undefined) query = query.where('tenant_id', '=', filter.tenantId);
  if (filter.installationId !== undefined) query = query.where('installation_id', '=', filter.installationId);
  if (filter.serviceId !== undefined) query = query.where('service_id', '=', filter.serviceId);
  if (filter.status !== undefined) query = query.where('status', '=', filter.status);
  if (filter.tag !== undefined) {
    query = query.where(sql<boolean>`tags @> array[${filter.tag}::text]`);
  }
  const found = await query
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(rows + 1)
    .offset((page - 1) * rows)
    .execute();
  return { tasks: found.slice(0, rows).map(taskFrom), page, hasMore: found.length > rows };
}

/** All runs of a task, oldest first. */
export async function listAttempts(db: Db, taskId: string): Promise<Attempt[]> {
  const rows = await db
    .selectFrom('task_attempts')
    .selectAll()
    .where('task_id', '=', taskId)
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    number: row.number,
    outcome: row.outcome,
    error: readError(row.error),
    startedAt: row.started_at,
    endedAt: row.ended_at,
    cpuUs: row.cpu_us,
    wallMs: row.wall_ms,
  }));
}
