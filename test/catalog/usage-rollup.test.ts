/** Usage gets coarser with age and its sums stay, whoever rolls it up and however often. */
import { expect, it } from 'vitest';
import { rollUpUsage } from '../../src/catalog/usage-rollup.ts';
import { usageByInstallation } from '../../src/web/usage.ts';
import { useTestHost } from '../support/host.ts';

const host = useTestHost();

const NOW = new Date('2026-06-30T12:34:00Z');
const HOUR_MS = 3_600_000;
const at = (iso: string): Date => new Date(iso);

it('usage becomes hours after two days and days after two months, with the same sums, and goes after two years', async () => {
  const { a, b, bulkhead } = host();
  const { db } = bulkhead.panel;
  await host().publish({ name: 'Used', type: 'Plugin' });
  // Not enabled: nothing else is counted for them.
  const ids = [(await a.install('Used')).installationId, (await b.install('Used')).installationId];
  const minutes = [
    // A day back, and the hour that has not ended two days ago: as they are.
    '2026-06-29T13:01:00Z',
    '2026-06-28T12:00:00Z',
    '2026-06-28T12:01:00Z',
    // One hour, its first minute among them; and one that is a whole hour already.
    '2026-06-28T11:00:00Z',
    '2026-06-28T11:01:00Z',
    '2026-06-28T11:59:00Z',
    '2026-06-27T05:00:00Z',
    // One day of hours and minutes.
    '2026-04-01T00:00:00Z',
    '2026-04-01T03:00:00Z',
    '2026-04-01T03:07:00Z',
    '2024-06-01T00:00:00Z',
  ];
  await db
    .insertInto('usage_minutes')
    .values(
      ids.flatMap((installation_id) =>
        minutes.map((minute) => ({
          installation_id,
          minute: at(minute),
          invocations: 3,
          errors: 1,
          killed: 1,
          refused: 2,
          capability_calls: 5,
          cpu_us: 2 ** 33,
          wall_ms: 7,
        })),
      ),
    )
    .execute();
  const before = await usageByInstallation(db, a.id, NOW.getTime());
  await Promise.all([rollUpUsage(db, NOW), rollUpUsage(db, NOW)]);
  expect(await rollUpUsage(db, NOW)).toBe(0);

  for (const id of ids) {
    const kept = await db
      .selectFrom('usage_minutes')
      .selectAll()
      .where('installation_id', '=', id)
      .orderBy('minute', 'desc')
      .execute();
    expect(kept.map(({ minute, invocations }) => [minute.toISOString(), invocations])).toEqual([
      ['2026-06-29T13:01:00.000Z', 3],
      ['2026-06-28T12:01:00.000Z', 3],
      ['2026-06-28T12:00:00.000Z', 3],
      ['2026-06-28T11:00:00.000Z', 9],
      ['2026-06-27T05:00:00.000Z', 3],
      ['2026-04-01T00:00:00.000Z', 9],
    ]);
    expect(kept.at(-1)).toMatchObject({
      errors: 3,
      killed: 3,
      refused: 6,
      capability_calls: 15,
      cpu_us: 3 * 2 ** 33,
      wall_ms: 21,
    });
  }
  expect(await usageByInstallation(db, a.id, NOW.getTime())).toEqual(before);
  // Hours that were days old when they were rolled up are there for the next stage.
  await rollUpUsage(db, new Date(NOW.getTime() + 70 * 24 * HOUR_MS));
  const days = await db
    .selectFrom('usage_minutes')
    .select('minute')
    .where('installation_id', '=', ids[0] ?? '')
    .execute();
  expect(
    days.map(({ minute }) => minute.toISOString().slice(10)).filter((time) => time !== 'T00:00:00.000Z'),
  ).toEqual([]);
});
