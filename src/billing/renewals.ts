/**
 * A period after the first was paid: the service's module is told, so that it extends what it keeps elsewhere. Noted in the transaction
 * that makes the invoice paid, told by a duty (duties.ts) until the module takes it; a crash in between tells it once more, with the same
 * period.
 */
import { sql } from 'kysely';
import type { Renewal } from '../../sandbox/contract/kinds/product.ts';
import type { Db, Trx } from '../jobs/task.ts';

/** A locked invoice was paid. Inserts only: the services it is for may be locked by somebody who waits for this invoice. */
export async function noteRenewals(trx: Trx, invoiceId: string): Promise<void> {
  await sql`
    insert into service_renewals (service_id, invoice_id, period_from, period_to)
    select item.service_id, item.invoice_id, min(item.period_from), max(item.period_to)
    from invoice_items item join services s on s.id = item.service_id
    where item.invoice_id = ${invoiceId} and item.kind = 'period' and item.period_from > s.billing_anchor_at
      and item.period_to is not null
    group by item.service_id, item.invoice_id
    on conflict do nothing`.execute(trx);
}

/** The oldest that its module was not told of; counted as a try. */
export async function nextRenewal(
  db: Db,
  serviceId: string,
): Promise<{ readonly id: number; readonly period: Renewal } | undefined> {
  const row = await db
    .updateTable('service_renewals')
    .set({ tries: sql`tries + 1` })
    .where('id', '=', (e) =>
      e
        .selectFrom('service_renewals')
        .select('id')
        .where('service_id', '=', serviceId)
        .where('told_at', 'is', null)
        .orderBy('id')
        .limit(1),
    )
    .returning(['id', 'period_from', 'period_to'])
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const period = { period_from: row.period_from.toISOString(), period_to: row.period_to.toISOString() };
  return { id: row.id, period };
}

/** Its module took it: what else billing wants of the service need not wait. */
export async function renewalTold(db: Db, serviceId: string, id: number): Promise<void> {
  await db
    .updateTable('service_renewals')
    .set({ told_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute();
  await letGo(db, serviceId);
}

/** For a module that is not told of renewals. @returns whether there was any */
export async function forgetRenewals(db: Db, serviceId: string): Promise<boolean> {
  const result = await db
    .updateTable('service_renewals')
    .set({ told_at: sql<Date>`now()` })
    .where('service_id', '=', serviceId)
    .where('told_at', 'is', null)
    .executeTakeFirst();
  await letGo(db, serviceId);
  return result.numUpdatedRows > 0n;
}

async function letGo(db: Db, serviceId: string): Promise<void> {
  await db.updateTable('services').set({ host_acts_at: null }).where('id', '=', serviceId).execute();
}
