/**
 * A person runs a failed task again. If it was a service's action, its failure left the service 'failed'; it is being worked on again
 * now, and must be 'processing' for its end to count (callbacks.ts).
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import { SERVICE_ACTION_NAMES } from '../../sandbox/contract/kinds/product.ts';
import { type Db, inTransaction, type Trx } from '../jobs/task.ts';
import { lockService, setProvisionStatus } from './service-status.ts';

const ACTION_JOBS: ReadonlySet<string> = new Set(SERVICE_ACTION_NAMES.map((name) => `${name}Job`));

/**
 * @param queue queues the task again, within the transaction
 * @throws HostError CONFLICT for a service that has ended: a job of before would make again what was taken down
 */
export async function runTaskAgain(
  db: Db,
  taskId: string,
  queue: (trx: Trx) => Promise<void>,
): Promise<void> {
  await inTransaction(db, async (trx) => {
    const task = await trx
      .selectFrom('tasks')
      .select(['service_id', 'method'])
      .where('id', '=', taskId)
      .executeTakeFirst();
    const serviceId = task?.service_id ?? null;
    // The service before the queue: the order in which a task's end takes them.
    const service = serviceId === null ? undefined : await lockService(trx, serviceId);
    if (service?.status === 'terminated' && task?.method !== 'terminationJob')
      throw new HostError('CONFLICT', 'The service was terminated; what was left undone stays undone.');
    await queue(trx);
    if (service?.provision_status === 'failed' && ACTION_JOBS.has(task?.method ?? ''))
      await setProvisionStatus(trx, service.id, 'processing', 'admin');
  });
}
