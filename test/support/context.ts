/** What an invocation is told when nothing in particular matters: no tenant's data, no user, nothing granted. Needs no test runner. */
import type { InvocationContext } from '../../sandbox/contract/invocation.ts';

export const BARE_CONTEXT: InvocationContext = {
  module: { type: 'Product', name: 'Probe', version: '1.0.0' },
  capabilities: [],
  config: {},
  secrets: {},
  tenant: {
    uuid: '11111111-1111-4111-8111-111111111111',
    name: 'Tenant',
    locale: 'en',
    currency: 'USD',
    timezone: 'UTC',
  },
  auth: null,
  locale: 'en',
  asset_base: '/m/v/assets/',
  product: null,
  service: null,
  instance: null,
  webhook_url: null,
  pay: null,
  task: null,
  from_version: null,
  now: 0,
  seed: Buffer.alloc(32, 1).toString('base64'),
};
