/**
 * A client (or an admin) wants a service to end with the time that is paid. Nothing is taken down now: the date is noted, what was asked for
 * time after it is cancelled, and the module's own termination runs when it comes (duties.ts). Until then it can be taken back.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Trx } from '../jobs/task.ts';
import { cancelAhead, endBilling, type Service } from './activation.ts';
import { boundaryOf } from './billed.ts';
import { change, lockService } from './service-status.ts';

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
    await trx.updateTable('services').set({ status: 'cancelled' }).where('id', '=', service.id).execute();
    await change(trx, service.id, 'status', service.status, 'cancelled', input.actor);
    await endBilling(trx, service, now);
    return now;
  }
  if (service.status !== 'active' && service.status !== 'suspended')
    throw new HostError('CONFLICT', `A service that is ${service.status} cannot be cancelled.`);
  const end = await paidUntil(trx, service, now);
  const ahead = await cancelAhead(trx, service, end);
  const periods = service.periods_billed - ahead;
  await trx
    .updateTable('services')
    .set({
      cancel_at: end,
      periods_billed: periods,
      ...(service.billed_until === null ? {} : { billed_until: await boundaryOf(trx, service, periods) }),
    })
    .where('id', '=', service.id)
    .execute();
  return end;
}

/** @throws HostError NOT_FOUND, CONFLICT when there is nothing to take back */
export async function keepService(trx: Trx, tenantId: string, serviceId: string): Promise<void> {
  const service = await own(trx, tenantId, serviceId);
  if (service.cancel_at === null || (service.status !== 'active' && service.status !== 'suspended'))
    throw new HostError('CONFLICT', 'The cancellation of this service cannot be taken back any more.');
  await trx.updateTable('services').set({ cancel_at: null }).where('id', '=', serviceId).execute();
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
