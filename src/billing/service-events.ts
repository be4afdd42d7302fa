/** What a service's changes tell the host's listeners, in the transaction that makes them. */
import type { Kysely } from 'kysely';
import { readError } from '../jobs/task.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import type { Tables } from '../database/tables.ts';
import { emit } from '../events/emit.ts';

type Begun =
  | 'ServiceCreating'
  | 'ServiceSuspending'
  | 'ServiceUnsuspending'
  | 'ServiceTerminating'
  | 'ServiceCancelling'
  | 'ServiceChangingPackage'
  | 'ServiceRenewing';
type Done =
  | 'ServiceCreated'
  | 'ServiceSuspended'
  | 'ServiceUnsuspended'
  | 'ServiceTerminated'
  | 'ServiceCancelled'
  | 'ServiceChangedPackage'
  | 'ServiceRenewed';
type Failed =
  | 'ServiceCreateFailed'
  | 'ServiceSuspendFailed'
  | 'ServiceUnsuspendFailed'
  | 'ServiceTerminateFailed'
  | 'ServiceCancelFailed'
  | 'ServiceChangePackageFailed'
  | 'ServiceRenewFailed';

const ACTIONS: Readonly<Record<ServiceAction, { readonly begun: Begun; readonly failed: Failed }>> = {
  create: { begun: 'ServiceCreating', failed: 'ServiceCreateFailed' },
  suspend: { begun: 'ServiceSuspending', failed: 'ServiceSuspendFailed' },
  unsuspend: { begun: 'ServiceUnsuspending', failed: 'ServiceUnsuspendFailed' },
  termination: { begun: 'ServiceTerminating', failed: 'ServiceTerminateFailed' },
  change_package: { begun: 'ServiceChangingPackage', failed: 'ServiceChangePackageFailed' },
  renew: { begun: 'ServiceRenewing', failed: 'ServiceRenewFailed' },
};

async function read(trx: Kysely<Tables>, serviceId: string) {
  const row = await trx
    .selectFrom('services as service')
    .innerJoin('installations as installation', 'installation.id', 'service.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .select([
      'service.id',
      'service.tenant_id',
      'service.product_id',
      'service.client_id',
      'service.name',
      'service.status',
      'service.cancel_at',
      'module.type',
      'module.name as module',
    ])
    .where('service.id', '=', serviceId)
    .executeTakeFirstOrThrow();
  return {
    tenantId: row.tenant_id,
    status: row.status,
    cancelAt: row.cancel_at,
    payload: {
      service_uuid: row.id,
      product_uuid: row.product_id,
      client_uuid: row.client_id,
      module: `${row.type}/${row.module}`,
      name: row.name,
    },
  };
}

export async function tellOfService(
  trx: Kysely<Tables>,
  name: Begun | Done,
  serviceId: string,
): Promise<void> {
  const { tenantId, payload } = await read(trx, serviceId);
  await emit(trx, { tenantId, name, payload });
}

export async function tellOfFailure(
  trx: Kysely<Tables>,
  name: Failed,
  serviceId: string,
  message: string,
): Promise<void> {
  const { tenantId, payload } = await read(trx, serviceId);
  await emit(trx, { tenantId, name, payload: { ...payload, message } });
}

export async function tellOfAction(
  trx: Kysely<Tables>,
  action: ServiceAction,
  serviceId: string,
): Promise<void> {
  await tellOfService(trx, ACTIONS[action].begun, serviceId);
}

/** That a service could not be made is told where it turns 'failed', whoever finds out: its job, or a later check of the module's. */
export async function tellOfFailedAction(
  trx: Kysely<Tables>,
  action: ServiceAction,
  serviceId: string,
  message: string,
): Promise<void> {
  if (action === 'create') return;
  await tellOfFailure(trx, ACTIONS[action].failed, serviceId, message);
  if (action === 'termination' && (await isCancelled(trx, serviceId)))
    await tellOfFailure(trx, 'ServiceCancelFailed', serviceId, message);
}

/** Whether it ends because somebody cancelled it. */
async function isCancelled(trx: Kysely<Tables>, serviceId: string): Promise<boolean> {
  return (await read(trx, serviceId)).cancelAt !== null;
}

/** What a change of a service's status means to others. */
export async function tellOfChange(
  trx: Kysely<Tables>,
  serviceId: string,
  changed: { readonly field: string; readonly before: string | null; readonly after: string },
): Promise<void> {
  const { field, before, after } = changed;
  const failed = field === 'provision_status' && after === 'failed';
  if (failed && (await read(trx, serviceId)).status === 'pending')
    await tellOfFailure(trx, 'ServiceCreateFailed', serviceId, await lastMessage(trx, serviceId));
  if (field !== 'status') return;
  if (after === 'active')
    await tellOfService(trx, before === 'suspended' ? 'ServiceUnsuspended' : 'ServiceCreated', serviceId);
  if (after === 'suspended') await tellOfService(trx, 'ServiceSuspended', serviceId);
  if (after === 'terminated') await tellOfService(trx, 'ServiceTerminated', serviceId);
  if (after === 'cancelled' || (after === 'terminated' && (await isCancelled(trx, serviceId))))
    await tellOfService(trx, 'ServiceCancelled', serviceId);
}

/** Why its newest task failed; empty if the module refused, or said so itself. */
async function lastMessage(trx: Kysely<Tables>, serviceId: string): Promise<string> {
  const task = await trx
    .selectFrom('tasks')
    .select('error')
    .where('service_id', '=', serviceId)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  return readError(task?.error)?.message ?? '';
}
