/** products: what the tenant sells, whichever module makes it, with its prices; read only. A module's own product needs no grant. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { op } from '../op.ts';
import { Page } from './clients.ts';

export const ProductView = v.object({
  uuid: v.string(),
  name: v.string(),
  description: v.string(),
  active: v.boolean(),
  /** True for a product of the module that asks. */
  own: v.boolean(),
  prices: v.array(
    v.object({
      period: v.string(),
      /** Minor units of the tenant's currency. */
      setup_minor: v.number(),
      amount_minor: v.number(),
    }),
  ),
  created_at: v.string(),
});
export type ProductView = v.InferOutput<typeof ProductView>;

export const products = capability({
  title: 'Products',
  doc: 'Read what is sold, and at what price.',
  icon: 'box',
  inherent: false,
  grant: {
    scopes: {
      sort: 'list',
      doc: 'Only "read" exists.',
      risk: 'low',
      item: v.picklist(['read'], '"read" is expected'),
      words: () => 'See your products and their prices.',
      fallback: ['read'],
    },
  },
  ops: {
    get: op('One product of the tenant.', v.object({ uuid: v.pipe(v.string(), v.uuid()) }), ProductView),
    list: op(
      'Products in order of age, a page at a time.',
      v.object(Page),
      v.object({ products: v.array(ProductView), next: v.optional(v.string()) }),
    ),
  },
});
