import { describe, expect, it } from 'vitest';
import { Ending } from '../../src/catalog/scope.ts';

describe('the end of an invocation', () => {
  it('aborts the signal that was asked for before it, with a code', () => {
    const ending = new Ending();
    const { signal } = ending;
    expect([signal.aborted, ending.over]).toEqual([false, false]);
    ending.end();
    expect(ending.over).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'ENDED' });
    expect(ending.signal).toBe(signal);
  });

  it('has aborted the signal that is asked for only after it', () => {
    const ending = new Ending();
    ending.end();
    expect(ending.signal.reason).toMatchObject({ code: 'ENDED' });
  });
});
