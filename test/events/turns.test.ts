/** What a round of the pump looks at, where one tenant has more to do than a round holds. */
import { beforeAll, expect, it } from 'vitest';
import { dueSubscribers } from '../../src/events/deliver.ts';
import { EVENT_LIMITS } from '../../src/events/limits.ts';
import { waitingEvents } from '../../src/events/turns.ts';
import { twoInstallations } from '../brokers/secrets-support.ts';
import { useTestDatabase } from '../support/database.ts';

const database = useTestDatabase();
const MINUTE_MS = 60_000;
let tenants: { readonly id: string; readonly tenant_id: string }[] = [];

beforeAll(async () => {
  const { db } = database();
  const both = await twoInstallations(db);
  tenants = await db
    .selectFrom('installations')
    .select(['id', 'tenant_id'])
    .where('id', 'in', [...both])
    .execute();
});

type Who = { readonly installation_id: string; readonly handler: number } | { readonly subscriber: string };

/** Events that were handed out and whose handlers wait. @returns ids of the deliveries and of the events */
async function waiting(tenantId: string, who: Who, count: number, ageMs: number) {
  const { db } = database();
  const at = new Date(Date.now() - ageMs);
  const events = await db
    .insertInto('events')
    .values(
      Array.from({ length: count }, () => ({
        tenant_id: tenantId,
        name: 'None.such',
        payload: {},
        source: 'host',
        at,
        delivered_at: at,
      })),
    )
    .returning('id')
    .execute();
  const rows = await db
    .insertInto('event_deliveries')
    .values(events.map(({ id }) => ({ event_id: id, position: 0, retry_at: at, ...who })))
    .returning(['id', 'event_id'])
    .execute();
  return rows;
}

it('a tenant with more waiting events than a round holds keeps no other from its turn', async () => {
  const [busy, quiet] = tenants;
  if (busy === undefined || quiet === undefined) throw new Error('two installations are expected');
  const handler = (id: string) => ({ installation_id: id, handler: 0 });
  await waiting(busy.tenant_id, handler(busy.id), EVENT_LIMITS.perRound + 20, 10 * MINUTE_MS);
  const [late] = await waiting(quiet.tenant_id, handler(quiet.id), 1, MINUTE_MS);
  const found = await waitingEvents(database().db);
  expect(found).toHaveLength(EVENT_LIMITS.perRound);
  expect(found).toContain(late?.event_id);
});

it('nor from what the host itself does about its events', async () => {
  const [busy, quiet] = tenants;
  const subscriber = { subscriber: 'notifications' };
  await waiting(busy?.tenant_id ?? '', subscriber, EVENT_LIMITS.perRound + 20, 10 * MINUTE_MS);
  const [late] = await waiting(quiet?.tenant_id ?? '', subscriber, 1, MINUTE_MS);
  const found = await dueSubscribers(database().db);
  expect(found).toHaveLength(EVENT_LIMITS.perRound);
  expect(found).toContain(late?.id);
});
