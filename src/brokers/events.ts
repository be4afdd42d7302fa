/**
 * events: the host's side of `this.events`. Only names that the manifest declares and the admin granted, with the module's own name in front;
 * bounded in size, in number, and in depth: an event that a handler dispatches is one deeper than the one it handles, whatever tasks lie between.
 */
import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { nearest, refusal } from '../../sandbox/contract/grant.ts';
import { eventCovers, prefixed } from '../../sandbox/contract/host-events.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { refuseUnstorable } from '../database/storable.ts';
import type { Tables } from '../database/tables.ts';
import { type NewEvent, storeEvent } from '../events/emit.ts';
import type { Broker, Scope } from './broker.ts';
import { createRate } from './tasks-rate.ts';

export interface EventsDeps {
  readonly db: Kysely<Tables>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

function refuseName(scope: Scope, name: string, grant: Grant<'events'>): void {
  if (!scope.emits.includes(name)) {
    const guess = nearest(name, scope.emits);
    const hint = guess === undefined ? 'add it there' : `did you mean "${guess}"`;
    throw new HostError('BAD_INPUT', `events: "${name}" is not among events.emits of module.json; ${hint}?`);
  }
  const full = prefixed(scope.moduleName, name);
  if (!grant.emit.some((pattern) => eventCovers(pattern, full))) throw refusal('events', full, 'events.emit');
}

/**
 * Events go by the module's name alone. Of two modules of one name (of two types) by two publishers, the one that was here first has the
 * name: the other's would be taken for its.
 */
async function refuseOthersName(db: Kysely<Tables>, scope: Scope): Promise<void> {
  const first = await db
    .selectFrom('installations as installation')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .select('installation.id')
    .where('installation.tenant_id', '=', scope.tenantId)
    .where('module.name', '=', scope.moduleName)
    .orderBy('installation.installed_at')
    .orderBy('installation.id')
    .where((eb) =>
      eb.or([
        eb('module.publisher', '<>', scope.publisher),
        eb('installation.id', '=', scope.installationId),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  if (first === undefined || first.id === scope.installationId) return;
  throw new HostError(
    'CONFLICT',
    `events: another publisher’s module ${scope.moduleName} was installed here before, and its events have this name.`,
  );
}

function refuseSize(payload: Readonly<Record<string, unknown>>): void {
  refuseUnstorable('events', payload);
  const sizeBytes = Buffer.byteLength(JSON.stringify(payload));
  if (sizeBytes > LIMITS.eventPayloadBytes)
    throw new HostError(
      'LIMIT',
      `events: the payload takes ${sizeBytes} bytes; ${LIMITS.eventPayloadBytes} are allowed. Keep the data in a table and pass its id.`,
    );
}

async function depthOf(db: Kysely<Tables>, scope: Scope): Promise<number> {
  if (scope.taskId === null) return 0;
  const task = await db
    .selectFrom('tasks')
    .select('event_depth')
    .where('id', '=', scope.taskId)
    .executeTakeFirst();
  const depth = (task?.event_depth ?? 0) + 1;
  if (depth > LIMITS.eventDepth)
    throw new HostError(
      'LIMIT',
      `events: this event would be the ${depth}th in a chain of handlers that dispatch events; ${LIMITS.eventDepth} are allowed. Do two modules answer each other?`,
    );
  return depth;
}

export function createEventsBroker({ db, now = Date.now }: EventsDeps): Broker<'events'> {
  const rate = createRate(now);
  return {
    dispatch: async (scope, { name, payload }, grant) => {
      refuseName(scope, name, grant);
      refuseSize(payload);
      await refuseOthersName(db, scope);
      const depth = await depthOf(db, scope);
      if (!rate.allows(scope.installationId, grant.per_minute))
        throw new HostError(
          'LIMIT',
          `events: ${grant.per_minute} events a minute are granted; ask for more in permissions.events.per_minute, or tell of several things at once.`,
        );
      const full = prefixed(scope.moduleName, name);
      scope.used(`events.emit:${full}`);
      const event: NewEvent = {
        id: randomUUID(),
        tenantId: scope.tenantId,
        name: full,
        payload,
        source: `${scope.publisher}/${scope.moduleType}/${scope.moduleName}`,
        installationId: scope.installationId,
        depth,
      };
      if (scope.purpose === 'lifecycle') scope.afterSuccess(async (trx) => storeEvent(trx, event));
      else await storeEvent(db, event);
      return { uuid: event.id, name: full };
    },
  };
}
