/**
 * The closed sets of notifications (contract §3): who is told (categories), how grave it is (levels, those of a module's `type`), and
 * what a recipient is to a sender (channels).
 */
import type { MESSAGE_TYPES } from '../../sandbox/contract/kinds/notification.ts';

export const CATEGORIES = [
  'staff_administrative',
  'staff_operational',
  'client_administrative',
  'client_operational',
] as const;
export type Category = (typeof CATEGORIES)[number];

export function isCategory(text: unknown): text is Category {
  return CATEGORIES.some((category) => category === text);
}

export function isForClients(category: Category): boolean {
  return category.startsWith('client_');
}

/** From harmless to grave. */
export const LEVELS = [
  'info',
  'success',
  'warning',
  'error',
] as const satisfies readonly (typeof MESSAGE_TYPES)[number][];
export type Level = (typeof LEVELS)[number];

export function isAtLeast(level: Level, least: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

/** 'email' and 'sms' reach a person at an address; 'chat' reaches whoever reads the sender's room. */
export const CHANNELS = ['email', 'chat', 'sms'] as const;
export type Channel = (typeof CHANNELS)[number];

/** What a sender module says of itself in its manifest's config; a mail address unless it says otherwise. */
export function channelOf(config: Readonly<Record<string, unknown>>): Channel {
  const named = config['channel'];
  return CHANNELS.find((channel) => channel === named) ?? 'email';
}
