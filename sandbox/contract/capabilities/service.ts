/** service: the tenant's own services of this module, and no others. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { op } from '../op.ts';
import { ClientView, Page } from './clients.ts';
import { ProductView } from './products.ts';

export const PROVISION_STATUSES = [
  'pending',
  'processing',
  'completed',
  'failed',
  'suspended',
  'terminated',
  'cancelled',
  'not_found',
  'paused',
] as const;
export const SERVICE_STATUSES = [
  'pending',
  'active',
  'suspended',
  'terminated',
  'cancelled',
  'fraud',
  'manual',
] as const;

export const ServiceView = v.object({
  uuid: v.string(),
  name: v.string(),
  status: v.picklist(SERVICE_STATUSES),
  provision_status: v.picklist(PROVISION_STATUSES),
  data: v.record(v.string(), v.unknown()),
  provision_data: v.record(v.string(), v.unknown()),
});
/** What a list may bring along, as the guide's Service::with; null where it is gone or not the module's. */
const SERVICE_RELATIONS = ['product', 'client'] as const;
const ListedService = v.object({
  ...ServiceView.entries,
  product: v.optional(v.nullable(ProductView)),
  client: v.optional(v.nullable(ClientView)),
});
/** Absent: the service this invocation is for. */
const Which = { uuid: v.optional(v.pipe(v.string(), v.uuid())) };

export const service = capability({
  title: 'Services',
  doc: 'Read and update the services that clients ordered of this module’s products.',
  icon: 'server',
  inherent: true,
  grant: {},
  ops: {
    get: op('One service of this module.', v.object(Which), ServiceView),
    list: op(
      'Services of this module in order of age, a page at a time. With "client" the capability clients must be granted.',
      v.object({
        ...Page,
        with: v.optional(v.pipe(v.array(v.picklist(SERVICE_RELATIONS)), v.maxLength(10)), []),
      }),
      v.object({ services: v.array(ListedService), next: v.optional(v.string()) }),
    ),
    setProvisionStatus: op(
      'Sets the provision status; only the known ones.',
      v.object({ ...Which, status: v.picklist(PROVISION_STATUSES) }),
      v.object({}),
    ),
    setProvisionData: op(
      'Stores what provisioning found out (address, login name …).',
      v.object({ ...Which, data: v.record(v.string(), v.unknown()) }),
      v.object({}),
    ),
  },
});
