/** What is older than 30 days goes, of every tenant, in slices; what is younger or still to be heard stays. */
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { dropOld, RETENTION_LIMITS } from '../../src/catalog/retention.ts';
import { useTestHost } from '../support/host.ts';

const host = useTestHost();

const NOW = new Date('2026-06-30T00:00:00Z');
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000);

it('log lines, calls and events are kept for 30 days (contract §3)', async () => {
  const { a, b, bulkhead } = host();
  const { db } = bulkhead.panel;
  await host().publish({ name: 'Chatty', type: 'Plugin' });
  const installation_id = await a.installed('Chatty');
  const ages = [29, 31, 400];
  const { rowsOfOwner } = RETENTION_LIMITS;
  await db
    .insertInto('logs')
    .values(
      [a, b].flatMap(({ id }) =>
        ages.map((age) => ({
          tenant_id: id,
          level: 'info' as const,
          action: `aged ${age}`,
          at: daysAgo(age),
        })),
      ),
    )
    .execute();
  await db
    .insertInto('calls')
    .values(
      ages.map((age) => ({
        installation_id,
        op: 'http.request',
        target: `aged ${age}`,
        duration_ms: 1,
        at: daysAgo(age),
      })),
    )
    .execute();
  const event = (age: number, delivered: boolean) => ({
    tenant_id: a.id,
    name: `Aged${age}`,
    payload: {},
    source: 'host',
    at: daysAgo(age),
    delivered_at: delivered ? daysAgo(age) : null,
  });
  await db
    .insertInto('events')
    .values([event(29, true), event(31, true), event(32, false)])
    .execute();
  const waiting = await db
    .insertInto('events')
    .values(event(33, true))
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('event_deliveries')
    .values({ event_id: waiting.id, position: 0, subscriber: 'test' })
    .execute();
  expect(await dropOld(db, NOW)).toBe(7);
  const left = async (table: 'logs' | 'calls' | 'events', column: string) =>
    (
      await sql<{ name: string }>`
        select ${sql.ref(column)} as name from ${sql.table(table)} where ${sql.ref(column)} ~* '^aged' order by 1`.execute(
        db,
      )
    ).rows.map(({ name }) => name);
  expect(await left('logs', 'action')).toEqual(['aged 29', 'aged 29']);
  expect(await left('calls', 'target')).toEqual(['aged 29']);
  expect(await left('events', 'name')).toEqual(['Aged29', 'Aged32', 'Aged33']);
  await db
    .updateTable('event_deliveries')
    .set({ finished_at: NOW })
    .where('event_id', '=', waiting.id)
    .execute();
  expect(await dropOld(db, NOW)).toBe(1);
  await sql`insert into logs (tenant_id, level, action, at)
    select ${a.id}::uuid, 'info', 'many', ${daysAgo(40)}::timestamptz from generate_series(1, ${rowsOfOwner + 5}::integer)`.execute(
    db,
  );
  expect([await dropOld(db, NOW), await dropOld(db, NOW), await dropOld(db, NOW)]).toEqual([
    rowsOfOwner,
    5,
    0,
  ]);
});
