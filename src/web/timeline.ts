/**
 * What happened to a service or in a task, in one list: changes of status, tasks, their attempts, calls to other systems with status and
 * time, and log lines. Read from six tables and merged by time, newest first.
 */
import { sql, type Expression, type Kysely } from 'kysely';
import * as v from 'valibot';
import type { Tables } from '../database/tables.ts';
import { isSentence, labelOf } from './filters.ts';
import { isStatus, type Translate } from './lang/texts.ts';
import { WEB_LIMITS } from './limits.ts';

export interface TimelineEntry {
  /** Unique within the list: keeps opened details open over a live update. */
  readonly key: string;
  readonly at: Date;
  readonly icon: string;
  /** A Tabler tone, or '' for what is neither good nor bad. */
  readonly tone: string;
  readonly title: string;
  /** Small facts beside the title: '201', '184 ms'. */
  readonly facts: readonly string[];
  readonly badge?: string;
  readonly by?: string;
  readonly taskId?: string;
  readonly message?: string;
  readonly request?: unknown;
  readonly response?: unknown;
}

export type TimelineScope = { readonly serviceId: string } | { readonly taskId: string };

const GOOD = new Set(['completed', 'active']);
const BAD = new Set(['failed', 'error', 'timeout', 'not_found', 'fraud']);
const ErrorText = v.object({ code: v.fallback(v.string(), ''), message: v.fallback(v.string(), '') });

function toneOf(status: string): string {
  if (GOOD.has(status)) return 'green';
  if (BAD.has(status)) return 'red';
  return status === 'processing'
    ? 'azure'
    : status === 'suspended' || status === 'interrupted'
      ? 'orange'
      : '';
}

function errorText(error: unknown): string | undefined {
  const parsed = v.safeParse(ErrorText, error);
  if (!parsed.success) return undefined;
  return [parsed.output.code, parsed.output.message].filter((part) => part !== '').join(': ');
}

/** A status of the closed sets, in words; what is none stays what it is. */
function statusWord(status: string, t: Translate): string {
  return isStatus(status) ? t(`status.${status}`) : labelOf(status);
}

function cpuFact(cpuUs: number): string {
  return `${(cpuUs / 1_000).toFixed(1)} ms CPU`;
}

/** Newest first, at most WEB_LIMITS.timelineRows of each sort. */
export async function readTimeline(
  db: Kysely<Tables>,
  scope: TimelineScope,
  t: Translate,
): Promise<TimelineEntry[]> {
  const parts = await Promise.all([
    'serviceId' in scope ? changes(db, scope.serviceId, t) : [],
    'serviceId' in scope ? actions(db, scope.serviceId, t) : [],
    tasks(db, scope, t),
    attempts(db, scope, t),
    calls(db, scope),
    logs(db, scope, t),
  ]);
  return parts.flat().sort((a, b) => b.at.getTime() - a.at.getTime());
}

async function changes(db: Kysely<Tables>, serviceId: string, t: Translate): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('service_changes as change')
    .selectAll('change')
    .select((e) => [
      productName(e.ref('change.old_value')).as('old_product'),
      productName(e.ref('change.new_value')).as('new_product'),
    ])
    .where('change.service_id', '=', serviceId)
    .orderBy('change.id', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  return rows.map((row) => {
    const before = row.old_product ?? (row.old_value === null ? null : statusWord(row.old_value, t));
    const after = row.new_product ?? statusWord(row.new_value, t);
    return {
      key: `change-${row.id}`,
      at: row.at,
      icon: row.field === 'product' ? 'fas fa-box-open' : 'fas fa-flag',
      tone: toneOf(row.new_value),
      title: `${t(`timeline.${row.field}`)}: ${before === null ? '' : `${before} → `}${after}`,
      facts: [],
      by: row.actor,
    };
  });
}

/** What people had the module do on a page, and what the clock found out. */
async function actions(db: Kysely<Tables>, serviceId: string, t: Translate): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('module_actions as action')
    .leftJoin('accounts as account', 'account.id', 'action.account_id')
    .selectAll('action')
    .select('account.name as account')
    .where('action.service_id', '=', serviceId)
    .orderBy('action.at', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  return rows.map((row) => ({
    key: `action-${row.id}`,
    at: row.at,
    icon: 'fas fa-hand-pointer',
    tone: row.ok ? 'green' : 'red',
    title: t(`timeline.did_${row.action}`, { title: row.title }),
    facts: [`${row.duration_ms} ms`],
    by: row.actor === 'host' ? t('timeline.host') : (row.account ?? row.actor),
    ...(row.message === '' ? {} : { message: row.message }),
  }));
}

/** A change of product keeps ids; null for the words of other changes. */
function productName(value: Expression<string | null>) {
  return sql<
    string | null
  >`case when change.field = 'product' then (select name from products where id = ${value}::uuid) end`;
}

async function tasks(db: Kysely<Tables>, scope: TimelineScope, t: Translate): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('tasks')
    .select(['id', 'method', 'status', 'created_at', 'cpu_us', 'parent_id'])
    .where((e) => ('serviceId' in scope ? e('service_id', '=', scope.serviceId) : e('id', '=', scope.taskId)))
    .orderBy('created_at', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  return rows.map((row) => ({
    key: `task-${row.id}`,
    at: row.created_at,
    icon: 'fas fa-list-check',
    tone: toneOf(row.status),
    title: t('timeline.queued', { method: row.method }),
    facts: row.cpu_us > 0 ? [cpuFact(row.cpu_us)] : [],
    badge: row.status,
    taskId: row.id,
    ...(row.parent_id === null ? {} : { message: t('timeline.by_earlier') }),
  }));
}

