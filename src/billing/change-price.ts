/**
 * A service that has moved to another product costs what that one does: from the next period in full, and for the rest of what is billed
 * already by the difference, in the share of time that is left. Dearer is an invoice of its own. Cheaper comes off the invoice of that
 * period while it is open; if it is paid, the difference is the client's credit. Hours are billed at the price they began at.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Db, Trx } from '../jobs/task.ts';
import type { Service } from './activation.ts';
import { addCredit } from './credit.ts';
import { createInvoice, isOpen, lockInvoice, type NewItem, reduceLocked, taxRuleOf } from './invoices.ts';
import { changeMinor } from './money.ts';
import { isBilledByUse, isPeriod } from './periods.ts';
import { withTax } from './tax.ts';
import { beginUse, billUse } from './use.ts';

/** @throws HostError CONFLICT if the product is not sold by this period */
export async function priceOf(db: Db, productId: string, period: string): Promise<number> {
  const row = isPeriod(period)
    ? await db
        .selectFrom('prices')
        .select('amount_minor')
        .where('product_id', '=', productId)
        .where('period', '=', period)
        .executeTakeFirst()
    : undefined;
  if (row === undefined)
    throw new HostError(
      'CONFLICT',
      `That product has no ${period} price; give it one, or choose another product.`,
    );
  return row.amount_minor;
}

/** A locked service whose module has followed to its new product. */
export async function changePrice(trx: Trx, service: Service, at: Date): Promise<void> {
  const oldMinor = service.amount_minor;
  const newMinor = await priceOf(trx, service.product_id, service.period);
  if (newMinor === oldMinor) return;
  const byUse = isBilledByUse(service.period);
  if (byUse) await billUse(trx, service, at, 'begun');
  await trx.updateTable('services').set({ amount_minor: newMinor }).where('id', '=', service.id).execute();
  if (byUse) return service.status === 'active' ? beginUse(trx, service, at) : undefined;
  const items = await trx
    .selectFrom('invoice_items as item')
    .innerJoin('invoices as invoice', 'invoice.id', 'item.invoice_id')
    .select(['item.period_from', 'item.period_to', 'item.quantity', 'invoice.id as invoice_id'])
    .where('item.service_id', '=', service.id)
    .where('item.kind', '=', 'period')
    .where('item.period_to', '>', at)
    .where('invoice.status', 'in', ['unpaid', 'overdue', 'paid'])
    .orderBy('item.period_from')
    .execute();
  const more: NewItem[] = [];
  for (const { period_from: from, period_to: to, quantity, invoice_id: invoiceId } of items) {
    if (from === null || to === null) continue;
    const begin = at > from ? at : from;
    const item: NewItem = {
      kind: 'change',
      serviceId: service.id,
      description: service.name,
      amountMinor: changeMinor({
        oldMinor: oldMinor * quantity,
        newMinor: newMinor * quantity,
        from,
        to,
        at: begin,
      }),
      periodFrom: begin,
      periodTo: to,
    };
    if (item.amountMinor > 0) more.push(item);
    if (item.amountMinor < 0) await less(trx, service, invoiceId, item);
  }
  if (more.length === 0) return;
  await createInvoice(trx, {
    tenantId: service.tenant_id,
    clientId: service.client_id,
    currency: service.currency,
    items: more,
  });
}

async function less(trx: Trx, service: Service, invoiceId: string, item: NewItem): Promise<void> {
  const invoice = await lockInvoice(trx, service.tenant_id, invoiceId);
  const taken = isOpen(invoice) ? await reduceLocked(trx, invoice, item) : 0;
  const rest = -item.amountMinor - taken;
  if (rest <= 0) return;
  await addCredit(trx, {
    tenantId: service.tenant_id,
    clientId: service.client_id,
    kind: 'change',
    // With the tax that was asked for it.
    amountMinor: withTax(rest, taxRuleOf(invoice)).totalMinor,
    currency: service.currency,
    invoiceId,
    note: `${service.name}: cheaper for the rest of the period.`,
  });
}
