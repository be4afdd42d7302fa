import { describe, expect, it } from 'vitest';
import { entryTimeout } from '../../sandbox/runner/timeout.ts';

/** Entries of two seconds, one each 0.37 ms. */
const entries = Array.from({ length: 5_000 }, (_, number) => 1_234.5 + number * 0.37);

describe('the time of an entry', () => {
  it('is a whole number, never less than was given and at most a 64th more', () => {
    for (const timeoutMs of [1, 7, 63, 64, 100, 2_000])
      for (const nowMs of entries) {
        const given = entryTimeout(timeoutMs, nowMs);
        expect(Number.isInteger(given)).toBe(true);
        expect(given).toBeGreaterThanOrEqual(timeoutMs);
        expect(given - timeoutMs).toBeLessThanOrEqual(Math.max(1, timeoutMs / 64));
      }
  });

  it('ends with that of others at few moments, so that one thread need not wake for each', () => {
    const ends = entries.map((nowMs) => nowMs + entryTimeout(2_000, nowMs));
    const moments = new Set(ends.map((end) => Math.ceil(end)));
    const spanMs = (ends.at(-1) ?? 0) - (ends[0] ?? 0);
    expect(moments.size).toBeLessThanOrEqual(spanMs / 31 + 2);
  });
});
