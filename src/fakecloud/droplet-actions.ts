/** What each droplet action needs and does. One table, so that an action the API accepts cannot lack its effect. */
import { SIZES } from './cloud-catalogue.ts';
import type { ActionType, Droplet, DropletStore } from './droplet-store.ts';
import { ACTION_TYPES } from './droplet-store.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { freshToken } from './secrets.ts';
import { isRecord } from './shape.ts';

export type Plan =
  | { readonly kind: 'act'; readonly type: ActionType; readonly apply: () => void }
  | { readonly kind: 'refused'; readonly message: string };

type Effect = (() => void) | { readonly message: string };
type Planner = (store: DropletStore, droplet: Droplet, input: Readonly<Record<string, unknown>>) => Effect;

const switchTo =
  (status: 'active' | 'off'): Planner =>
  (_store, droplet) =>
  () => {
    droplet.status = status;
  };

const PLANNERS: Readonly<Record<ActionType, Planner>> = {
  power_on: switchTo('active'),
  power_off: switchTo('off'),
  shutdown: switchTo('off'),
  reboot: (_store, droplet) =>
    droplet.status === 'off'
      ? { message: 'Droplet is currently powered off.' }
      : switchTo('active')(_store, droplet, {}),
  resize: (_store, droplet, input) => {
    const size = SIZES.find((candidate) => candidate.slug === input['size']);
    if (size === undefined) return { message: 'You specified an invalid size for Droplet resize.' };
    if (size.slug === droplet.size.slug) return { message: 'The Droplet already has this size.' };
    return () => {
      droplet.size = size;
    };
  },
  snapshot: (store, droplet, input) => {
    const name = input['name'] ?? `${droplet.name}-${Date.now()}`;
    if (typeof name !== 'string' || name === '' || name.length > 255)
      return { message: 'Name must have 1 to 255 characters.' };
    const own = store.snapshots().filter((snapshot) => snapshot.dropletId === droplet.id);
    if (own.length >= FAKECLOUD_LIMITS.snapshotsPerDroplet) return { message: 'Snapshot limit reached.' };
    return () => store.addSnapshot(droplet, name);
  },
  restore: (store, droplet, input) => {
    const own = store
      .snapshots()
      .some((snapshot) => snapshot.id === input['image'] && snapshot.dropletId === droplet.id);
    return own
      ? switchTo('active')(store, droplet, {})
      : { message: 'You specified an invalid image for Droplet restore.' };
  },
  // The real one makes a password and mails it to the account's owner; here the caller may give one.
  password_reset: (_store, droplet, input) => {
    const password = input['password'] ?? freshToken('pw_');
    if (typeof password !== 'string' || password.length < 8 || password.length > 128)
      return { message: 'The password must have 8 to 128 characters.' };
    return () => {
      droplet.rootPassword = password;
    };
  },
};

/** Reads `{type, …}`; `{action}` instead of `{type}` is accepted because the module guide's client writes it so. */
export function planAction(store: DropletStore, droplet: Droplet, input: unknown): Plan {
  if (!isRecord(input)) return { kind: 'refused', message: 'Unable to parse the request body as JSON.' };
  const type = ACTION_TYPES.find((candidate) => candidate === (input['type'] ?? input['action']));
  if (type === undefined)
    return { kind: 'refused', message: 'You specified an invalid type for the action.' };
  if (store.pending(droplet.id) !== undefined) {
    return { kind: 'refused', message: 'Droplet already has a pending event.' };
  }
  const effect = PLANNERS[type](store, droplet, input);
  return typeof effect === 'function' ? { kind: 'act', type, apply: effect } : { kind: 'refused', ...effect };
}
