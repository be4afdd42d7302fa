/**
 * Deliveries: one send() of one sender to one recipient, run by the queue like any other job, so that it is tried again, bounded, and
 * cannot hold up others. The row keeps exactly what the sender was given and what became of it.
 */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import type { RunTask } from '../jobs/bounded.ts';
import type { OnFinished } from '../jobs/execute.ts';
import { resumeTask } from '../jobs/control.ts';
import { enqueueTask } from '../jobs/queue.ts';
import { inTransaction, type Db, type Trx } from '../jobs/task.ts';
import type { Vault } from '../secrets/vault.ts';
import { isCategory, type Category, type Level } from './categories.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';
import { checkPayload, type SendPayload } from './message.ts';
import { readSenders, type Sender } from './rules.ts';

export interface NewDelivery {
  readonly tenantId: string;
  readonly sender: Sender;
  readonly payload: SendPayload;
  readonly category: Category | null;
  readonly event?: string | null;
  readonly level: Level;
  readonly accountId?: string | null;
  /** The installation that asked for it. */
  readonly sourceId?: string | null;
  /** Equal ones are sent once. */
  readonly onceKey?: string | null;
  readonly resentOf?: string | null;
}

/** The name of what sends, in a task. */
const SEND = 'send';

/**
 * Queues a delivery in the caller's transaction. One that cannot be sent as it is (no valid recipient) is written down as failed.
 * @returns its id; null if the same one was queued before
 */
export async function queueDelivery(db: Db, delivery: NewDelivery): Promise<string | null> {
  const { sender } = delivery;
  const refused = refusalOf(delivery);
  const id = randomUUID();
  return inTransaction(db, async (trx) => {
    const row = await insertDelivery(trx, id, delivery, refused);
    if (row === undefined) return null;
    if (refused !== undefined) return id;
    const task = await enqueueTask(trx, {
      installationId: sender.installationId,
      instanceId: sender.instanceId,
      method: SEND,
      params: { ...checkPayload(sender.channel, delivery.payload) },
      tags: ['notification', `delivery:${id}`],
      tries: NOTIFICATION_LIMITS.tries,
      maxExceptions: NOTIFICATION_LIMITS.tries,
      backoffS: NOTIFICATION_LIMITS.backoffS,
      timeoutS: NOTIFICATION_LIMITS.sendTimeoutS,
    });
    await trx.updateTable('deliveries').set({ task_id: task.id }).where('id', '=', id).execute();
    return id;
  });
}

function refusalOf({ sender, payload }: NewDelivery): HostError | undefined {
  try {
    checkPayload(sender.channel, payload);
    return undefined;
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
}

async function insertDelivery(
  trx: Trx,
  id: string,
  delivery: NewDelivery,
  refused: HostError | undefined,
): Promise<{ id: string } | undefined> {
  const { sender, payload } = delivery;
  return trx
    .insertInto('deliveries')
    .values({
      id,
      tenant_id: delivery.tenantId,
      instance_id: sender.instanceId,
      sender: sender.name,
      channel: sender.channel,
      category: delivery.category,
      event: delivery.event ?? null,
      level: delivery.level,
      account_id: delivery.accountId ?? null,
      source_id: delivery.sourceId ?? null,
      recipient: payload.to.slice(0, NOTIFICATION_LIMITS.recipientCharacters),
      subject: payload.subject.slice(0, NOTIFICATION_LIMITS.subjectCharacters),
      payload: { ...payload },
      once_key: delivery.onceKey ?? null,
      resent_of: delivery.resentOf ?? null,
      ...(refused === undefined
        ? {}
        : { status: 'failed', error_code: '422', error_message: refused.message, finished_at: new Date() }),
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'once_key']).doNothing())
    .returning('id')
    .executeTakeFirst();
}

const Answer = v.looseObject({
  status: v.optional(v.unknown()),
  success: v.optional(v.unknown()),
  code: v.optional(v.union([v.number(), v.string()])),
  retry: v.optional(v.unknown()),
});

/** An answer that says: this message is wrong. Another try would end the same. */
function isFinal(code: unknown): boolean {
  const number = Number(code);
  return number >= 400 && number < 500 && number !== 408 && number !== 429;
}

/**
 * The guide's send() returns its errors, also those that pass (a mail server that is busy). Of a delivery such an answer is tried again,
 * unless its code says that the message itself is wrong or the sender says `retry: false`.
 */
export function retryingSends(db: Db, run: RunTask): RunTask {
  return async (task, how) => {
    const outcome = await run(task, how);
    if (outcome.kind !== 'returned' || task.method !== SEND || task.instanceId === null) return outcome;
    const answer = v.safeParse(Answer, outcome.value);
    if (answer.success && (answer.output.status === 'success' || answer.output.success === true))
      return outcome;
    if (!(await isDelivery(db, task.id))) return outcome;
    const doubt = await readDoubt(db, task.id);
    if (doubt !== undefined) return { ...outcome, kind: 'failed', error: doubt };
    if (!answer.success || answer.output.retry !== undefined || isFinal(answer.output.code)) return outcome;
    return { ...outcome, value: { ...answer.output, retry: true } };
  };
}

/** Any type may call a job of its own "send". */
async function isDelivery(db: Db, taskId: string): Promise<boolean> {
  const row = await db.selectFrom('deliveries').select('id').where('task_id', '=', taskId).executeTakeFirst();
  return row !== undefined;
}

