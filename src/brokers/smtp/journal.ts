/**
 * The journal of mails that a job sends. That a mail is being handed over is in the database before the server gets it, and its answer is
 * there before the module sees it; so a job that runs again, after whatever died, sends no mail twice on its own: one that the server
 * took is answered as then, one without an answer is in doubt and waits for a person. Each mail stands as a step of its task, with the
 * same buttons, and keeps its Message-ID when it is sent again.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { type OpArgument, type OpOutput } from '../../../sandbox/contract/capabilities.ts';
import { smtp } from '../../../sandbox/contract/capabilities/smtp.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import {
  finishStep,
  forgetUnanswered,
  noteAnswered,
  noteSent,
  openStep,
  setStepStatus,
} from '../../jobs/step-rows.ts';
import type { StepKey } from '../../jobs/step-rows.ts';
import { inTransaction } from '../../jobs/task.ts';
import type { Db } from '../../jobs/task.ts';
import type { Scope } from '../broker.ts';
import { addressOf } from './message.ts';

type Input = OpArgument<'smtp', 'send'>;
type Output = OpOutput<'smtp', 'send'>;

export interface MailEntry {
  /** The first half of its Message-ID, the same each time it is sent. */
  readonly key: string;
  /** To be awaited right before the server gets the mail. @throws HostError STEP_IN_DOUBT if another run is at it */
  begin(): Promise<void>;
  /** The server took it. @throws HostError STEP_IN_DOUBT if another run has taken over */
  answered(output: Output): Promise<void>;
  /** It certainly was not taken: another try may send it. */
  unsent(): Promise<void>;
  /** Nobody knows. The error says so to the module, and the task's page to a person. */
  doubt(cause: unknown): Promise<HostError>;
}

export interface MailJournal {
  /**
   * Undefined outside a job: there nothing runs again by itself.
   * @throws HostError STEP_IN_DOUBT for a mail of which nobody knows whether it was sent
   */
  open(scope: Scope, input: Input): Promise<{ readonly taken: Output } | MailEntry | undefined>;
}

const PREFIX = 'mail to ';
const SHOWN_CHARACTERS = 60;
const HASH_CHARACTERS = 12;

function hashOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, HASH_CHARACTERS);
}

interface Named {
  /** The step's. */
  readonly name: string;
  /** Whom it goes to and what it is called: two that agree in this may be one whose text holds the time. */
  readonly alike: string;
}

/** @param nth how often this run has sent this very mail before */
function nameOf(input: Input, nth: number): Named {
  const { from, to, cc, bcc, subject, text, html, attachments } = input;
  const alike = [to, cc, bcc].map((boxes) => boxes.map(addressOf));
  const first = to.map(addressOf)[0] ?? '';
  const hash = hashOf([from, alike, subject, text, html, attachments, nth]);
  return {
    name: `${PREFIX}${first.slice(0, SHOWN_CHARACTERS)} (${hash})`,
    alike: `MAIL ${hashOf([alike, subject])}`,
  };
}

function inDoubt(step: string, cause?: unknown): HostError {
  return new HostError(
    'STEP_IN_DOUBT',
    `smtp: a mail was handed to the server and its answer was never recorded (${step}); look whether it arrived, then send it again or mark it as sent.`,
    { data: { step }, cause },
  );
}

interface Place extends Named, StepKey {}

/** What a server said when it took the mail; a person who marks it as sent knows less. */
function takenBefore(value: unknown, input: Input): Output {
  const parsed = v.safeParse(smtp.ops.send.output, value);
  if (parsed.success) return parsed.output;
  return {
    accepted: [...input.to, ...input.cc, ...input.bcc].map(addressOf),
    rejected: [],
    response: 'marked as sent by a person',
    message_id: '',
  };
}

async function refuseDoubtful(db: Db, { taskId, alike }: Place): Promise<void> {
  const doubtful = await db
    .selectFrom('step_requests')
    .innerJoin('steps', (join) =>
      join
        .onRef('steps.task_id', '=', 'step_requests.task_id')
        .onRef('steps.name', '=', 'step_requests.step'),
    )
    .select('step_requests.step')
    .where('step_requests.task_id', '=', taskId)
    .where('step_requests.fingerprint', '=', alike)
    .where('step_requests.answered_at', 'is', null)
    .where('steps.status', '<>', 'done')
    .limit(1)
    .executeTakeFirst();
  if (doubtful === undefined) return;
  await setStepStatus(db, { taskId, name: doubtful.step }, 'in_doubt');
  throw inDoubt(doubtful.step);
}

function entryAt(db: Db, place: Place, key: string): MailEntry {
  const { name, alike } = place;
  const request = { ...place, number: 0 };
  return {
    key,
    async begin() {
      if (!(await noteSent(db, request, alike))) throw inDoubt(name);
    },
    async answered(output) {
      await inTransaction(db, async (trx) => {
        if (!(await noteAnswered(trx, request, output))) throw inDoubt(name);
        await finishStep(trx, place, output);
      });
    },
    async unsent() {
      await forgetUnanswered(db, request);
    },
    async doubt(cause) {
      await setStepStatus(db, place, 'in_doubt');
      return inDoubt(name, cause);
    },
  };
}

export function createMailJournal({ db }: { readonly db: Db }): MailJournal {
  /** Per run: the same mail sent twice by one run is two mails. */
  const sent = new WeakMap<Scope, Map<string, number>>();
  return {
    async open(scope, input) {
      const { taskId } = scope;
      if (scope.purpose !== 'job' || taskId === null) return undefined;
      const counts = sent.get(scope) ?? new Map<string, number>();
      sent.set(scope, counts);
      const once = nameOf(input, 0).name;
      const nth = counts.get(once) ?? 0;
      counts.set(once, nth + 1);
      const place = { taskId, ...nameOf(input, nth) };
      await refuseDoubtful(db, place);
      const { idempotency_key: key, status, value } = await openStep(db, place);
      return status === 'done' ? { taken: takenBefore(value, input) } : entryAt(db, place, key);
    },
  };
}
