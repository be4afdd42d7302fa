/**
 * Telling that something happened. The event is written in the transaction of what it tells, so there is none about what was rolled back
 * and none is lost; who listens is found out afterwards (deliver.ts). Whoever emits needs to know nothing about listeners.
 */
import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import * as v from 'valibot';
import { hostEvents, type HostEventName, type HostEventPayload } from '../../sandbox/contract/host-events.ts';
import type { Tables } from '../database/tables.ts';
import { storable } from '../database/storable.ts';

/** Announces that there is an event to deliver. */
export const EVENT_CHANNEL = 'bulkhead_event';

/** One of the host's events with its payload. */
export type Told = {
  readonly [N in HostEventName]: {
    readonly tenantId: string;
    readonly name: N;
    readonly payload: HostEventPayload<N>;
  };
}[HostEventName];

export interface NewEvent {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly installationId: string | null;
  readonly depth: number;
}

const Payload = v.record(v.string(), v.unknown());

/**
 * Writes one of the host's events. @param trx the transaction of what it tells of; a plain connection only where nothing else is written */
export async function emit(trx: Kysely<Tables>, { tenantId, name, payload }: Told): Promise<void> {
  const checked: unknown = v.parse(hostEvents[name].payload, payload);
  await storeEvent(trx, {
    id: randomUUID(),
    tenantId,
    name,
    payload: v.parse(Payload, storable(checked)),
    source: 'host',
    installationId: null,
    depth: 0,
  });
}

export async function storeEvent(trx: Kysely<Tables>, event: NewEvent): Promise<void> {
  await trx
    .insertInto('events')
    .values({
      id: event.id,
      tenant_id: event.tenantId,
      name: event.name,
      payload: event.payload,
      source: event.source,
      installation_id: event.installationId,
      depth: event.depth,
    })
    .execute();
  await sql`select pg_notify(${EVENT_CHANNEL}::text, '')`.execute(trx);
}
