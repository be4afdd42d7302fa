/** The closed record of kinds. A new module type is a file in kinds/ and a line here. */
import type { Kind } from './op.ts';
import { moduleMethods } from './kinds/module.ts';
import { notification } from './kinds/notification.ts';
import { payment } from './kinds/payment.ts';
import { plugin } from './kinds/plugin.ts';
import { product } from './kinds/product.ts';

export const kinds: Readonly<Record<string, Kind>> = {
  Product: product,
  Plugin: plugin,
  Payment: payment,
  Notification: notification,
};

/** Of a type's methods those that only the host queues. */
export function hostJobsOf(type: string): NonNullable<Kind['hostJobs']> {
  return (Object.hasOwn(kinds, type) ? kinds[type]?.hostJobs : undefined) ?? {};
}

/** Whether modules of a type have instances: sets of settings, each with secrets and a webhook address of its own. */
export function hasInstances(type: string): boolean {
  return Object.hasOwn(kinds, type) && kinds[type]?.instances === true;
}

/** Methods that only the host may call: a task that named one would bypass a flow. */
export const HOST_ONLY_METHODS: ReadonlySet<string> = new Set([
  'constructor',
  'activate',
  'deactivate',
  'update',
  'purge',
]);

const HOST_CALLED: ReadonlySet<string> = new Set(['constructor', ...Object.keys(moduleMethods)]);
const HOST_CALLED_FAMILY = /^(variables_|controllerClient_)|Callback$/;

/** Methods that only the host calls, at its own time and in its own transaction; they are no jobs. */
export function isHostCalled(method: string): boolean {
  return HOST_CALLED.has(method) || HOST_CALLED_FAMILY.test(method);
}