async function attempts(db: Kysely<Tables>, scope: TimelineScope, t: Translate): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('task_attempts')
    .innerJoin('tasks', 'tasks.id', 'task_attempts.task_id')
    .select([
      'task_attempts.id',
      'task_attempts.number',
      'task_attempts.outcome',
      'task_attempts.error',
      'task_attempts.started_at',
      'task_attempts.ended_at',
      'task_attempts.cpu_us',
      'task_attempts.wall_ms',
      'tasks.method',
      'tasks.id as task_id',
    ])
    .where((e) =>
      'serviceId' in scope ? e('tasks.service_id', '=', scope.serviceId) : e('tasks.id', '=', scope.taskId),
    )
    .orderBy('task_attempts.id', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  return rows.flatMap((row) => {
    const started: TimelineEntry = {
      key: `attempt-${row.id}`,
      at: row.started_at,
      icon: 'fas fa-play',
      tone: row.ended_at === null ? 'azure' : '',
      title: t('timeline.attempt_began', { method: row.method, n: row.number }),
      facts: [],
      taskId: row.task_id,
    };
    if (row.ended_at === null || row.outcome === null) return [started];
    const message = errorText(row.error);
    const ended: TimelineEntry = {
      key: `attempt-end-${row.id}`,
      at: row.ended_at,
      icon: row.outcome === 'completed' ? 'fas fa-check' : 'fas fa-xmark',
      tone: toneOf(row.outcome),
      title: t('timeline.attempt_ended', {
        method: row.method,
        n: row.number,
        outcome: statusWord(row.outcome, t).toLowerCase(),
      }),
      facts: [`${row.wall_ms} ms`, cpuFact(row.cpu_us)],
      taskId: row.task_id,
      ...(message === undefined ? {} : { message }),
    };
    return [ended, started];
  });
}

async function calls(db: Kysely<Tables>, scope: TimelineScope): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('calls')
    .selectAll()
    .where((e) =>
      'serviceId' in scope ? e('service_id', '=', scope.serviceId) : e('task_id', '=', scope.taskId),
    )
    .orderBy('id', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  return rows.map((row) => {
    const failed = row.error_code !== null || (row.status ?? 0) >= 400;
    return {
      key: `call-${row.id}`,
      at: row.at,
      icon: 'fas fa-globe',
      tone: failed ? 'red' : 'green',
      title: row.target,
      facts: [...(row.status === null ? [] : [String(row.status)]), `${row.duration_ms} ms`],
      ...(row.error_code === null ? {} : { message: row.error_code }),
      ...(row.task_id === null ? {} : { taskId: row.task_id }),
    };
  });
}

async function logs(db: Kysely<Tables>, scope: TimelineScope, t: Translate): Promise<TimelineEntry[]> {
  const rows = await db
    .selectFrom('logs')
    .selectAll()
    .where((e) =>
      'serviceId' in scope ? e('service_id', '=', scope.serviceId) : e('task_id', '=', scope.taskId),
    )
    .orderBy('id', 'desc')
    .limit(WEB_LIMITS.timelineRows)
    .execute();
  const grave = new Set(['error', 'critical', 'alert', 'emergency']);
  return rows.map((row) => ({
    key: `log-${row.id}`,
    at: row.at,
    icon: 'fas fa-scroll',
    tone: grave.has(row.level) ? 'red' : row.level === 'warning' ? 'orange' : '',
    title: row.action,
    facts: [statusWord(row.level, t).toLowerCase()],
    ...(row.source === 'host' ? { by: t('timeline.host') } : {}),
    ...(isSentence(row.request) ? { message: row.request } : { request: row.request }),
    response: row.response,
    ...(row.task_id === null ? {} : { taskId: row.task_id }),
  }));
}

const Fingerprint = v.object({ text: v.string() });

/** A text that changes when the timeline, or the status shown above it, does. One statement, cheap enough for every second. */
export async function timelineFingerprint(db: Kysely<Tables>, scope: TimelineScope): Promise<string> {
  const service = 'serviceId' in scope ? scope.serviceId : null;
  const task = 'taskId' in scope ? scope.taskId : null;
  const { rows } = await sql`
    select concat_ws('|',
      (select status || provision_status from services where id = ${service}::uuid),
      (select max(id) from service_changes where service_id = ${service}::uuid),
      (select concat_ws(',', max(usage_at), max(report_at)) from service_care where service_id = ${service}::uuid),
      (select max(at) from module_actions where service_id = ${service}::uuid),
      (select string_agg(concat_ws(',', id, status, attempts, progress_percent, progress_note), ';' order by created_at) from tasks
        where service_id = ${service}::uuid or id = ${task}::uuid),
      (select concat_ws(',', max(a.id), count(a.ended_at)) from task_attempts a join tasks t on t.id = a.task_id
        where t.service_id = ${service}::uuid or t.id = ${task}::uuid),
      (select max(id) from calls where (${service}::uuid is not null and service_id = ${service}::uuid) or task_id = ${task}::uuid),
      (select max(id) from logs where (${service}::uuid is not null and service_id = ${service}::uuid) or task_id = ${task}::uuid),
      (select string_agg(name || status, ',' order by name) from steps where task_id = ${task}::uuid)
    ) as text
  `.execute(db);
  return v.parse(Fingerprint, rows[0]).text;
}
