/**
 * `events` of module.json: the names a module dispatches and hears. They are its promise to whoever reads the manifest; what it may do is the
 * grant. So nothing has to be said twice: without permissions.events the asks are read off these names; with it, they must be covered.
 */
import * as v from 'valibot';
import { HostError } from './envelope.ts';
import type { Ask } from './grant.ts';
import { eventCovers, EventPattern, OwnEventName, prefixed } from './host-events.ts';
import { LIMITS } from './limits.ts';

const few = <S extends v.GenericSchema>(item: S) =>
  v.optional(
    v.pipe(
      v.array(item, 'a list of event names is expected'),
      v.maxLength(LIMITS.declaredEvents, `at most ${LIMITS.declaredEvents} names are allowed`),
    ),
    [],
  );

export const ManifestEvents = v.strictObject({ emits: few(OwnEventName), listens: few(EventPattern) });
export type ManifestEvents = v.InferOutput<typeof ManifestEvents>;

/** `permissions` with what follows from `events`, if it says nothing of its own about them. */
export function withEventAsks(permissions: unknown, moduleName: string, events: ManifestEvents): unknown {
  if (typeof permissions !== 'object' || permissions === null || Array.isArray(permissions))
    return permissions;
  if (Object.hasOwn(permissions, 'events') || events.emits.length + events.listens.length === 0)
    return permissions;
  const emit = events.emits.map((name) => prefixed(moduleName, name));
  return { ...permissions, events: { emit, listen: events.listens } };
}

/** @throws HostError BAD_INPUT naming the event that the permissions do not cover, or that belongs to another module */
export function checkEventAsks(asks: readonly Ask[], moduleName: string, events: ManifestEvents): void {
  const asked = (field: string): readonly string[] =>
    asks.filter((ask) => ask.capability === 'events' && ask.field === field).map((ask) => ask.item);
  for (const item of asked('emit'))
    if (!item.startsWith(`${moduleName}.`))
      throw new HostError(
        'BAD_INPUT',
        `module.json: permissions.events.emit: "${item}" is not an event of this module; its own begin with "${moduleName}.".`,
      );
  const wanted = [
    ...events.emits.map((name) => ({ name: prefixed(moduleName, name), field: 'emit' })),
    ...events.listens.map((name) => ({ name, field: 'listen' })),
  ];
  for (const { name, field } of wanted)
    if (!asked(field).some((pattern) => eventCovers(pattern, name)))
      throw new HostError('BAD_INPUT', `module.json: add "${name}" to permissions.events.${field}.`);
}

/** What of a module's hooks the manifest says nothing about. @throws HostError BAD_INPUT */
export function checkHooks(
  hooks: readonly { readonly event: string; readonly priority: number }[],
  events: ManifestEvents,
): void {
  if (hooks.length > LIMITS.eventHandlers)
    throw new HostError('BAD_INPUT', `hooks.ts: at most ${LIMITS.eventHandlers} handlers are allowed.`);
  for (const { event, priority } of hooks) {
    if (!v.is(EventPattern, event) || event.endsWith('.*'))
      throw new HostError('BAD_INPUT', `hooks.ts: "${event.slice(0, 100)}" is not the name of one event.`);
    if (!events.listens.some((pattern) => eventCovers(pattern, event)))
      throw new HostError('BAD_INPUT', `hooks.ts: add "${event}" to events.listens in module.json.`);
    if (!Number.isInteger(priority) || Math.abs(priority) > LIMITS.eventPriority)
      throw new HostError(
        'BAD_INPUT',
        `hooks.ts: ${event}: the priority is a whole number from -${LIMITS.eventPriority} to ${LIMITS.eventPriority}.`,
      );
  }
}
