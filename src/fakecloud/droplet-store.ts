/**
 * The servers that exist. Nothing happens on a timer: whatever was due is settled at the next look, against the delay that
 * is configured then. So a test sets an hour, sees `new`, sets zero, sees `active`, and never waits.
 */
import type { Image, Region, Size } from './cloud-catalogue.ts';
import type { Ledger, RequestEntry } from './ledger.ts';

export const ACTION_TYPES = [
  'power_on',
  'power_off',
  'shutdown',
  'reboot',
  'resize',
  'snapshot',
  'restore',
  'password_reset',
] as const;
export type ActionType = (typeof ACTION_TYPES)[number];

export interface Droplet {
  readonly id: number;
  readonly name: string;
  readonly region: Region;
  readonly image: Image;
  readonly tags: readonly string[];
  readonly createdMs: number;
  readonly address: string;
  size: Size;
  status: 'new' | 'active' | 'off';
  /** Set by password_reset; null: the one it was created with. */
  rootPassword: string | null;
}

export interface Action {
  readonly id: number;
  readonly type: ActionType | 'create';
  readonly dropletId: number;
  readonly region: Region;
  readonly startedMs: number;
  readonly apply: () => void;
  completedMs: number | null;
}

export interface Snapshot {
  readonly id: number;
  readonly dropletId: number;
  readonly name: string;
  readonly image: Image;
  readonly region: Region;
  readonly diskGb: number;
  readonly createdMs: number;
}

export interface Delays {
  /** From create until the server is active. */
  provisioningMs: number;
  /** From any other action until it is completed. */
  actionMs: number;
}

export type NewDroplet = Pick<Droplet, 'name' | 'region' | 'image' | 'size' | 'tags'>;

/** Addresses set aside for documentation (RFC 5737): whoever connects to one by mistake reaches nobody. */
const ADDRESS_BLOCKS = ['203.0.113', '198.51.100', '192.0.2'] as const;
const HOSTS_PER_BLOCK = 254;

export class DropletStore {
  readonly delays: Delays;
  readonly #ledger: Ledger;
  readonly #droplets = new Map<number, Droplet>();
  readonly #actions = new Map<number, Action>();
  readonly #snapshots = new Map<number, Snapshot>();
  /** Never goes back, not even by reset: an id that meant another server once is a trap. */
  #nextId = 310_000_001;

  constructor(ledger: Ledger, delays: Readonly<Delays>) {
    this.#ledger = ledger;
    this.delays = delaysOf(delays);
  }

  droplets(): Droplet[] {
    this.#settle();
    return [...this.#droplets.values()];
  }

  droplet(id: number): Droplet | undefined {
    this.#settle();
    return this.#droplets.get(id);
  }

  create(wanted: NewDroplet, request: RequestEntry): { droplet: Droplet; action: Action } {
    const droplet: Droplet = {
      ...wanted,
      id: this.#id(),
      createdMs: Date.now(),
      address: this.#freeAddress(),
      status: 'new',
      rootPassword: null,
    };
    this.#droplets.set(droplet.id, droplet);
    this.#ledger.effect('droplet.created', droplet.id, request);
    const action = this.#start(droplet, 'create', () => {
      droplet.status = 'active';
    });
    return { droplet, action };
  }

  /** `request` is null when a person at the page destroyed it behind everyone's back. */
  remove(id: number, request: RequestEntry | null): boolean {
    const removed = this.#droplets.delete(id);
    if (removed) this.#ledger.effect('droplet.deleted', id, request);
    return removed;
  }

  /** The action that is still under way on a droplet; the cloud takes one at a time. */
  pending(dropletId: number): Action | undefined {
    this.#settle();
    return [...this.#actions.values()].find(
      (action) => action.dropletId === dropletId && action.completedMs === null,
    );
  }

  act(droplet: Droplet, type: ActionType, apply: () => void, request: RequestEntry): Action {
    const action = this.#start(droplet, type, apply);
    this.#ledger.effect('action.started', action.id, request);
    return action;
  }

  action(id: number): Action | undefined {
    this.#settle();
    return this.#actions.get(id);
  }

  addSnapshot(droplet: Droplet, name: string): void {
    const { image, region, size } = droplet;
    const id = this.#id();
    this.#snapshots.set(id, {
      id,
      dropletId: droplet.id,
      name,
      image,
      region,
      diskGb: size.disk,
      createdMs: Date.now(),
    });
  }

  snapshots(): Snapshot[] {
    this.#settle();
    return [...this.#snapshots.values()];
  }

  removeSnapshot(id: number, request: RequestEntry): boolean {
    this.#settle();
    const removed = this.#snapshots.delete(id);
    if (removed) this.#ledger.effect('snapshot.deleted', id, request);
    return removed;
  }

  reset(delays: Readonly<Delays>): void {
    this.#droplets.clear();
    this.#actions.clear();
    this.#snapshots.clear();
    Object.assign(this.delays, delaysOf(delays));
  }

  #start(droplet: Droplet, type: Action['type'], apply: () => void): Action {
    const { id: dropletId, region } = droplet;
    const action = {
      id: this.#id(),
      type,
      dropletId,
      region,
      startedMs: Date.now(),
      apply,
      completedMs: null,
    };
    this.#actions.set(action.id, action);
    return action;
  }

  #settle(): void {
    const nowMs = Date.now();
    for (const action of this.#actions.values()) {
      const delayMs = action.type === 'create' ? this.delays.provisioningMs : this.delays.actionMs;
      if (action.completedMs !== null || nowMs < action.startedMs + delayMs) continue;
      action.completedMs = action.startedMs + delayMs;
      if (!this.#droplets.has(action.dropletId)) continue;
      action.apply();
      this.#ledger.effect('action.completed', action.id, null);
    }
  }

  #id(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  /** Fewer droplets are allowed than there are addresses, so there is always a free one. */
  #freeAddress(): string {
    const taken = new Set([...this.#droplets.values()].map((droplet) => droplet.address));
    for (const block of ADDRESS_BLOCKS) {
      for (let host = 1; host <= HOSTS_PER_BLOCK; host += 1) {
        const address = `${block}.${host}`;
        if (!taken.has(address)) return address;
      }
    }
    throw new Error('no documentation address is left');
  }
}

/** Only the delays, of an object that may hold more. */
function delaysOf({ provisioningMs, actionMs }: Readonly<Delays>): Delays {
  return { provisioningMs, actionMs };
}
