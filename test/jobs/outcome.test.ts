import { describe, expect, it } from 'vitest';

import { decide, readReturned } from '../../src/jobs/outcome.ts';
import { returned, threw } from './fixture.ts';

const task = { attempts: 1, tries: 3, exceptions: 0, maxExceptions: 3, backoffS: 7 };

describe('readReturned', () => {
  it.each([
    [undefined],
    [null],
    [''],
    ['success'],
    [42],
    [[1, 2]],
    [{ status: 'success' }],
    [{ success: true, data: { id: 1 } }],
    [{ data: 'only' }],
  ])('takes %j for success', (value) => {
    expect(readReturned(value)).toEqual({ ok: true });
  });

  it.each([
    [{ status: 'error', message: 'no disk' }, 'no disk'],
    [{ success: false, error: 'no disk' }, 'no disk'],
    [{ status: 'success', success: false, message: 'both' }, 'both'],
    [{ status: 'error', message: { name: 'taken' } }, '{"name":"taken"}'],
    ['error: no disk', 'error: no disk'],
  ])('takes %j for an error with its text', (value, message) => {
    expect(readReturned(value)).toMatchObject({ ok: false, message, retry: false });
  });

  it('takes a status it does not know for an error that names it', () => {
    expect(readReturned({ status: 'sucess' })).toMatchObject({
      ok: false,
      message: expect.stringContaining('"sucess"'),
    });
  });
});

describe('decide', () => {
  it('ends a returned error without retry, whatever tries are left', () => {
    expect(decide(task, returned({ status: 'error', message: 'no' }), null, 0)).toMatchObject({
      next: 'finish',
      status: 'failed',
      outcome: 'failed',
      error: { code: 'MODULE_ERROR', message: 'no' },
    });
  });

  it('retries a returned error that says retry, within tries, without counting an exception', () => {
    const asks = returned({ status: 'error', retry: true });
    expect(decide(task, asks, null, 0)).toMatchObject({ next: 'retry', delayS: 7, exception: false });
    expect(decide({ ...task, attempts: 3 }, asks, null, 0)).toMatchObject({
      next: 'finish',
      status: 'failed',
    });
  });

  it('retries a throw after the backoff until tries are used up', () => {
    expect(decide(task, threw(), null, 0)).toMatchObject({ next: 'retry', delayS: 7, exception: true });
    expect(decide({ ...task, attempts: 3 }, threw(), null, 0)).toMatchObject({
      next: 'finish',
      outcome: 'error',
    });
  });

  it('ends at maxExceptions though tries are left', () => {
    expect(decide({ ...task, exceptions: 2 }, threw(), null, 0)).toMatchObject({
      next: 'finish',
      status: 'failed',
    });
  });

  it.each(['NO_METHOD', 'STEP_IN_DOUBT'] as const)('never retries %s', (code) => {
    expect(decide(task, threw(code), null, 0)).toMatchObject({
      next: 'finish',
      status: 'failed',
      error: { code },
    });
  });

  it('runs an interrupted task again, uncounted, but not for ever', () => {
    expect(decide({ ...task, attempts: 3 }, threw('INTERRUPTED'), null, 3)).toMatchObject({ next: 'again' });
    expect(decide(task, threw('INTERRUPTED'), null, 4)).toMatchObject({
      next: 'finish',
      status: 'failed',
      error: { code: 'INTERRUPTED' },
    });
  });

  it('reads a failure by the cause for which the run was told to stop', () => {
    expect(decide(task, threw(), 'TIMEOUT', 0)).toMatchObject({ outcome: 'timeout', next: 'retry' });
    expect(decide(task, threw(), 'CANCELLED', 0)).toMatchObject({ outcome: 'cancelled', next: 'finish' });
    expect(decide(task, threw(), 'INTERRUPTED', 0)).toMatchObject({ outcome: 'interrupted', next: 'again' });
  });

  it('keeps a step in doubt in doubt, whatever stopped the run', () => {
    expect(decide(task, threw('STEP_IN_DOUBT'), 'INTERRUPTED', 0)).toMatchObject({
      next: 'finish',
      error: { code: 'STEP_IN_DOUBT' },
    });
  });

  it('keeps a result that came despite being told to stop', () => {
    expect(decide(task, returned({ status: 'success' }), 'TIMEOUT', 0)).toMatchObject({
      next: 'finish',
      status: 'completed',
    });
  });
});
