/**
 * The record of kinds. A new module type is a file in kinds/ and a line here; or, for who embeds the host, a declaration of the same shape
 * that is given to createBulkhead.
 */
import { HostError } from './envelope.ts';
import type { Kind } from './op.ts';
import { moduleMethods } from './kinds/module.ts';
import { notification } from './kinds/notification.ts';
import { payment } from './kinds/payment.ts';
import { plugin } from './kinds/plugin.ts';
import { product } from './kinds/product.ts';

const known: Record<string, Kind> = {
  Product: product,
  Plugin: plugin,
  Payment: payment,
  Notification: notification,
};

export const kinds: Readonly<Record<string, Kind>> = known;

/** Types of one's own, for this whole process. The same declaration may be given again. @throws HostError CONFLICT */
export function addKinds(more: readonly Kind[]): void {
  for (const kind of more) {
    const present = Object.hasOwn(known, kind.type) ? known[kind.type] : undefined;
    if (present !== undefined && present !== kind)
      throw new HostError('CONFLICT', `There is a module type ${kind.type} already.`);
    known[kind.type] = kind;
  }
}

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
