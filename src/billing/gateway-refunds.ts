/**
 * Refunds through a gateway: the refund is noted and its job queued in one transaction, and the job is the module's refund() of the very
 * instance that took the money. A refusal of the gateway is an answer and ends it; anything else that goes wrong leaves it in doubt, since money
 * may have gone, and a person decides. The job's step keeps a crash from sending it twice.
 */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { RefundResult } from '../../sandbox/contract/kinds/payment.ts';
import type { Installations } from '../catalog/installations.ts';
import type { RunTask } from '../jobs/bounded.ts';
import type { OnFinished } from '../jobs/execute.ts';
import { enqueueTask } from '../jobs/queue.ts';
import type { Db, Task } from '../jobs/task.ts';
import { beginRefund, endRefund, type RefundEnd } from './refunds.ts';

export interface GatewayRefundDeps {
  readonly db: Db;
  readonly installations: Installations;
}

export interface GatewayRefund {
  readonly tenantId: string;
  readonly invoiceId: string;
  readonly paymentId: string;
  readonly amountMinor: number;
  readonly reason: string;
  readonly accountId: string;
}

const METHOD = 'refund';
const TIMEOUT_S = 60;
const Params = v.object({ refund_uuid: v.string() });

/** Whether the module that took a payment can give it back. */
export async function canRefund(deps: GatewayRefundDeps, instanceId: string): Promise<boolean> {
  try {
    const { installationId } = await deps.installations.instance(instanceId);
    const { version, status, pausedReason } = await deps.installations.get(installationId);
    return (
      version.methods.has(METHOD) && (status === 'active' || status === 'restricted') && pausedReason === null
    );
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}

/** @throws HostError CONFLICT for a module that cannot, and what beginRefund refuses */
export async function refundThroughGateway(
  deps: GatewayRefundDeps,
  refund: GatewayRefund,
): Promise<{ refundId: string; taskId: string }> {
  return deps.db.transaction().execute(async (trx) => {
    const begun = await beginRefund(trx, { ...refund, method: 'gateway' });
    const { instanceId } = begun;
    if (instanceId === null || !(await canRefund(deps, instanceId)))
      throw new HostError('CONFLICT', 'This gateway cannot give money back. Send it by hand, and note that.');
    const { installationId } = await deps.installations.instance(instanceId);
    const task = await enqueueTask(trx, {
      installationId,
      instanceId,
      method: METHOD,
      params: {
        refund_uuid: begun.refundId,
        transaction_id: begun.transactionId,
        amount: begun.amountMinor,
      },
      tags: [METHOD, `payment:${refund.paymentId}`],
      tries: 1,
      timeoutS: TIMEOUT_S,
    });
    return { refundId: begun.refundId, taskId: task.id };
  });
}

/**
 * A refund that a person has settled, or that has failed and may have been given back otherwise, is not sent by its job any more, whoever runs
 * that again.
 */
export function onlyOpenRefunds(db: Db, run: RunTask): RunTask {
  return async (task, how) => {
    const params = v.safeParse(Params, task.params);
    if (task.method !== METHOD || task.instanceId === null || !params.success) return run(task, how);
    const row = await db
      .selectFrom('refunds')
      .select('status')
      .where('id', '=', params.output.refund_uuid)
      .where('tenant_id', '=', task.tenantId)
      .executeTakeFirst();
    if (row?.status === 'pending' || row?.status === 'in_doubt') return run(task, how);
    const message =
      'This refund has ended; nothing is sent any more. Begin another one if money is to go back.';
    return { kind: 'failed', error: { code: 'CONFLICT', message }, cpuUs: 0, wallMs: 0 };
  };
}

/** Writes down how a refund's job ended, together with the job's own end. */
export function createRefundCallbacks({ db, installations }: GatewayRefundDeps): OnFinished {
  return async (task, finished) => {
    const params = v.safeParse(Params, task.params);
    if (task.method !== METHOD || task.instanceId === null || !params.success) return undefined;
    const { tenant } = await installations.get(task.installationId);
    const refundId = params.output.refund_uuid;
    if (!(await isOfInstance(db, task, refundId))) return undefined;
    const end = endOf(finished.status === 'completed', finished.value, finished.error?.message);
    return async (trx) => {
      await endRefund(trx, tenant.id, refundId, end);
    };
  };
}

/** A refund is ended only by the instance that the money came through. */
async function isOfInstance(db: Db, task: Task, refundId: string): Promise<boolean> {
  const row = await db
    .selectFrom('refunds as refund')
    .innerJoin('payments as payment', 'payment.id', 'refund.payment_id')
    .select('refund.id')
    .where('refund.id', '=', refundId)
    .where('refund.tenant_id', '=', task.tenantId)
    .where('payment.instance_id', '=', task.instanceId)
    .executeTakeFirst();
  return row !== undefined;
}

function endOf(completed: boolean, value: unknown, message = 'The gateway did not answer.'): RefundEnd {
  const said = v.safeParse(RefundResult, value);
  if (completed && said.success) {
    const { transaction_id: transactionId } = said.output;
    return transactionId === undefined ? { status: 'done' } : { status: 'done', transactionId };
  }
  // It answered, and the answer was no: nothing went.
  if (!completed && said.success) return { status: 'failed', message };
  return { status: 'in_doubt', message };
}
