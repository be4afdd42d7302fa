/** notify: a message to a category of people; the tenant's rules say through which senders, if any. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { op } from '../op.ts';
import { Notice } from './mail.ts';

export const NOTIFICATION_CATEGORIES = {
  staff_administrative: 'your staff about administration',
  staff_operational: 'your staff about operations',
  client_administrative: 'clients about their account',
  client_operational: 'clients about their services',
} as const;
export type NotificationCategory = keyof typeof NOTIFICATION_CATEGORIES;
const Category = v.picklist(
  Object.keys(NOTIFICATION_CATEGORIES).filter((name): name is NotificationCategory =>
    Object.hasOwn(NOTIFICATION_CATEGORIES, name),
  ),
  `one of ${Object.keys(NOTIFICATION_CATEGORIES).join(', ')} is expected.`,
);

export const notify = capability({
  title: 'Notifications',
  doc: 'Tell your staff and clients something, through the senders your rules name.',
  icon: 'bell',
  inherent: false,
  grant: {
    categories: {
      sort: 'list',
      doc: 'Whom it may tell.',
      risk: 'medium',
      item: Category,
      words: (category: string) =>
        `Tell ${Object.entries(NOTIFICATION_CATEGORIES).find(([name]) => name === category)?.[1] ?? category}.`,
    },
    per_hour: {
      sort: 'amount',
      doc: 'Messages an hour.',
      risk: 'low',
      unit: 'messages an hour',
      fallback: 100,
      max: 10_000,
      words: (n: number) => `Send at most ${n} messages an hour.`,
    },
  },
  ops: {
    send: op(
      'Queues a message. A client category needs `client`, the uuid of one of the tenant’s clients. `deliveries` is empty where no rule applies.',
      v.object({ category: Category, client: v.optional(v.pipe(v.string(), v.uuid())), ...Notice }),
      v.object({ deliveries: v.array(v.string()) }),
    ),
  },
});
