/**
 * When a service is billed: when it first becomes active, and not before. What an order was paid for ahead counts from then; if the
 * service could not be made, that money is the client's again, as credit, and pays for it should it be made after all.
 */
import type { Selectable } from 'kysely';
import type { ServicesTable } from '../database/tables.ts';
import type { Trx } from '../jobs/task.ts';
import {
  cancelLocked,
  createInvoice,
  isOpen,
  type Invoice,
  lockInvoice,
  type NewItem,
  returnToCredit,
} from './invoices.ts';
import { boundary, isBilledByUse, isRecurring } from './periods.ts';
import { billUse } from './use.ts';

export type Service = Selectable<ServicesTable>;

export async function timeZoneOf(trx: Trx, tenantId: string): Promise<string> {
  const tenant = await trx
    .selectFrom('tenants')
    .select('timezone')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  return tenant.timezone;
}

/** What the first invoice of a service asks for; nothing for what is free, and for no hour that is still to be used. */
export function firstItems(
  service: Pick<Service, 'id' | 'name' | 'period' | 'setup_minor' | 'amount_minor'>,
  period?: { readonly from: Date; readonly to: Date },
): NewItem[] {
  const line = { serviceId: service.id, description: service.name };
  const items: NewItem[] = [];
  if (service.setup_minor > 0) items.push({ ...line, kind: 'setup', amountMinor: service.setup_minor });
  if (service.amount_minor > 0 && !isBilledByUse(service.period))
    items.push({
      ...line,
      kind: 'period',
      amountMinor: service.amount_minor,
      ...(period === undefined ? {} : { periodFrom: period.from, periodTo: period.to }),
    });
  return items;
}

/** A locked service has become active for the first time. */
export async function billActivation(trx: Trx, service: Service, at: Date): Promise<void> {
  const byUse = isBilledByUse(service.period);
  const hasItems = firstItems(service).length > 0;
  if (!hasItems && !byUse) return;
  const period =
    isRecurring(service.period) && !byUse
      ? { from: at, to: boundary(at, service.period, 1, await timeZoneOf(trx, service.tenant_id)) }
      : undefined;
  const recurs = period !== undefined && service.amount_minor > 0;
  await trx
    .updateTable('services')
    .set({
      billing_anchor_at: at,
      periods_billed: recurs ? 1 : 0,
      billed_until: byUse ? at : recurs ? period.to : null,
    })
    .where('id', '=', service.id)
    .execute();
  if (!hasItems) return;
  const order = await lockOrder(trx, service);
  if (order !== undefined && (isOpen(order) || order.status === 'paid')) {
    if (period !== undefined) await beginPeriod(trx, order.id, service.id, period);
    return;
  }
  await createInvoice(trx, {
    tenantId: service.tenant_id,
    clientId: service.client_id,
    currency: service.currency,
    items: firstItems(service, period),
    // It was paid for with this order's own money, which went to the credit when it failed.
    ...(order === undefined ? {} : { useCredit: true }),
  });
}

async function lockOrder(trx: Trx, service: Service): Promise<Invoice | undefined> {
  return service.order_invoice_id === null
    ? undefined
    : lockInvoice(trx, service.tenant_id, service.order_invoice_id);
}

async function beginPeriod(
  trx: Trx,
  invoiceId: string,
  serviceId: string,
  period: { readonly from: Date; readonly to: Date },
): Promise<void> {
  await trx
    .updateTable('invoice_items')
    .set({ period_from: period.from, period_to: period.to })
    .where('invoice_id', '=', invoiceId)
    .where('service_id', '=', serviceId)
    .where('kind', '=', 'period')
    .execute();
}

/** A locked service could not be made: what was paid for it is the client's again. */
export async function giveBackOrder(trx: Trx, service: Service): Promise<void> {
  if (service.activated_at !== null) return;
  const order = await lockOrder(trx, service);
  if (order?.status === 'paid') await returnToCredit(trx, order, `${service.name} could not be made.`);
}

/** A locked service has ended: its last hours are billed and nothing after them, and what asks for time that will not be is cancelled. */
export async function endBilling(trx: Trx, service: Service, at: Date): Promise<void> {
  await giveBackOrder(trx, service);
  await cancelAhead(trx, service, at);
  // After those, which lock invoices: what pays this one locks the client's credit, and that is the last of all locks.
  await billUse(trx, service, at, 'begun');
  await trx
    .updateTable('services')
    .set({ billed_until: null, cancel_at: null, overdue_since: null })
    .where('id', '=', service.id)
    .execute();
}

/**
 * Cancels the open invoices that ask for nothing but this service's time from `from` on.
 * @returns how many periods they asked for
 */
export async function cancelAhead(trx: Trx, service: Service, from: Date): Promise<number> {
  const open = await trx
    .selectFrom('invoices as invoice')
    .select(['invoice.id'])
    .where('invoice.tenant_id', '=', service.tenant_id)
    .where('invoice.client_id', '=', service.client_id)
    .where('invoice.status', 'in', ['unpaid', 'overdue'])
    .where((e) =>
      e.exists(
        e
          .selectFrom('invoice_items as item')
          .select('item.id')
          .whereRef('item.invoice_id', '=', 'invoice.id')
          .where('item.service_id', '=', service.id),
      ),
    )
    .orderBy('invoice.number')
    .execute();
  let periods = 0;
  for (const { id } of open) {
    const invoice = await lockInvoice(trx, service.tenant_id, id);
    const items = await trx.selectFrom('invoice_items').selectAll().where('invoice_id', '=', id).execute();
    const ahead = items.every(
      (item) =>
        item.service_id === service.id &&
        (item.period_from === null ? service.activated_at === null : item.period_from >= from),
    );
    if (!ahead || !isOpen(invoice)) continue;
    await cancelLocked(trx, invoice, null);
    periods += items.reduce((sum, item) => sum + (item.kind === 'period' ? item.quantity : 0), 0);
  }
  return periods;
}
