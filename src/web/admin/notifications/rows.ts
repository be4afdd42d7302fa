/** What the notification pages read: senders with what they did lately, and deliveries. All of it by tenant. */
import { sql } from 'kysely';
import { HostError } from '../../../../sandbox/contract/envelope.ts';
import type { Category } from '../../../notifications/categories.ts';
import type { AccountContext } from '../../env.ts';
import { idFrom } from '../../forms.ts';
import { paged, pageNumber, rowsFrom } from '../../paging.ts';
import { WEB_LIMITS } from '../../limits.ts';
import type { Panel } from '../../panel.ts';

const DAY_MS = 86_400_000;

export const DELIVERY_STATUSES = ['queued', 'sent', 'failed', 'in_doubt'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export function readSenderRows(panel: Panel, tenantId: string) {
  const since = new Date(panel.deps.now() - DAY_MS);
  const lately = (status: DeliveryStatus) =>
    sql<number>`(select count(*)::int from deliveries d where d.instance_id = instance.id and d.status = ${status} and d.created_at > ${since})`;
  return panel.deps.db
    .selectFrom('instances as instance')
    .innerJoin('installations as installation', 'installation.id', 'instance.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select([
      'instance.id',
      'instance.name',
      'instance.active',
      'instance.installation_id',
      'installation.status',
      'installation.paused_at',
      'module.name as module',
      sql<string>`version.manifest ->> 'icon'`.as('icon'),
      sql<string>`coalesce(version.manifest -> 'config' ->> 'channel', 'email')`.as('channel'),
      lately('sent').as('sent'),
      lately('failed').as('failed'),
    ])
    .where('instance.tenant_id', '=', tenantId)
    .where('module.type', '=', 'Notification')
    .orderBy('instance.created_at')
    .execute();
}

export interface DeliveryFilter {
  readonly status: DeliveryStatus | undefined;
  readonly category: Category | undefined;
  readonly instanceId: string | undefined;
  readonly to: string;
}

export async function readDeliveries(panel: Panel, c: AccountContext, filter: DeliveryFilter) {
  const page = pageNumber(c.req.query('page'));
  let query = panel.deps.db
    .selectFrom('deliveries')
    .select(['id', 'created_at', 'sender', 'channel', 'recipient', 'subject', 'category', 'event', 'level'])
    .select(['status', 'attempts', 'error_message'])
    .where('tenant_id', '=', c.get('tenant').id);
  if (filter.status !== undefined) query = query.where('status', '=', filter.status);
  if (filter.category !== undefined) query = query.where('category', '=', filter.category);
  if (filter.instanceId !== undefined) query = query.where('instance_id', '=', filter.instanceId);
  if (filter.to !== '')
    query = query.where('recipient', 'ilike', `%${filter.to.replace(/[\\%_]/g, String.raw`\$&`)}%`);
  const rows = await query
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .offset(rowsFrom(page))
    .limit(WEB_LIMITS.pageRows + 1)
    .execute();
  return paged(c.req.url, page, rows);
}

/** @throws NOT_FOUND, also for another tenant's */
export async function deliveryOf(panel: Panel, tenantId: string, id: string | undefined) {
  const row = await panel.deps.db
    .selectFrom('deliveries')
    .leftJoin('accounts', 'accounts.id', 'deliveries.account_id')
    .selectAll('deliveries')
    .select(['accounts.name as person', 'accounts.kind as person_kind'])
    .where('deliveries.tenant_id', '=', tenantId)
    .where('deliveries.id', '=', idFrom(id))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such delivery.');
  return row;
}
