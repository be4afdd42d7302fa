/**
 * A client (or an admin) wants a service to end with the time that is paid. Nothing is taken down now: the date is noted, what was asked for
 * time after it is cancelled, and the module's own termination runs when it comes (duties.ts). Until then it can be taken back.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { RunTask } from '../jobs/bounded.ts';
import type { Db, Trx } from '../jobs/task.ts';
import { cancelAhead, endBilling, type Service } from './activation.ts';
import { boundaryOf } from './billed.ts';
import { tellOfService } from './service-events.ts';
import { change, lockService } from './service-status.ts';

const CREATE_JOB = 'createJob';
const TERMINATION_JOB = 'terminationJob';

async function own(trx: Trx, tenantId: string, serviceId: string): Promise<Service> {
  const service = await lockService(trx, serviceId);
  if (service.tenant_id !== tenantId) throw new HostError('NOT_FOUND', 'There is no such service.');
  return service;
}

/** @returns when it ends @throws HostError NOT_FOUND, CONFLICT */
export async function cancelService(
  trx: Trx,
  input: {
    readonly tenantId: string;
    readonly serviceId: string;
    readonly actor: 'client' | 'admin';
    readonly now: Date;
  },
): Promise<Date> {
  const { now } = input;
  const service = await own(trx, input.tenantId, input.serviceId);
  if (service.status === 'pending' && service.provision_status === 'pending') {
    await refuseWhileMade(trx, service.id);
    await tellOfService(trx, 'ServiceCancelling', service.id);
    await trx.updateTable('services').set({ status: 'cancelled' }).where('id', '=', service.id).execute();
    await change(trx, service.id, 'status', service.status, 'cancelled', input.actor);
    await endBilling(trx, service, now);
    return now;
  }
  if (service.status !== 'active' && service.status !== 'suspended')
    throw new HostError('CONFLICT', `A service that is ${service.status} cannot be cancelled.`);
  // Pressed twice: it ends once, when it was said to.
  if (service.cancel_at !== null) return service.cancel_at;
  const end = await paidUntil(trx, service, now);
  const ahead = await cancelAhead(trx, service, end);
  const periods = service.periods_billed - ahead;
  await trx
    .updateTable('services')
    .set({
      cancel_at: end,
      periods_billed: periods,
      ...(service.billed_until === null || ahead === 0
        ? {}
        : { billed_until: await boundaryOf(trx, service, periods) }),
    })
    .where('id', '=', service.id)
    .execute();
  await tellOfService(trx, 'ServiceCancelling', service.id);
  return end;
}

/** A module that queues its job without a word of it ('processing') is at work all the same: what it makes would be nobody's. */
async function refuseWhileMade(trx: Trx, serviceId: string): Promise<void> {
  const task = await trx
    .selectFrom('tasks')
    .select('id')
    .where('service_id', '=', serviceId)
    .where('status', 'in', ['queued', 'pending', 'processing'])
    .executeTakeFirst();
  if (task !== undefined)
    throw new HostError('CONFLICT', 'This service is being made; it can be cancelled when it is ready.');
}

/**
 * A service that was cancelled while its module was asked to make it is not made: nobody would pay for it. Whatever the module had queued by
 * then ends here.
 */
export function onlyWantedServices(db: Db, run: RunTask): RunTask {
  return async (task, how) => {
    if (task.method !== CREATE_JOB || task.serviceId === null) return run(task, how);
    const service = await db
      .selectFrom('services')
      .select('status')
      .where('id', '=', task.serviceId)
      .where('tenant_id', '=', task.tenantId)
      .executeTakeFirst();
    if (service?.status !== 'cancelled') return run(task, how);
    const message = 'The service was cancelled before it was made.';
    return { kind: 'failed', error: { code: 'CONFLICT', message }, cpuUs: 0, wallMs: 0 };
  };
}

/** @throws HostError NOT_FOUND, CONFLICT when there is nothing to take back, or it is too late */
export async function keepService(
  trx: Trx,
  tenantId: string,
  serviceId: string,
  now: Date = new Date(),
): Promise<void> {
  const service = await own(trx, tenantId, serviceId);
  if (service.cancel_at === null || (service.status !== 'active' && service.status !== 'suspended'))
    throw new HostError('CONFLICT', 'The cancellation of this service cannot be taken back any more.');
  if (service.cancel_at <= now || (await isBeingTerminated(trx, serviceId)))
    throw new HostError('CONFLICT', 'This service is being ended already; it can be ordered anew.');
  await trx.updateTable('services').set({ cancel_at: null }).where('id', '=', serviceId).execute();
}

/** An admin may have ended it before its time. */
async function isBeingTerminated(trx: Trx, serviceId: string): Promise<boolean> {
  const task = await trx
    .selectFrom('tasks')
    .select('id')
    .where('service_id', '=', serviceId)
    .where('method', '=', TERMINATION_JOB)
    .where('status', 'in', ['queued', 'pending', 'processing'])
    .executeTakeFirst();
  return task !== undefined;
}

/** The end of the last period that is paid, or of the present one. */
async function paidUntil(trx: Trx, service: Service, now: Date): Promise<Date> {
  const rows = await trx
    .selectFrom('invoice_items as item')
    .innerJoin('invoices as invoice', 'invoice.id', 'item.invoice_id')
    .select(['item.period_from', 'item.period_to', 'invoice.status'])
    .where('item.service_id', '=', service.id)
    .where('item.kind', '=', 'period')
    .where('item.period_to', '>', now)
    .execute();
  const ends = rows
    .filter(({ status, period_from: from }) => status === 'paid' || (from !== null && from <= now))
    .map(({ period_to: to }) => to?.getTime() ?? 0);
  return new Date(Math.max(now.getTime(), ...ends));
}
