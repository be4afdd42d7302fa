/**
 * The two statuses of a service. A module sets provision_status (a closed set, never taken unchecked from anywhere); the host derives
 * service.status from it, so that nothing is billed before it runs: a service turns active when it is first completed.
 */
import { sql, type Selectable } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { PROVISION_STATUSES, SERVICE_STATUSES } from '../../sandbox/contract/capabilities/service.ts';
import type { ServicesTable } from '../database/tables.ts';
import { type Db, inTransaction, type Trx } from '../jobs/task.ts';
import { billActivation, endBilling, giveBackOrder } from './activation.ts';
import { tellOfChange } from './service-events.ts';
import { beginUse, billUse } from './use.ts';

export type ProvisionStatus = (typeof PROVISION_STATUSES)[number];
export type ServiceStatus = (typeof SERVICE_STATUSES)[number];

/** What a provision status makes of the service; statuses not named here leave it as it is. */
const DERIVED: Partial<
  Record<
    ProvisionStatus,
    {
      status: ServiceStatus;
      from: readonly ServiceStatus[];
      stamp: 'activated_at' | 'suspended_at' | 'terminated_at';
    }
  >
> = {
  completed: { status: 'active', from: ['pending', 'suspended', 'manual'], stamp: 'activated_at' },
  suspended: { status: 'suspended', from: ['active', 'pending'], stamp: 'suspended_at' },
  terminated: {
    status: 'terminated',
    from: ['pending', 'active', 'suspended', 'manual', 'fraud'],
    stamp: 'terminated_at',
  },
};

/** What would be made now would be used and never billed: a cancelled service was never active. */
const BEING_MADE: ReadonlySet<ProvisionStatus> = new Set(['processing', 'completed']);

/**
 * Sets the provision status and what follows from it, with a line in the service's history for each change.
 * @param actor who did it, for the timeline: 'host', 'admin', or the module's method
 * @throws HostError NOT_FOUND, CONFLICT for a service that was terminated or cancelled
 */
export async function setProvisionStatus(
  db: Db,
  serviceId: string,
  next: ProvisionStatus,
  actor: string,
  at: Date = new Date(),
): Promise<void> {
  await inTransaction(db, async (trx) => {
    const row = await lockService(trx, serviceId);
    if (row.status === 'terminated' && next !== 'terminated')
      throw new HostError(
        'CONFLICT',
        'The service was terminated; its provision status cannot change any more.',
      );
    if (row.status === 'cancelled' && BEING_MADE.has(next))
      throw new HostError('CONFLICT', 'The service was cancelled; it is not to be made any more.');
    if (row.provision_status !== next) {
      await trx.updateTable('services').set({ provision_status: next }).where('id', '=', serviceId).execute();
      await change(trx, serviceId, 'provision_status', row.provision_status, next, actor);
    }
    await derive(trx, row, { provision: next, actor, at });
    if (next === 'failed') await giveBackOrder(trx, row);
  });
}

async function derive(
  trx: Trx,
  row: Selectable<ServicesTable>,
  {
    provision,
    actor,
    at: now,
  }: { readonly provision: ProvisionStatus; readonly actor: string; readonly at: Date },
): Promise<void> {
  const derived = DERIVED[provision];
  if (derived === undefined || !derived.from.includes(row.status)) return;
  const stamped = derived.stamp === 'activated_at' && row.activated_at !== null;
  await trx
    .updateTable('services')
    .set({
      status: derived.status,
      // What billing wanted of it is done, or no duty any more.
      host_acts_at: null,
      host_tries: 0,
      host_gave_up_at: null,
      ...(derived.status === 'active' ? { overdue_since: null } : {}),
      ...(stamped ? {} : { [derived.stamp]: now }),
    })
    .where('id', '=', row.id)
    .execute();
  await change(trx, row.id, 'status', row.status, derived.status, actor);
  if (derived.status === 'active')
    await (row.activated_at === null ? billActivation(trx, row, now) : beginUse(trx, row, now));
  if (derived.status === 'suspended') await billUse(trx, row, now, 'begun');
  if (derived.status === 'terminated') await endBilling(trx, row, now);
}

/** Held until the transaction ends. Not FOR UPDATE: that would also stop tasks of the service from being queued, and deadlock with them. */
export async function lockService(trx: Trx, serviceId: string): Promise<Selectable<ServicesTable>> {
  const row = await trx
    .selectFrom('services')
    .selectAll()
    .where('id', '=', serviceId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  return row;
}

/** One line of a service's history; listeners (the live timeline) are told. */
export async function change(
  trx: Trx,
  serviceId: string,
  field: 'status' | 'provision_status' | 'product',
  before: string | null,
  after: string,
  actor: string,
): Promise<void> {
  await trx
    .insertInto('service_changes')
    .values({ service_id: serviceId, field, old_value: before, new_value: after, actor })
    .execute();
  await tellOfChange(trx, serviceId, { field, before, after });
  await sql`select pg_notify('bulkhead_service', ${serviceId})`.execute(trx);
}
