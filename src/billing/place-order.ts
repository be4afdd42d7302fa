/**
 * The rows of an order: a service, and its invoice if it waits for its payment. One transaction, and one order for one form: whoever
 * presses the button twice has ordered once.
 */
import { sql, type Selectable } from 'kysely';
import type { PricesTable } from '../database/tables.ts';
import type { Db, Trx } from '../jobs/task.ts';
import type { Billing } from '../web/deps.ts';
import { firstItems } from './activation.ts';
import { createInvoice } from './invoices.ts';
import { BILLING_LIMITS } from './limits.ts';
import { serviceName } from './service-name.ts';
import { readBillingSettings } from './settings.ts';

export type OrderInput = Parameters<Billing['order']>[0];

export interface Ordered {
  readonly serviceId: string;
  /** What must be paid before the service is made; null if nothing. */
  readonly invoiceId: string | null;
}

export interface SoldProduct {
  readonly id: string;
  readonly tenantId: string;
  readonly installationId: string;
  readonly name: string;
  /** Null: as the tenant's setting says. */
  readonly payFirst: boolean | null;
  readonly serviceName: string;
}

export interface Placing {
  readonly product: SoldProduct;
  readonly input: OrderInput;
  readonly price: Selectable<PricesTable>;
  readonly data: Readonly<Record<string, unknown>>;
}

const HOUR_MS = 3_600_000;

/** The order that this form made before. */
export async function findOrder(db: Db, { clientId, token }: OrderInput): Promise<Ordered | undefined> {
  if (token === undefined) return undefined;
  const row = await db
    .selectFrom('services')
    .select(['id', 'order_invoice_id'])
    .where('client_id', '=', clientId)
    .where('order_token', '=', token)
    .executeTakeFirst();
  return row === undefined ? undefined : { serviceId: row.id, invoiceId: row.order_invoice_id };
}

/** What to tell a client who orders too much; an admin who orders for a client is not counted. */
export async function tooManyOrders(
  db: Db,
  tenantId: string,
  input: OrderInput,
): Promise<string | undefined> {
  if (input.token === undefined || input.accountId !== input.clientId) return undefined;
  const { orders_per_hour: most } = await readBillingSettings(db, tenantId);
  const recent = await db
    .selectFrom('services')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', input.clientId)
    .where('order_token', 'is not', null)
    .where('created_at', '>', new Date(Date.now() - HOUR_MS))
    .limit(most)
    .execute();
  return recent.length < most
    ? undefined
    : `You have ordered ${most} times within an hour; please wait before you order again.`;
}

/** @returns undefined if another press of the same button was quicker */
export async function placeOrder(trx: Trx, placing: Placing): Promise<Ordered | undefined> {
  const { product, input, price } = placing;
  const tenant = await trx
    .selectFrom('tenants')
    .select(['currency', 'timezone'])
    .where('id', '=', product.tenantId)
    .executeTakeFirstOrThrow();
  const client = await trx
    .selectFrom('accounts')
    .select('country')
    .where('id', '=', input.clientId)
    .executeTakeFirstOrThrow();
  const service = await trx
    .insertInto('services')
    .values({
      tenant_id: product.tenantId,
      client_id: input.clientId,
      product_id: product.id,
      installation_id: product.installationId,
      name: serviceName(product.serviceName, product.name, {
        at: new Date(),
        timeZone: tenant.timezone,
        country: client.country ?? '',
      }),
      data: placing.data,
      period: price.period,
      setup_minor: price.setup_minor,
      amount_minor: price.amount_minor,
      currency: tenant.currency,
      order_token: input.token ?? null,
    })
    .onConflict((conflict) => conflict.columns(['client_id', 'order_token']).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (service === undefined) return undefined;
  const items = firstItems(service);
  const payFirst = product.payFirst ?? (await readBillingSettings(trx, product.tenantId)).pay_first;
  if (!payFirst || items.length === 0) {
    await expectCreate(trx, service.id);
    return { serviceId: service.id, invoiceId: null };
  }
  const invoice = await createInvoice(trx, {
    tenantId: product.tenantId,
    clientId: input.clientId,
    currency: tenant.currency,
    items,
  });
  await trx
    .updateTable('services')
    .set({ order_invoice_id: invoice.id })
    .where('id', '=', service.id)
    .execute();
  return { serviceId: service.id, invoiceId: invoice.id };
}

/** Whoever placed it asks its module at once; should that process die first, this brings others to it (duties.ts). */
async function expectCreate(trx: Trx, serviceId: string): Promise<void> {
  await trx
    .updateTable('services')
    .set({
      host_acts_at: sql<Date>`now() + make_interval(secs => ${BILLING_LIMITS.orderResumeMs / 1_000})`,
    })
    .where('id', '=', serviceId)
    .execute();
}

/** Its module was asked: what comes of it is the module's. */
export async function createAsked(db: Db, serviceId: string): Promise<void> {
  await db.updateTable('services').set({ host_acts_at: null }).where('id', '=', serviceId).execute();
}
