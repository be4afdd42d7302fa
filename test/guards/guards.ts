/** All guards, by the part of the system they stand in. A new guard belongs to one of these lists, and answers to a threat. */
import { billingGuards } from './billing.ts';
import { careGuards } from './care.ts';
import { dbGuards } from './db.ts';
import type { Guard, GuardArea } from './guard.ts';
import { httpGuards } from './http.ts';
import { methodGuards } from './methods.ts';
import { packageGuards } from './package.ts';
import { sandboxGuards } from './sandbox.ts';
import { storeGuards } from './stores.ts';
import { tenantGuards } from './tenants.ts';
import { webGuards } from './web.ts';

export const GUARD_AREAS: readonly GuardArea[] = [
  { area: 'sandbox', guards: sandboxGuards },
  { area: 'http', guards: httpGuards },
  { area: 'db', guards: dbGuards },
  { area: 'package', guards: packageGuards },
  { area: 'stores', guards: storeGuards },
  { area: 'tenants', guards: tenantGuards },
  { area: 'web', guards: webGuards },
  { area: 'billing', guards: billingGuards },
  { area: 'care', guards: careGuards },
  { area: 'methods', guards: methodGuards },
];

export const GUARDS: readonly Guard[] = GUARD_AREAS.flatMap(({ guards }) => guards);
