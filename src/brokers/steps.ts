/**
 * steps: the host's side of `this.step(…)`, and the journal that the http broker keeps for requests made inside one. What a step has
 * sent is in the database before it leaves, and what came back is there before the module sees it. So whatever dies, a retry
 * knows of each request that it was answered (and gives the answer again), never sent, or in doubt; it never sends one twice on
 * its own. A task's steps are reached from that task's own run only: which one that is comes from the scope.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import * as v from 'valibot';

import { http } from '../../sandbox/contract/capabilities/http.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Tables } from '../database/tables.ts';
import { refuseUnstorable, storable } from '../database/storable.ts';
import type { Broker, Scope } from './broker.ts';
import type { StepJournal, StepRequest } from './http/journal.ts';

export interface StepsDeps {
  readonly db: Kysely<Tables>;
}

interface StepRow {
  readonly idempotency_key: string;
  readonly status: 'running' | 'done' | 'in_doubt';
  readonly value: unknown;
}

function taskOf(scope: Scope): string {
  if (scope.purpose !== 'job' || scope.taskId === null) {
    throw new HostError('CONFLICT', 'steps: a step runs inside a job only; queue one with this.tasks.add.');
  }
  return scope.taskId;
}

function inDoubt(step: string): HostError {
  return new HostError(
    'STEP_IN_DOUBT',
    `steps: step "${step}" sent a request whose answer was never recorded; give the step a check, or let a person decide.`,
    { data: { step } },
  );
}

async function findStep(db: Kysely<Tables>, taskId: string, name: string): Promise<StepRow | undefined> {
  return db
    .selectFrom('steps')
    .select(['idempotency_key', 'status', 'value'])
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .executeTakeFirst();
}

async function createStep(db: Kysely<Tables>, taskId: string, name: string): Promise<StepRow> {
  const { count } = await db
    .selectFrom('steps')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('task_id', '=', taskId)
    .executeTakeFirstOrThrow();
  if (count >= LIMITS.stepsPerTask) {
    throw new HostError(
      'LIMIT',
      `steps: a task has at most ${LIMITS.stepsPerTask} steps; queue a task for the rest.`,
    );
  }
  // Two begins of one name at once: the second finds the first's row.
  await db
    .insertInto('steps')
    .values({ task_id: taskId, name, idempotency_key: randomUUID() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await findStep(db, taskId, name);
  if (row === undefined) throw new HostError('NOT_FOUND', 'steps: the task is gone.');
  return row;
}

async function isUnanswered(db: Kysely<Tables>, taskId: string, name: string): Promise<boolean> {
  const request = await db
    .selectFrom('step_requests')
    .select('number')
    .where('task_id', '=', taskId)
    .where('step', '=', name)
    .where('answered_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return request !== undefined;
}

/** Forgets the first error answer of a step and what was answered after it: asked again, the service may have recovered. */
async function forgetErrors(db: Kysely<Tables>, taskId: string, name: string): Promise<void> {
  const answered = await db
    .selectFrom('step_requests')
    .select(['number', 'response'])
    .where('task_id', '=', taskId)
    .where('step', '=', name)
    .where('answered_at', 'is not', null)
    .orderBy('number')
    .execute();
  const first = answered.find((row) => v.parse(StoredAnswer, row.response).status >= FIRST_ERROR_STATUS);
  if (first === undefined) return;
  await db
    .deleteFrom('step_requests')
    .where('task_id', '=', taskId)
    .where('step', '=', name)
    .where('number', '>=', first.number)
    .where('answered_at', 'is not', null)
    .execute();
}

async function setStatus(
  db: Kysely<Tables>,
  taskId: string,
  name: string,
  status: 'running' | 'in_doubt',
): Promise<void> {
  await db
    .updateTable('steps')
    .set({ status })
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .where('status', '<>', 'done')
    .execute();
}

