/**
 * events: telling that something happened, and being told. A module emits names that its manifest declares; the host puts the module's
 * own in front, so that nobody speaks for another. What it hears is in hooks.ts, read at install; each name is a line of the consent page.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { eventCovers, EventPattern, hostEvents, isHostEvent, OwnEventName } from '../host-events.ts';
import { op } from '../op.ts';

function heard(name: string): string {
  if (!isHostEvent(name)) return `Be told of “${name}”, an event of another module.`;
  const { doc, personal } = hostEvents[name];
  return `Be told when this happens: ${doc}${personal ? ' It learns who (name and e-mail).' : ''}`;
}

export const events = capability({
  title: 'Events',
  doc: 'Tell that something happened, and be told.',
  icon: 'bolt',
  inherent: false,
  grant: {
    emit: {
      sort: 'list',
      doc: 'Events of its own, with the module’s name in front: "VPSHosting.account.created", or all of them as "VPSHosting.*".',
      risk: 'low',
      item: EventPattern,
      words: (name: string) => `Tell other modules of its event “${name}”.`,
      covers: eventCovers,
    },
    listen: {
      sort: 'list',
      doc: 'Events of the host ("ServiceCreated") or of other modules ("VPSHosting.*").',
      risk: 'medium',
      item: EventPattern,
      words: heard,
      covers: eventCovers,
    },
    per_minute: {
      sort: 'amount',
      doc: 'Events dispatched a minute.',
      risk: 'low',
      unit: 'events a minute',
      fallback: 60,
      max: 6_000,
      words: (n: number) => `Tell of up to ${n} events a minute.`,
    },
  },
  ops: {
    dispatch: op(
      'Tells that something happened. The host puts the module’s name in front of `name`; handlers run later, through the queue.',
      v.object({ name: OwnEventName, payload: v.optional(v.record(v.string(), v.unknown()), {}) }),
      v.object({ uuid: v.string(), name: v.string() }),
    ),
  },
});
