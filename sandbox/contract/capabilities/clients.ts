/**
 * clients: the tenant's own clients, read only. Who they are and how to reach them are two things to grant: a module that counts clients
 * needs no address.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

/** What can be granted, and what each means. */
const SCOPES = {
  read: 'See the names of your clients.',
  contact: 'See the e-mail addresses of your clients.',
} as const;
const SCOPE_NAMES = Object.keys(SCOPES) as readonly (keyof typeof SCOPES)[];

export const ClientView = v.object({
  uuid: v.string(),
  name: v.string(),
  /** Null unless "contact" is granted. */
  email: v.nullable(v.string()),
  active: v.boolean(),
  created_at: v.string(),
});
export type ClientView = v.InferOutput<typeof ClientView>;

export const Page = {
  /** The uuid the last page ended with. */
  after: v.optional(v.pipe(v.string(), v.uuid())),
  size: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.listRows)),
    LIMITS.listRowsDefault,
  ),
};

export const clients = capability({
  title: 'Clients',
  doc: 'Read who the clients are.',
  icon: 'users',
  inherent: false,
  grant: {
    scopes: {
      sort: 'list',
      doc: `What of a client may be read: ${SCOPE_NAMES.join(', ')}.`,
      risk: 'high',
      item: v.picklist(SCOPE_NAMES, `one of ${SCOPE_NAMES.join(', ')} is expected`),
      words: (item) => (item === 'contact' ? SCOPES.contact : SCOPES.read),
      fallback: ['read'],
    },
  },
  ops: {
    get: op('One client of the tenant.', v.object({ uuid: v.pipe(v.string(), v.uuid()) }), ClientView),
    list: op(
      'Clients in order of age, a page at a time.',
      v.object(Page),
      v.object({ clients: v.array(ClientView), next: v.optional(v.string()) }),
    ),
  },
});
