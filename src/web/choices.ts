/** What select boxes offer: a tenant's modules, products and clients. */
import { sql } from 'kysely';
import type { Panel } from './panel.ts';

const CHOICES = 500;

export interface Choice {
  readonly value: string;
  readonly title: string;
}

/** @param type only modules of this type, for example 'Product' */
export function installationChoices(panel: Panel, tenantId: string, type?: string): Promise<Choice[]> {
  let query = panel.deps.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select(['installations.id as value', sql<string>`module_versions.manifest ->> 'title'`.as('title')])
    .where('installations.tenant_id', '=', tenantId);
  if (type !== undefined) query = query.where('modules.type', '=', type);
  return query.orderBy('modules.name').limit(CHOICES).execute();
}

export function clientChoices(panel: Panel, tenantId: string): Promise<Choice[]> {
  return panel.deps.db
    .selectFrom('accounts')
    .select(['id as value', sql<string>`name || ' · ' || email`.as('title')])
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'client')
    .orderBy('name')
    .limit(CHOICES)
    .execute();
}

/** Products that may be ordered, each with its module enabled. */
export function productChoices(panel: Panel, tenantId: string): Promise<Choice[]> {
  return panel.deps.db
    .selectFrom('products')
    .innerJoin('installations', 'installations.id', 'products.installation_id')
    .select(['products.id as value', 'products.name as title'])
    .where('products.tenant_id', '=', tenantId)
    .where('products.active', '=', true)
    .where('installations.status', 'in', ['active', 'restricted'])
    .where('installations.paused_at', 'is', null)
    .orderBy('products.name')
    .limit(CHOICES)
    .execute();
}