export function createStepsBroker({ db }: StepsDeps): Broker<'steps'> {
  return {
    begin: async (scope, { name }) => {
      const taskId = taskOf(scope);
      refuseUnstorable('steps', name);
      const step = (await findStep(db, taskId, name)) ?? (await createStep(db, taskId, name));
      if (step.status === 'done') return { status: 'done', value: step.value };
      const idempotencyKey = step.idempotency_key;
      if (!(await isUnanswered(db, taskId, name))) return { status: 'run', idempotencyKey };
      await setStatus(db, taskId, name, 'in_doubt');
      return { status: 'in_doubt', idempotencyKey };
    },

    finish: async (scope, { name, value }) => {
      const taskId = taskOf(scope);
      const done = await db
        .updateTable('steps')
        .set({ status: 'done', value: storable(value) ?? null, finished_at: sql<Date>`clock_timestamp()` })
        .where('task_id', '=', taskId)
        .where('name', '=', name)
        .where('status', '<>', 'done')
        .returning('name')
        .executeTakeFirst();
      if (done === undefined) {
        throw new HostError(
          'CONFLICT',
          `steps: step "${name}" was not begun, or is finished already; each step of a job needs a name of its own.`,
        );
      }
      return {};
    },

    fail: async (scope, { name }) => {
      await forgetErrors(db, taskOf(scope), name);
      return {};
    },

    restart: async (scope, { name }) => {
      const taskId = taskOf(scope);
      const step = await findStep(db, taskId, name);
      if (step === undefined || step.status === 'done') {
        throw new HostError('CONFLICT', `steps: step "${name}" is not one that could be started again.`);
      }
      await db
        .deleteFrom('step_requests')
        .where('task_id', '=', taskId)
        .where('step', '=', name)
        .where('answered_at', 'is', null)
        .execute();
      await setStatus(db, taskId, name, 'running');
      return { idempotencyKey: step.idempotency_key };
    },
  };
}

const FIRST_ERROR_STATUS = 400;

/** Kept as text within the JSON: a body may hold what jsonb cannot (NUL), and must come back as it came. */
const StoredAnswer = v.pipe(v.string(), v.parseJson(), http.ops.request.output);

interface RequestRow {
  readonly fingerprint: string;
  readonly response: unknown;
  readonly answered_at: Date | null;
}

/** Notes a request as sent. Undefined if it was noted before. */
async function noteSent(
  db: Kysely<Tables>,
  taskId: string,
  request: StepRequest,
  fingerprint: string,
): Promise<{ number: number } | undefined> {
  return db
    .insertInto('step_requests')
    .values({ task_id: taskId, step: request.name, number: request.number, fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .returning('number')
    .executeTakeFirst();
}

async function findRequest(
  db: Kysely<Tables>,
  taskId: string,
  request: StepRequest,
): Promise<RequestRow | undefined> {
  return db
    .selectFrom('step_requests')
    .select(['fingerprint', 'response', 'answered_at'])
    .where('task_id', '=', taskId)
    .where('step', '=', request.name)
    .where('number', '=', request.number)
    .executeTakeFirst();
}

/** The journal of the steps' requests, for the http broker. Each method has committed when it resolves. */
export function createStepJournal({ db }: StepsDeps): StepJournal {
  return {
    before: async (scope, request, fingerprint) => {
      const taskId = taskOf(scope);
      const step = await findStep(db, taskId, request.name);
      if (step === undefined || step.status === 'done') {
        throw new HostError('CONFLICT', `steps: step "${request.name}" is not running; begin it first.`);
      }
      if ((await noteSent(db, taskId, request, fingerprint)) !== undefined) {
        return { send: { idempotencyKey: `${step.idempotency_key}-${request.number}` } };
      }
      const noted = await findRequest(db, taskId, request);
      if (noted?.answered_at == null) {
        await setStatus(db, taskId, request.name, 'in_doubt');
        throw inDoubt(request.name);
      }
      if (noted.fingerprint !== fingerprint) {
        throw new HostError(
          'CONFLICT',
          `steps: step "${request.name}" asked for something else this time: its request ${request.number + 1} was ${noted.fingerprint.replace(/ \S+$/, '')}. A step must ask for the same things when it runs again.`,
        );
      }
      return { replay: v.parse(StoredAnswer, noted.response) };
    },

    answered: async (scope, request, answer) => {
      const stored = await db
        .updateTable('step_requests')
        .set({ response: JSON.stringify(answer), answered_at: sql<Date>`clock_timestamp()` })
        .where('task_id', '=', taskOf(scope))
        .where('step', '=', request.name)
        .where('number', '=', request.number)
        .where('answered_at', 'is', null)
        .returning('number')
        .executeTakeFirst();
      // Not there to be answered: another run of the task has taken over. Its module must not act on this answer.
      if (stored === undefined) throw inDoubt(request.name);
    },

    unsent: async (scope, request) => {
      await db
        .deleteFrom('step_requests')
        .where('task_id', '=', taskOf(scope))
        .where('step', '=', request.name)
        .where('number', '=', request.number)
        .where('answered_at', 'is', null)
        .execute();
    },
  };
}
