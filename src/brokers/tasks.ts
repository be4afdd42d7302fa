/**
 * tasks: the host's side of `this.tasks`. A module queues methods of its own class, for its own installation and service, within what
 * was granted; which tenant, installation and service that is comes from the scope. Only its own tasks are visible to it.
 */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';

import type { Grant, OpArgument } from '../../sandbox/contract/capabilities.ts';
import { isHostCalled } from '../../sandbox/contract/kinds.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { hostJobsOf } from '../../sandbox/contract/kinds.ts';
import { nearest } from '../../sandbox/contract/grant.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Tables } from '../database/tables.ts';
import { cancelTask } from '../jobs/control.ts';
import { enqueueTask, eventDepthOf } from '../jobs/queue.ts';
import type { NewTask } from '../jobs/queue.ts';
import { lockPlaces } from '../jobs/places.ts';
import type { Trx } from '../jobs/task.ts';
import { firstRun, type NewSchedule, putSchedule, refuseTooMany } from '../schedules/store.ts';
import { refuseUnstorable } from '../database/storable.ts';
import type { Broker, Scope } from './broker.ts';
import { createProgress } from './tasks-progress.ts';
import { createRate } from './tasks-rate.ts';

export interface TasksDeps {
  readonly db: Kysely<Tables>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Of a clock that never goes back: for rates. */
  readonly elapsedMs?: () => number;
}

type AddInput = OpArgument<'tasks', 'add'>;

const MAX_DELAY_S = 31_536_000;

function refuseMethod(scope: Scope, method: string): void {
  if (isHostCalled(method) || Object.hasOwn(hostJobsOf(scope.moduleType), method)) {
    throw new HostError(
      'BAD_INPUT',
      `tasks: "${method}" is called by the host only and cannot be queued; name a method of your own, for example "syncJob".`,
    );
  }
  if (scope.methods.has(method)) return;
  const guess = nearest(method, [...scope.methods]);
  const hint = guess === undefined ? 'add it to the class' : `did you mean "${guess}"`;
  throw new HostError('NO_METHOD', `tasks: ${scope.moduleName} has no method "${method}"; ${hint}?`);
}

function refuseData({ params, tags }: Pick<AddInput, 'params' | 'tags'>): void {
  refuseUnstorable('tasks', [params, tags]);
  const sizeBytes = Buffer.byteLength(JSON.stringify(params));
  if (sizeBytes <= LIMITS.taskParamsBytes) return;
  throw new HostError(
    'LIMIT',
    `tasks: params take ${sizeBytes} bytes; ${LIMITS.taskParamsBytes} are allowed. Keep the data in a table and pass its id.`,
  );
}

/** When the task is to run. A delay is counted by the database's clock, which says when it is over. */
function timeOf(input: AddInput, now: number): { runAt?: Date; delayS?: number } {
  if (input.delay !== undefined && input.run_at !== undefined) {
    throw new HostError('BAD_INPUT', 'tasks: give either delay or run_at, not both.');
  }
  const runAt = Date.parse(input.run_at ?? '');
  if (runAt > now + MAX_DELAY_S * 1_000) {
    throw new HostError('BAD_INPUT', 'tasks: run_at is more than a year from now.');
  }
  if (input.delay !== undefined) return { delayS: input.delay };
  return runAt > now ? { runAt: new Date(runAt) } : {};
}

/** @throws HostError NOT_FOUND for what is not an instance of the module's own installation */
async function instanceFor(
  db: Kysely<Tables>,
  scope: Scope,
  named: string | undefined,
): Promise<string | null> {
  if (named === undefined || named === scope.instanceId) return scope.instanceId;
  const row = await db
    .selectFrom('instances')
    .select('id')
    .where('id', '=', named)
    .where('installation_id', '=', scope.installationId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'tasks: there is no such instance of this module.');
  return row.id;
}

function newTask(scope: Scope, input: AddInput, instanceId: string | null, now: number): NewTask {
  return {
    id: randomUUID(),
    installationId: scope.installationId,
    serviceId: scope.serviceId,
    instanceId,
    parentId: scope.taskId,
    method: input.method,
    params: input.params,
    tags: input.tags,
    tries: input.tries,
    backoffS: input.backoff,
    timeoutS: input.timeout,
    maxExceptions: input.maxExceptions,
    ...timeOf(input, now),
  };
}

