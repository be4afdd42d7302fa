/**
 * steps: the host's side of `this.step(…)`, and the journal that the http broker keeps for requests made inside one. What a step has
 * sent is in the database before it leaves, and what came back is there before the module sees it. So whatever dies, a retry
 * knows of each request that it was answered (and gives the answer again), never sent, or in doubt; it never sends one twice on
 * its own. A task's steps are reached from that task's own run only: which one that is comes from the scope.
 */
import * as v from 'valibot';

import { http } from '../../sandbox/contract/capabilities/http.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { refuseUnstorable } from '../database/storable.ts';
import {
  countSteps,
  findStep,
  finishStep,
  forgetUnanswered,
  noteAnswered,
  noteSent,
  openStep,
  setStepStatus,
} from '../jobs/step-rows.ts';
import type { RequestKey, StepKey, StepRow } from '../jobs/step-rows.ts';
import type { Db } from '../jobs/task.ts';
import type { Broker, Scope } from './broker.ts';
import type { StepJournal } from './http/journal.ts';

export interface StepsDeps {
  readonly db: Db;
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

async function begunStep(db: Db, key: StepKey): Promise<StepRow> {
  const found = await findStep(db, key);
  if (found !== undefined) return found;
  if ((await countSteps(db, key.taskId)) >= LIMITS.stepsPerTask) {
    throw new HostError(
      'LIMIT',
      `steps: a task has at most ${LIMITS.stepsPerTask} steps; queue a task for the rest.`,
    );
  }
  return openStep(db, key);
}

async function isUnanswered(db: Db, { taskId, name }: StepKey): Promise<boolean> {
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
async function forgetErrors(db: Db, { taskId, name }: StepKey): Promise<void> {
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

export function createStepsBroker({ db }: StepsDeps): Broker<'steps'> {
  return {
    begin: async (scope, { name }) => {
      const key = { taskId: taskOf(scope), name };
      refuseUnstorable('steps', name);
      const step = await begunStep(db, key);
      if (step.status === 'done') return { status: 'done', value: step.value };
      const idempotencyKey = step.idempotency_key;
      if (!(await isUnanswered(db, key))) return { status: 'run', idempotencyKey };
      await setStepStatus(db, key, 'in_doubt');
      return { status: 'in_doubt', idempotencyKey };
    },

    finish: async (scope, { name, value }) => {
      if (!(await finishStep(db, { taskId: taskOf(scope), name }, value))) {
        throw new HostError(
          'CONFLICT',
          `steps: step "${name}" was not begun, or is finished already; each step of a job needs a name of its own.`,
        );
      }
      return {};
    },

    fail: async (scope, { name }) => {
      await forgetErrors(db, { taskId: taskOf(scope), name });
      return {};
    },

    restart: async (scope, { name }) => {
      const key = { taskId: taskOf(scope), name };
      const step = await findStep(db, key);
      if (step === undefined || step.status === 'done') {
        throw new HostError('CONFLICT', `steps: step "${name}" is not one that could be started again.`);
      }
      await forgetUnanswered(db, key);
      await setStepStatus(db, key, 'running');
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

async function findRequest(db: Db, { taskId, name, number }: RequestKey): Promise<RequestRow | undefined> {
  return db
    .selectFrom('step_requests')
    .select(['fingerprint', 'response', 'answered_at'])
    .where('task_id', '=', taskId)
    .where('step', '=', name)
    .where('number', '=', number)
    .executeTakeFirst();
}

/** The journal of the steps' requests, for the http broker. Each method has committed when it resolves. */
export function createStepJournal({ db }: StepsDeps): StepJournal {
  return {
    before: async (scope, request, fingerprint) => {
      const key = { taskId: taskOf(scope), ...request };
      const step = await findStep(db, key);
      if (step === undefined || step.status === 'done') {
        throw new HostError('CONFLICT', `steps: step "${key.name}" is not running; begin it first.`);
      }
      if (await noteSent(db, key, fingerprint)) {
        return { send: { idempotencyKey: `${step.idempotency_key}-${key.number}` } };
      }
      const noted = await findRequest(db, key);
      if (noted?.answered_at == null) {
        await setStepStatus(db, key, 'in_doubt');
        throw inDoubt(key.name);
      }
      if (noted.fingerprint !== fingerprint) {
        throw new HostError(
          'CONFLICT',
          `steps: step "${key.name}" asked for something else this time: its request ${key.number + 1} was ${noted.fingerprint.replace(/ \S+$/, '')}. A step must ask for the same things when it runs again.`,
        );
      }
      return { replay: v.parse(StoredAnswer, noted.response) };
    },

    answered: async (scope, request, answer) => {
      // Not there to be answered: another run of the task has taken over. Its module must not act on this answer.
      if (!(await noteAnswered(db, { taskId: taskOf(scope), ...request }, answer)))
        throw inDoubt(request.name);
    },

    unsent: async (scope, request) => forgetUnanswered(db, { taskId: taskOf(scope), ...request }),
  };
}
