/** A service as somebody may deal with it, with its module: the one place where the tenant and the client are compared. */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import { requirePermission } from '../auth/permissions.ts';
import type { ServiceStatus } from '../billing/service-status.ts';
import type { Installation, Installations } from '../catalog/installations.ts';
import type { Invoker } from '../catalog/invoke.ts';
import { onModule } from '../catalog/products.ts';
import type { Recorder } from '../catalog/recorder.ts';
import type { Db } from '../jobs/task.ts';
import type { OfService } from './care.ts';

export interface CareDeps {
  readonly db: Db;
  readonly installations: Installations;
  readonly invoker: Invoker;
  readonly recorder: Recorder;
}

export interface CaredService {
  readonly id: string;
  readonly tenantId: string;
  readonly status: ServiceStatus;
  readonly installation: Installation;
  /** What goes before each call: this.product_data and this.service_data. */
  readonly prepare: readonly ModuleCall[];
}

const Json = v.record(v.string(), v.unknown());
const GONE: readonly ServiceStatus[] = ['terminated', 'cancelled'];

/** @throws NOT_FOUND for another tenant's, and for another client's */
export async function readService(
  deps: CareDeps,
  {
    tenantId,
    serviceId,
    account,
  }: Pick<OfService, 'tenantId' | 'serviceId'> & { account?: OfService['account'] },
): Promise<CaredService> {
  let query = deps.db
    .selectFrom('services as service')
    .innerJoin('products as product', 'product.id', 'service.product_id')
    .select([
      'service.id',
      'service.installation_id',
      'service.status',
      'service.data',
      'service.provision_data',
      'product.data as product_data',
    ])
    .where('service.tenant_id', '=', tenantId)
    .where('service.id', '=', serviceId);
  if (account?.kind === 'client') query = query.where('service.client_id', '=', account.id);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  const data = { ...v.parse(Json, row.data), ...v.parse(Json, row.provision_data) };
  return {
    id: row.id,
    tenantId,
    status: row.status,
    installation: await deps.installations.get(row.installation_id),
    prepare: [onModule('getProductData', row.product_data), onModule('getServiceData', data)],
  };
}

export function runs({ status, pausedReason }: Installation): boolean {
  return pausedReason === null && (status === 'active' || status === 'restricted');
}

/** Clients use what is active; staff may act on whatever has not ended. */
export function isUsable({ status, installation }: CaredService, kind: 'admin' | 'client'): boolean {
  return runs(installation) && (kind === 'client' ? status === 'active' : !GONE.includes(status));
}

/** @throws NOT_GRANTED for staff without the permission, CONFLICT for what cannot be used now */
export function requireUsable(service: CaredService, account: OfService['account']): void {
  if (account.kind === 'admin') requirePermission(account.permissions, 'services.manage');
  if (!isUsable(service, account.kind))
    throw new HostError('CONFLICT', 'This service cannot be used at the moment.');
}

/** @throws NOT_FOUND */
export function requireStaff(account: OfService['account']): void {
  if (account.kind !== 'admin') throw new HostError('NOT_FOUND', 'There is no such page.');
}
