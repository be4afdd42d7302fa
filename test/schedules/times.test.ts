/** When a cron is due, by the tenant's clock: through the nights in which it jumps. */
import { describe, expect, it } from 'vitest';
import { everComes, nextAfter } from '../../src/schedules/times.ts';

/** The next due moments after `from`, as month-day hour:minute in UTC. */
function due(cron: string, timezone: string, from: string, count: number): string[] {
  const found: string[] = [];
  let after = new Date(from);
  for (let index = 0; index < count; index++) {
    const next = nextAfter({ cron, everyS: null }, timezone, after);
    if (next === undefined) break;
    found.push(next.toISOString().slice(5, 16).replace('T', ' '));
    after = next;
  }
  return found;
}

describe('a cron in a tenant’s time zone', () => {
  it('in the skipped hour is due once, right after it: neither never nor twice', () => {
    // Warsaw: on 29 March 2026, 02:00 is 03:00 (01:00 UTC).
    expect(due('30 2 * * *', 'Europe/Warsaw', '2026-03-28T00:00Z', 3)).toEqual([
      '03-28 01:30',
      '03-29 01:00',
      '03-30 00:30',
    ]);
  });

  it('in the repeated hour is due once, in its first pass', () => {
    // Warsaw: on 25 October 2026, 03:00 is 02:00 again (01:00 UTC).
    expect(due('30 2 * * *', 'Europe/Warsaw', '2026-10-24T00:00Z', 3)).toEqual([
      '10-24 00:30',
      '10-25 00:30',
      '10-26 01:30',
    ]);
  });

  it('that repeats every hour or oftener goes on through both, without a gap', () => {
    expect(due('0 * * * *', 'Europe/Warsaw', '2026-10-24T23:30Z', 3)).toEqual([
      '10-25 00:00',
      '10-25 01:00',
      '10-25 02:00',
    ]);
    expect(due('*/30 * * * *', 'Europe/Warsaw', '2026-03-29T00:15Z', 3)).toEqual([
      '03-29 00:30',
      '03-29 01:00',
      '03-29 01:30',
    ]);
  });

  it('differs from zone to zone', () => {
    expect(due('0 9 * * 1', 'America/New_York', '2026-11-22T00:00Z', 1)).toEqual(['11-23 14:00']);
    expect(due('0 9 * * 1', 'Asia/Kolkata', '2026-11-22T00:00Z', 1)).toEqual(['11-23 03:30']);
  });

  it('that never comes is known', () => {
    expect(everComes('0 0 31 2 *')).toBe(false);
    expect(everComes('61 * * * *')).toBe(false);
    expect(everComes('0 0 29 2 *')).toBe(true);
  });
});
