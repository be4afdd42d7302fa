/** Which processes go when there are too many or they hold too much: no sandbox is needed to see that. */
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { memoryForRunners, tooMany } from '../../sandbox/supervisor/room.ts';

const ROOMY = { processes: 10, bytes: 1_000 };
const occupant = (name: string, lastUsedAt: number, isIdle = true) => ({
  name,
  lastUsedAt,
  isIdle,
  ownBytes: 100,
});
const names = (all: readonly { readonly name: string }[]): readonly string[] => all.map(({ name }) => name);
const THREE = [occupant('new', 3), occupant('old', 1), occupant('middle', 2)];

describe('room for runner processes', () => {
  it('is there: nobody goes', () => {
    expect(tooMany(THREE, ROOMY)).toEqual([]);
  });

  it('is too small for so many: those used longest ago go, no more than needed', () => {
    expect(names(tooMany(THREE, { ...ROOMY, processes: 1 }))).toEqual(['old', 'middle']);
  });

  it('is too small for so much memory: those used longest ago go, no more than needed', () => {
    expect(names(tooMany(THREE, { ...ROOMY, bytes: 250 }))).toEqual(['old']);
    expect(names(tooMany(THREE, { ...ROOMY, bytes: 200 }))).toEqual(['old']);
    expect(names(tooMany(THREE, { ...ROOMY, bytes: 0 }))).toEqual(['old', 'middle', 'new']);
  });

  it('is never made at the cost of what runs', () => {
    const busy = [occupant('busy', 1, false), occupant('idle', 2)];
    expect(names(tooMany(busy, { processes: 0, bytes: 0 }))).toEqual(['idle']);
  });

  it('is a share of the machine, and enough for a few on a small one', () => {
    expect(memoryForRunners()).toBeGreaterThanOrEqual(LIMITS.runnersMinMb * 1_048_576);
  });
});
