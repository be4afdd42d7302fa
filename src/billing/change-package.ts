/**
 * A service moves to another product of its module before the module is asked to follow, so that its job sees the new product's data.
 * If it cannot follow, whether it says so at once or its job fails, the service moves back.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Trx } from '../jobs/task.ts';
import { change, lockService } from './service-status.ts';

/** @throws HostError CONFLICT while the module is at work on the service, BAD_INPUT for the product it has */
export async function moveToProduct(trx: Trx, serviceId: string, productId: string): Promise<void> {
  const service = await lockService(trx, serviceId);
  if (service.provision_status === 'processing')
    throw new HostError(
      'CONFLICT',
      'Something is being done with this service already; wait until it has ended.',
    );
  if (service.product_id === productId)
    throw new HostError('BAD_INPUT', 'The service has this product already.');
  await trx.updateTable('services').set({ product_id: productId }).where('id', '=', serviceId).execute();
  await change(trx, serviceId, 'product', service.product_id, productId, 'admin');
}

/** Undoes the last move, if the service still stands where it led. */
export async function moveBack(trx: Trx, serviceId: string): Promise<void> {
  const { product_id: current } = await lockService(trx, serviceId);
  const last = await trx
    .selectFrom('service_changes')
    .selectAll()
    .where('service_id', '=', serviceId)
    .where('field', '=', 'product')
    .orderBy('id', 'desc')
    .executeTakeFirst();
  if (last === undefined || last.new_value !== current || last.old_value === null) return;
  await trx.updateTable('services').set({ product_id: last.old_value }).where('id', '=', serviceId).execute();
  await change(trx, serviceId, 'product', current, last.old_value, 'host');
}
