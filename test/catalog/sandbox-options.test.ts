/** What the operator says about all sandbox processes, and which uids they get. */
import { describe, expect, it } from 'vitest';
import { createRunnerIds } from '../../src/catalog/runner-ids.ts';
import { sandboxOptions } from '../../src/catalog/sandbox-options.ts';

const runnerIds = createRunnerIds(true);
const withMemory = (text: string | undefined) =>
  sandboxOptions({ env: { BULKHEAD_SANDBOX_MEMORY_MB: text }, runnerIds, spareRunner: false });

describe('the memory of all sandbox processes', () => {
  it('is what the operator says, in megabytes, or a share of the machine', () => {
    expect(withMemory('2048').memoryBytes).toBe(2_048 * 1_048_576);
    expect(withMemory(undefined).memoryBytes).toBeUndefined();
    expect(withMemory('').memoryBytes).toBeUndefined();
  });

  it.each(['0', '-1', '1.5', '2g', ' 1', '1e3', '9999999999'])('is not %s', (text) => {
    expect(() => withMemory(text)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });
});

describe('a process that waits', () => {
  it('has a uid that nobody had, and none where there is no second one', () => {
    const { spare } = sandboxOptions({ env: {}, runnerIds, spareRunner: true });
    const uids = Array.from({ length: 100 }, () => spare?.().uid ?? 0);
    expect(new Set(uids).size).toBe(100);
    for (const taken of [runnerIds.tenant(1), runnerIds.throwAway()]) expect(uids).not.toContain(taken.uid);
    expect(Math.min(...uids)).toBeGreaterThanOrEqual(1_900_000_000);
    expect(createRunnerIds(false).spare()).toEqual({});
  });

  it('is only there if wanted', () => {
    expect(withMemory('1').spare).toBeUndefined();
  });
});
