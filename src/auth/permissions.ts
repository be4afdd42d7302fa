/**
 * What an account may do. A role is a list of keys: the panel's own below, a module's `{Type}-{Name}-{key}`, or '*' for everything.
 * Closed: a page that asks for a key unknown here does not compile.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';

export const PANEL_PERMISSIONS = {
  'modules.view': 'See modules, their pages, status and calls.',
  'modules.manage': 'Install, enable, disable and configure modules, and answer what they ask for.',
  'products.manage': 'Create and change products and prices.',
  'clients.manage': 'See and create clients.',
  'services.view': 'See services and their timelines.',
  'services.manage': 'Suspend, resume, change and end services.',
  'billing.view': 'See invoices, payments and credit.',
  'billing.manage': 'Book payments, refund, give credit, cancel invoices, and change how billing works.',
  'tasks.view': 'See background tasks.',
  'tasks.manage': 'Retry, cancel and resume tasks.',
  'notifications.manage': 'See what was sent to people, send it again, and change rules and templates.',
  'logs.view': 'Read logs.',
  'settings.manage': 'Change the tenant’s settings and roles.',
} as const;

export type PanelPermission = keyof typeof PANEL_PERMISSIONS;

export function isPanelPermission(key: string): key is PanelPermission {
  return Object.hasOwn(PANEL_PERMISSIONS, key);
}

/** The key of a permission a module declares. */
export function modulePermission(type: string, name: string, key: string): string {
  return `${type}-${name}-${key}`;
}

/** True if the keys hold the asked one, or everything. */
export function hasPermission(keys: readonly string[], asked: string): boolean {
  return keys.includes('*') || keys.includes(asked);
}

/** @throws NOT_GRANTED naming the key that a role would need */
export function requirePermission(keys: readonly string[], asked: PanelPermission): void {
  if (!hasPermission(keys, asked))
    throw new HostError(
      'NOT_GRANTED',
      `Your role lacks "${asked}". An admin can add it under Settings, Roles.`,
    );
}