/** A sender may tell of a mail in doubt as of any failure; another try would end the same, and it is a person's to decide. */
async function readDoubt(db: Db, taskId: string): Promise<WireError | undefined> {
  const row = await db
    .selectFrom('steps')
    .select('name')
    .where('task_id', '=', taskId)
    .where('status', '=', 'in_doubt')
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    code: 'STEP_IN_DOUBT',
    message: 'The message was handed over and no answer was recorded: it may have arrived, or not.',
    data: { step: row.name },
  };
}

/** In error_code of a delivery that was sent: a run before had been cut off, perhaps after the message was out. */
export const SENT_TWICE = 'INTERRUPTED';

/**
 * A run that its process did not live to end, of a sender whose requests are in no journal. What it had sent, nobody knows: so it is sent
 * again, and that is said.
 */
async function wasCutOff(trx: Trx, taskId: string): Promise<boolean> {
  const cut = await trx
    .selectFrom('task_attempts')
    .select('id')
    .where('task_id', '=', taskId)
    .where('outcome', '=', 'interrupted')
    .where((e) => e.not(e.exists(e.selectFrom('steps').select('name').where('task_id', '=', taskId))))
    .limit(1)
    .executeTakeFirst();
  return cut !== undefined;
}

/** Writes down what became of a delivery, in the transaction that ends its task. */
export function createDeliveryEnd(deps: { readonly vault: Pick<Vault, 'open'> }): OnFinished {
  return async (task, finished) => {
    if (task.method !== SEND || task.instanceId === null) return undefined;
    const { instanceId } = task;
    const { redactor } = await deps.vault.open({ installationId: task.installationId, instanceId });
    const sent = finished.status === 'completed';
    const answer = v.safeParse(Answer, task.result);
    const code = answer.success ? answer.output.code : undefined;
    // The sender's own words: it may repeat what a server said, and that what it was sent.
    const message = redactor
      .text(finished.error?.message ?? '')
      .slice(0, NOTIFICATION_LIMITS.errorCharacters);
    return async (trx) => {
      const cutOff = sent && (await wasCutOff(trx, task.id)) ? SENT_TWICE : null;
      await trx
        .updateTable('deliveries')
        .set({
          status: sent ? 'sent' : finished.error?.code === 'STEP_IN_DOUBT' ? 'in_doubt' : 'failed',
          attempts: task.attempts,
          error_code: sent ? cutOff : String(code ?? finished.error?.code ?? 'MODULE_ERROR').slice(0, 40),
          error_message: sent ? null : message,
          finished_at: new Date(),
        })
        .where('task_id', '=', task.id)
        .where('tenant_id', '=', task.tenantId)
        .execute();
    };
  };
}

const StoredPayload = v.looseObject({
  to: v.string(),
  subject: v.string(),
  title: v.string(),
  message: v.string(),
  text_mini: v.string(),
  module: v.string(),
  type: v.picklist(['info', 'success', 'warning', 'error']),
});

/** The same mail, with the Message-ID that it had: whoever got it already may see that it is the same. */
async function sendAgain(db: Kysely<Tables>, deliveryId: string, taskId: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await resumeTask(trx, taskId);
    await trx
      .updateTable('deliveries')
      .set({ status: 'queued', error_code: null, error_message: null, finished_at: null })
      .where('id', '=', deliveryId)
      .execute();
  });
}

/**
 * A person found that a message in doubt had arrived: it counts as sent, and no retry of its task sends it again.
 * @throws HostError NOT_FOUND, CONFLICT for one that is not in doubt
 */
export async function markSent(db: Kysely<Tables>, tenantId: string, deliveryId: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('deliveries')
      .select(['status', 'task_id'])
      .where('tenant_id', '=', tenantId)
      .where('id', '=', deliveryId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such delivery.');
    if (row.status !== 'in_doubt')
      throw new HostError('CONFLICT', 'Only a delivery in doubt can be marked as sent.');
    if (row.task_id !== null)
      await trx
        .updateTable('steps')
        .set({ status: 'done', value: null, finished_at: new Date() })
        .where('task_id', '=', row.task_id)
        .where('status', '=', 'in_doubt')
        .execute();
    await trx
      .updateTable('deliveries')
      .set({ status: 'sent', error_code: null, error_message: null, finished_at: new Date() })
      .where('id', '=', deliveryId)
      .execute();
  });
}

/**
 * Sends the same once more, as a delivery of its own; one in doubt is sent on as what it is.
 * @throws HostError NOT_FOUND; CONFLICT while it waits, or when its sender is gone
 */
export async function resend(db: Kysely<Tables>, tenantId: string, deliveryId: string): Promise<string> {
  const row = await db
    .selectFrom('deliveries')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('id', '=', deliveryId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such delivery.');
  if (row.status === 'queued') throw new HostError('CONFLICT', 'It waits to be sent already.');
  if (row.status === 'in_doubt' && row.task_id !== null) {
    await sendAgain(db, row.id, row.task_id);
    return row.id;
  }
  const sender = (await readSenders(db, tenantId)).find(({ instanceId }) => instanceId === row.instance_id);
  if (sender === undefined)
    throw new HostError('CONFLICT', `${row.sender} is switched off or gone. Switch it on, then send again.`);
  const id = await queueDelivery(db, {
    tenantId,
    sender,
    payload: v.parse(StoredPayload, row.payload),
    category: isCategory(row.category) ? row.category : null,
    event: row.event,
    level: row.level,
    accountId: row.account_id,
    sourceId: row.source_id,
    resentOf: row.id,
  });
  if (id === null) throw new HostError('INTERNAL', 'A delivery without a key was taken for a known one.');
  return id;
}
