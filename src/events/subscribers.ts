/**
 * Parts of the host that listen to events. Each has a name of its own, under which its result is recorded; they are said once, where the
 * host is put together, and may not change while it runs.
 */
import type { Transaction } from 'kysely';
import type { HostEventName, HostEventPayload } from '../../sandbox/contract/host-events.ts';
import type { Tables } from '../database/tables.ts';

export interface DeliveredEvent<P = Readonly<Record<string, unknown>>> {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly payload: P;
  /** 'host', or publisher/Type/Name. */
  readonly source: string;
  readonly at: Date;
}

/** What it writes in the transaction it is given happens exactly once; anything else at least once. A throw is tried again, some times. */
export type Subscriber<P = Readonly<Record<string, unknown>>> = (
  event: DeliveredEvent<P>,
  trx: Transaction<Tables>,
) => Promise<void>;

export interface Subscribers {
  /** Listens to one of the host's events. */
  onEvent<N extends HostEventName>(
    subscriber: string,
    name: N,
    handler: Subscriber<HostEventPayload<N>>,
  ): void;
  /** Listens to all events, those of modules too. */
  onAnyEvent(subscriber: string, handler: Subscriber): void;
  /** Who listens to an event: names of subscribers, in the order they were said. */
  listening(name: string): readonly string[];
  find(subscriber: string, name: string): Subscriber | undefined;
}

interface Entry {
  readonly subscriber: string;
  /** Undefined: all of them. */
  readonly name: string | undefined;
  readonly handler: Subscriber;
}

export function createSubscribers(): Subscribers {
  const entries: Entry[] = [];
  const fits = (entry: Entry, name: string): boolean => entry.name === undefined || entry.name === name;
  return {
    onEvent: (subscriber, name, handler) => {
      // Its payload was parsed by this name's schema when it was emitted.
      entries.push({ subscriber, name, handler: handler as Subscriber });
    },
    onAnyEvent: (subscriber, handler) => {
      entries.push({ subscriber, name: undefined, handler });
    },
    listening: (name) => [
      ...new Set(entries.filter((entry) => fits(entry, name)).map(({ subscriber }) => subscriber)),
    ],
    find: (subscriber, name) =>
      entries.find((entry) => entry.subscriber === subscriber && fits(entry, name))?.handler,
  };
}
