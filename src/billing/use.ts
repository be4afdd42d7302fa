/**
 * Services by the hour pay for the hours they were active, afterwards: once a day, and whenever their use stops or changes its price. What
 * is billed ends at the service's billed_until, which moves in the transaction that makes the invoice, under the service's lock: so no hour
 * is asked for twice, and what no round came to is still to be billed. While a service is suspended nothing runs up: its hours are
 * billed when it is suspended, and count on from when it resumes.
 */
import { sql, type Selectable } from 'kysely';
import type { ServicesTable } from '../database/tables.ts';
import type { Trx } from '../jobs/task.ts';
import { createInvoice } from './invoices.ts';
import { HOUR_MS, isBilledByUse } from './periods.ts';

type Service = Selectable<ServicesTable>;

/**
 * Bills a locked service for what it used until `at`, and not beyond the time it was cancelled for. An hour that has begun counts where
 * its use ends; where it goes on, the hour waits for the next invoice.
 * @returns how many invoices were made
 */
export async function billUse(
  trx: Trx,
  service: Service,
  at: Date,
  last: 'whole' | 'begun',
): Promise<number> {
  const { billed_until: from, cancel_at: cancelAt } = service;
  if (!isBilledByUse(service.period) || service.status !== 'active' || from === null) return 0;
  const until = cancelAt !== null && cancelAt < at ? cancelAt : at;
  const passed = (until.getTime() - from.getTime()) / HOUR_MS;
  const hours = last === 'begun' ? Math.ceil(passed) : Math.floor(passed);
  if (hours <= 0) return 0;
  const to = new Date(from.getTime() + hours * HOUR_MS);
  await trx
    .updateTable('services')
    .set({ billed_until: to, periods_billed: service.periods_billed + hours })
    .where('id', '=', service.id)
    .execute();
  if (service.amount_minor === 0) return 0;
  await createInvoice(trx, {
    tenantId: service.tenant_id,
    clientId: service.client_id,
    currency: service.currency,
    items: [
      {
        kind: 'use',
        serviceId: service.id,
        description: service.name,
        quantity: hours,
        amountMinor: service.amount_minor * hours,
        periodFrom: from,
        periodTo: to,
      },
    ],
  });
  return 1;
}

/** From now on the hours of a locked service count, but those that are billed already: an hour that had begun when it was suspended. */
export async function beginUse(trx: Trx, service: Service, at: Date): Promise<void> {
  if (!isBilledByUse(service.period)) return;
  await trx
    .updateTable('services')
    .set({ billed_until: sql<Date>`greatest(billed_until, ${at}::timestamptz)` })
    .where('id', '=', service.id)
    .execute();
}
