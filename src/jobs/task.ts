/** A task as the queue hands it on: the row of `tasks`, parsed once, with names as the rest of the host writes them. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import * as v from 'valibot';

import { isErrorCode } from '../../sandbox/contract/envelope.ts';
import type { WireError } from '../../sandbox/contract/envelope.ts';
import type { TASK_STATUSES } from '../../sandbox/contract/capabilities/tasks.ts';
import type { Tables, TasksTable } from '../database/tables.ts';

export type Db = Kysely<Tables>;
export type Trx = Transaction<Tables>;
export type TaskStatus = (typeof TASK_STATUSES)[number];
export type FinalStatus = 'completed' | 'failed' | 'cancelled';

export interface Task {
  readonly id: string;
  readonly tenantId: string;
  readonly installationId: string;
  readonly serviceId: string | null;
  /** The set of settings it runs with. */
  readonly instanceId: string | null;
  readonly parentId: string | null;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly tries: number;
  readonly backoffS: number;
  readonly timeoutS: number;
  readonly maxExceptions: number;
  readonly runAt: Date;
  readonly status: TaskStatus;
  /** Counted attempts since it was queued (or queued again by a person); interrupted ones do not count. */
  readonly attempts: number;
  readonly exceptions: number;
  /** What the method returned, whole. */
  readonly result: unknown;
  readonly error: WireError | null;
  readonly progressPercent: number | null;
  readonly progressNote: string | null;
  readonly cpuUs: number;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

const Params = v.record(v.string(), v.unknown());
const StoredError = v.object({
  code: v.custom<WireError['code']>(isErrorCode),
  message: v.string(),
  data: v.optional(v.unknown()),
});

/** A stored error, or what can be said when it is none of ours. */
export function readError(stored: unknown): WireError | null {
  if (stored === null || stored === undefined) return null;
  const parsed = v.safeParse(StoredError, stored);
  return parsed.success
    ? parsed.output
    : { code: 'INTERNAL', message: 'The stored error could not be read.' };
}

export function taskFrom(row: Selectable<TasksTable>): Task {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    installationId: row.installation_id,
    serviceId: row.service_id,
    instanceId: row.instance_id,
    parentId: row.parent_id,
    method: row.method,
    params: v.parse(Params, row.params),
    tags: row.tags,
    tries: row.tries,
    backoffS: row.backoff_s,
    timeoutS: row.timeout_s,
    maxExceptions: row.max_exceptions,
    runAt: row.run_at,
    status: row.status,
    attempts: row.attempts,
    exceptions: row.exceptions,
    result: row.result,
    error: readError(row.error),
    progressPercent: row.progress_percent,
    progressNote: row.progress_note,
    cpuUs: row.cpu_us,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

/** Runs `work` in the caller's transaction if it is in one, else in one of its own. */
export async function inTransaction<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  if (isTransaction(db)) return work(db);
  return db.transaction().execute(work);
}

function isTransaction(db: Db): db is Trx {
  return db.isTransaction;
}
