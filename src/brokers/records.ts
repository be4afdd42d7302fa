/**
 * What clients and products look like to a module, and reading them: always of one tenant, and of a client only as much as was granted.
 * The brokers of clients, products and service share it.
 */
import { sql, type Kysely } from 'kysely';
import type { Grant, OpOutput } from '../../sandbox/contract/capabilities.ts';
import type { Tables } from '../database/tables.ts';

export type ClientView = OpOutput<'clients', 'get'>;
export type ProductView = OpOutput<'products', 'get'>;

export interface Paging {
  readonly after?: string | undefined;
  readonly size: number;
}

export interface PageOf<T> {
  readonly rows: T[];
  readonly next: string | undefined;
}

/** One row more than asked for was read, to know whether there is a next page. */
export function pageOf<T extends { readonly uuid: string }>(rows: readonly T[], size: number): PageOf<T> {
  const shown = rows.slice(0, size);
  return { rows: shown, next: rows.length > size ? shown.at(-1)?.uuid : undefined };
}

interface Which extends Paging {
  readonly ids?: readonly string[];
}

export async function readClients(
  db: Kysely<Tables>,
  tenantId: string,
  grant: Grant<'clients'>,
  which: Which,
): Promise<ClientView[]> {
  if (which.ids?.length === 0) return [];
  let query = db
    .selectFrom('accounts as row')
    .select(['row.id', 'row.name', 'row.email', 'row.disabled_at', 'row.created_at'])
    .where('row.tenant_id', '=', tenantId)
    .where('row.kind', '=', 'client')
    .orderBy('row.created_at')
    .orderBy('row.id')
    .limit(which.size + 1);
  if (which.ids !== undefined) query = query.where('row.id', 'in', [...which.ids]);
  if (which.after !== undefined)
    query = query.where(
      sql<boolean>`(row.created_at, row.id) > (select created_at, id from accounts where id = ${which.after} and tenant_id = ${tenantId} and kind = 'client')`,
    );
  const contact = grant.scopes.includes('contact');
  return (await query.execute()).map((row) => ({
    uuid: row.id,
    name: row.name,
    email: contact ? row.email : null,
    active: row.disabled_at === null,
    created_at: row.created_at.toISOString(),
  }));
}

export async function readProducts(
  db: Kysely<Tables>,
  whose: { readonly tenantId: string; readonly installationId: string },
  which: Which,
): Promise<ProductView[]> {
  if (which.ids?.length === 0) return [];
  let query = db
    .selectFrom('products as row')
    .select(['row.id', 'row.name', 'row.description', 'row.active', 'row.installation_id', 'row.created_at'])
    .where('row.tenant_id', '=', whose.tenantId)
    .orderBy('row.created_at')
    .orderBy('row.id')
    .limit(which.size + 1);
  if (which.ids !== undefined) query = query.where('row.id', 'in', [...which.ids]);
  if (which.after !== undefined)
    query = query.where(
      sql<boolean>`(row.created_at, row.id) > (select created_at, id from products where id = ${which.after} and tenant_id = ${whose.tenantId})`,
    );
  const rows = await query.execute();
  const prices =
    rows.length === 0
      ? []
      : await db
          .selectFrom('prices')
          .selectAll()
          .where(
            'product_id',
            'in',
            rows.map((row) => row.id),
          )
          .orderBy('amount_minor')
          .execute();
  return rows.map((row) => ({
    uuid: row.id,
    name: row.name,
    description: row.description,
    active: row.active,
    own: row.installation_id === whose.installationId,
    prices: prices
      .filter((price) => price.product_id === row.id)
      .map(({ period, setup_minor, amount_minor }) => ({ period, setup_minor, amount_minor })),
    created_at: row.created_at.toISOString(),
  }));
}