export function createTasksBroker({
  db,
  now = Date.now,
  elapsedMs = () => performance.now(),
}: TasksDeps): Broker<'tasks'> {
  const rate = createRate(elapsedMs);
  const progress = createProgress(db);

  const refuseRate = (scope: Scope, grant: Grant<'tasks'>): void => {
    if (rate.allows(scope.installationId, grant.per_minute)) return;
    throw new HostError(
      'LIMIT',
      `tasks: ${grant.per_minute} tasks a minute are granted; ask for more in permissions.tasks.per_minute, or queue fewer, larger ones.`,
    );
  };
  const own = async (scope: Scope, uuid: string) => {
    const row = await db
      .selectFrom('tasks')
      .select(['id', 'method', 'status', 'attempts', 'result', 'tags'])
      .where('id', '=', uuid)
      .where('installation_id', '=', scope.installationId)
      .executeTakeFirst();
    if (row === undefined) throw new HostError('NOT_FOUND', 'tasks: there is no such task of this module.');
    return row;
  };

  return {
    add: async (scope, input, grant) => {
      refuseMethod(scope, input.method);
      refuseData(input);
      const task = newTask(scope, input, await instanceFor(db, scope, input.instance), now());
      refuseRate(scope, grant);
      scope.used('tasks.per_minute');
      if (scope.purpose === 'lifecycle') {
        const uuid = task.id ?? randomUUID();
        scope.afterSuccess(async (trx) => {
          await enqueueTask(trx, { ...task, id: uuid });
        });
        return { uuid, status: 'queued' };
      }
      const queued = await enqueueTask(db, { ...task, maxWaiting: LIMITS.tasksQueued });
      return { uuid: queued.id, status: queued.status };
    },

    instances: async (scope) => ({
      instances: await db
        .selectFrom('instances')
        .select(['id as uuid', 'name'])
        .where('installation_id', '=', scope.installationId)
        .where('active', '=', true)
        .orderBy('name')
        .execute(),
    }),

    get: async (scope, { uuid }) => {
      const { id, ...task } = await own(scope, uuid);
      return { uuid: id, ...task };
    },

    cancel: async (scope, { uuid }) => {
      await own(scope, uuid);
      return cancelTask(db, uuid, 'The task was cancelled by its module.');
    },

    schedule: async (scope, input, grant) => {
      scope.used('tasks.per_minute');
      refuseMethod(scope, input.method);
      refuseData(input);
      refuseRate(scope, grant);
      const times = { cron: input.cron ?? null, everyS: input.every ?? null };
      const wanted: NewSchedule = {
        ...times,
        tenantId: scope.tenantId,
        installationId: scope.installationId,
        timezone: scope.timezone,
        source: 'module',
        method: input.method,
        title: input.title,
        params: input.params,
        tags: input.tags,
        tries: input.tries,
        backoffS: input.backoff,
        timeoutS: input.timeout,
        maxExceptions: input.maxExceptions,
        eventDepth: await eventDepthOf(db, scope.taskId),
      };
      const at = new Date(now());
      const put = async (trx: Trx) => {
        await lockPlaces(trx, scope.installationId);
        const made = await putSchedule(trx, wanted, at);
        await refuseTooMany(trx, scope.installationId);
        return made;
      };
      if (scope.purpose === 'lifecycle') {
        // Its row is not there yet; its first run is known all the same.
        const nextAt = firstRun(times, scope.timezone, at);
        scope.afterSuccess(async (trx) => void (await put(trx)));
        return { uuid: '', next_at: nextAt.toISOString() };
      }
      const { id, nextAt } = await db.transaction().execute(put);
      return { uuid: id, next_at: nextAt.toISOString() };
    },

    unschedule: async (scope, { method }) => {
      const { numDeletedRows } = await db
        .deleteFrom('schedules')
        .where('installation_id', '=', scope.installationId)
        .where('source', '=', 'module')
        .where('method', '=', method)
        .executeTakeFirst();
      return { removed: Number(numDeletedRows) };
    },

    progress: async (scope, note) => {
      progress.note(scope, note);
    },
  };
}
