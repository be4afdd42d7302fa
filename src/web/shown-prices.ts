/** A product's prices as order forms show them: where the tenant adds tax to its prices, each with what an invoice will ask for. */
import { withTax } from '../billing/tax.ts';
import type { Panel } from './panel.ts';

export interface ShownPrice {
  readonly period: string;
  readonly amount_minor: number;
  readonly setup_minor: number;
  /** With tax; the same where none comes on top. */
  readonly amount_taxed_minor: number;
  readonly setup_taxed_minor: number;
}

export interface ShownTax {
  /** In percent: 23, 7.7. */
  readonly rate: number;
  readonly included: boolean;
}

/** Cheapest first. `tax` is null where there is none. */
export async function shownPrices(
  panel: Panel,
  tenantId: string,
  productId: string,
): Promise<{ readonly prices: readonly ShownPrice[]; readonly tax: ShownTax | null }> {
  const [rows, settings] = await Promise.all([
    panel.deps.db
      .selectFrom('prices')
      .innerJoin('products', 'products.id', 'prices.product_id')
      .select(['prices.period', 'prices.amount_minor', 'prices.setup_minor'])
      .where('products.tenant_id', '=', tenantId)
      .where('product_id', '=', productId)
      .orderBy('amount_minor')
      .execute(),
    panel.deps.invoicing.settings(tenantId),
  ]);
  const rule = { rateBp: settings.tax_rate_bp, included: settings.prices_include_tax };
  const prices = rows.map((row) => ({
    ...row,
    amount_taxed_minor: withTax(row.amount_minor, rule).totalMinor,
    setup_taxed_minor: withTax(row.setup_minor, rule).totalMinor,
  }));
  const tax = rule.rateBp === 0 ? null : { rate: rule.rateBp / 100, included: rule.included };
  return { prices, tax };
}
