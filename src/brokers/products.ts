/** products: what the tenant sells. Nothing of how another module's product is configured: that data is that module's own. */
import type { Kysely } from 'kysely';
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';
import type { Broker, Scope } from './broker.ts';
import { pageOf, readProducts } from './records.ts';

function use(scope: Scope, grant: Grant<'products'>): void {
  if (!grant.scopes.includes('read')) throw refusal('products', 'reading', 'products: ["read"]');
  scope.used('products.scopes:read');
}

export function createProductsBroker({ db }: { readonly db: Kysely<Tables> }): Broker<'products'> {
  return {
    async get(scope, { uuid }, grant) {
      use(scope, grant);
      const [product] = await readProducts(db, scope, { ids: [uuid], size: 1 });
      if (product === undefined) throw new HostError('NOT_FOUND', 'products: there is no such product.');
      return product;
    },
    async list(scope, paging, grant) {
      use(scope, grant);
      const { rows, next } = pageOf(await readProducts(db, scope, paging), paging.size);
      return next === undefined ? { products: rows } : { products: rows, next };
    },
  };
}
