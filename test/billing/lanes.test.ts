/** Lanes: who is slow waits alone, few are served at a time, and a round ends though somebody does not. */
import { describe, expect, it } from 'vitest';
import { createLanes } from '../../src/billing/lanes.ts';

const done = (log: string[], what: string) => async (): Promise<void> => void log.push(what);

describe('lanes', () => {
  it('let nobody wait for who is slow, and keep each one’s order', async () => {
    const lanes = createLanes({ atOnce: 2, roundMs: 50 });
    const log: string[] = [];
    const slow = Promise.withResolvers<void>();
    await lanes.run(
      new Map([
        ['slow', [() => slow.promise, done(log, 'slow 2')]],
        ['quick', [done(log, 'quick 1'), done(log, 'quick 2')]],
        ['other', [done(log, 'other 1')]],
      ]),
    );
    expect(log.toSorted()).toEqual(['other 1', 'quick 1', 'quick 2']);
    expect(log.indexOf('quick 1')).toBeLessThan(log.indexOf('quick 2'));
    const again = lanes.run(new Map([['quick', [done(log, 'quick 3')]]]));
    await again;
    expect(log).toContain('quick 3');
    slow.resolve();
    await lanes.idle();
    // Its time was over: the state says again what is to be done.
    expect(log).not.toContain('slow 2');
  });

  it('serve no more than so many at a time, and all in the end', async () => {
    const lanes = createLanes({ atOnce: 3, roundMs: 10_000 });
    let now = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => void setImmediate(resolve));
      now -= 1;
    };
    await lanes.run(new Map(Array.from({ length: 20 }, (_, index) => [String(index), [work, work]])));
    expect({ most, now }).toEqual({ most: 3, now: 0 });
  });

  it('of one name never run side by side, not even of two rounds', async () => {
    const lanes = createLanes({ atOnce: 3, roundMs: 10_000 });
    const log: string[] = [];
    const first = Promise.withResolvers<void>();
    const one = lanes.run(new Map([['a', [() => first.promise.then(() => void log.push('first'))]]]));
    const two = lanes.run(new Map([['a', [done(log, 'second')]]]));
    first.resolve();
    await Promise.all([one, two]);
    expect(log).toEqual(['first', 'second']);
  });
});
