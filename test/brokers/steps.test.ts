import { describe, expect, it } from 'vitest';

import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { HttpAnswer } from '../../src/brokers/http/journal.ts';
import { createStepJournal, createStepsBroker } from '../../src/brokers/steps.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { install, useQueueDatabase } from '../jobs/fixture.ts';
import { scopeOf } from './tasks-fixture.ts';

const host = useQueueDatabase();
const steps = () => createStepsBroker({ db: host().db });
const journal = () => createStepJournal({ db: host().db });
const answer: HttpAnswer = {
  status: 201,
  statusText: 'Created',
  redirected: false,
  url: 'https://api.example.com/orders',
  headers: [['content-type', 'application/json']],
  // A NUL and half of a surrogate pair: jsonb cannot hold them.
  body: { text: '{"id":7}\0\ud800' },
};

/** A new task and one run of it; `again()` is the next run. */
async function aRun() {
  const installed = await install(host().db);
  const { id } = await enqueueTask(host().db, { ...installed, method: 'orderJob' });
  const again = () => scopeOf(installed, { purpose: 'job', taskId: id }).scope;
  return { taskId: id, scope: again(), again, installed };
}

describe('a step', () => {
  it('is run, and once finished gives its value to every later run', async () => {
    const { scope, again } = await aRun();
    const begun = await steps().begin(scope, { name: 'order' }, {});
    expect(begun).toEqual({ status: 'run', idempotencyKey: expect.any(String) });
    await steps().finish(scope, { name: 'order', value: { id: 7, list: [1, null] } }, {});
    expect(await steps().begin(again(), { name: 'order' }, {})).toEqual({
      status: 'done',
      value: { id: 7, list: [1, null] },
    });
  });

  it('that failed is asked again where it was answered with an error, and not where it was not', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    for (const [number, status] of [201, 500, 201].entries()) {
      await journal().before(scope, { name: 'order', number }, `POST ${number}`);
      await journal().answered(scope, { name: 'order', number }, { ...answer, status });
    }
    await steps().fail(scope, { name: 'order' }, {});
    expect(await steps().begin(again(), { name: 'order' }, {})).toMatchObject({ status: 'run' });
    expect(await journal().before(again(), { name: 'order', number: 0 }, 'POST 0')).toHaveProperty('replay');
    expect(await journal().before(again(), { name: 'order', number: 1 }, 'POST 1')).toHaveProperty('send');
    expect(await journal().before(again(), { name: 'order', number: 2 }, 'POST 2')).toHaveProperty('send');
  });

  it('without a value gives null', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await steps().finish(scope, { name: 'order' }, {});
    expect(await steps().begin(again(), { name: 'order' }, {})).toEqual({ status: 'done', value: null });
  });

  it('finishes with a value that PostgreSQL cannot store as it is', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await steps().finish(scope, { name: 'order', value: ['a\0b', '\ud800'] }, {});
    expect(await steps().begin(again(), { name: 'order' }, {})).toMatchObject({
      value: ['a\uFFFDb', '\uFFFD'],
    });
  });

  it('keeps its idempotency key from run to run', async () => {
    const { scope, again } = await aRun();
    const first = await steps().begin(scope, { name: 'order' }, {});
    expect(await steps().begin(again(), { name: 'order' }, {})).toEqual(first);
    const other = await steps().begin(scope, { name: 'other' }, {});
    expect(other).not.toEqual(first);
  });

  it('cannot be finished twice, nor without having begun', async () => {
    const { scope } = await aRun();
    const finish = async () => steps().finish(scope, { name: 'order', value: 1 }, {});
    await expect(finish()).rejects.toMatchObject({ code: 'CONFLICT' });
    await steps().begin(scope, { name: 'order' }, {});
    await finish();
    await expect(finish()).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(steps().restart(scope, { name: 'order' }, {})).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('is one of a limited number', async () => {
    const { scope } = await aRun();
    for (let n = 0; n < LIMITS.stepsPerTask; n++) await steps().begin(scope, { name: `s${n}` }, {});
    await expect(steps().begin(scope, { name: 'one more' }, {})).rejects.toMatchObject({ code: 'LIMIT' });
    await expect(steps().begin(scope, { name: 's0' }, {})).resolves.toMatchObject({ status: 'run' });
  });

  it('is refused outside a job, whatever task the scope names', async () => {
    const { taskId, installed } = await aRun();
    for (const scope of [
      scopeOf(installed).scope,
      scopeOf(installed, { taskId }).scope,
      scopeOf(installed, { purpose: 'lifecycle', taskId }).scope,
    ]) {
      await expect(steps().begin(scope, { name: 'order' }, {})).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(journal().before(scope, { name: 'order', number: 0 }, 'f')).rejects.toMatchObject({
        code: 'CONFLICT',
      });
    }
  });

  it('of another task is out of reach under the same name', async () => {
    const [one, two] = [await aRun(), await aRun()];
    await steps().begin(one.scope, { name: 'order' }, {});
    await steps().finish(one.scope, { name: 'order', value: 'secret' }, {});
    expect(await steps().begin(two.scope, { name: 'order' }, {})).toMatchObject({ status: 'run' });
  });
});

describe('the journal of a step', () => {
  const request = { name: 'order', number: 0 };
  const fingerprint = 'POST https://api.example.com/orders 3f2a';

  it('lets a request go once it is noted, with a key of its own that a service can tell it by', async () => {
    const { scope, taskId } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    const first = await journal().before(scope, request, fingerprint);
    const second = await journal().before(scope, { ...request, number: 1 }, fingerprint);
    expect(first).toEqual({ send: { idempotencyKey: expect.any(String) } });
    expect(second).not.toEqual(first);
    const noted = await host()
      .db.selectFrom('step_requests')
      .select(['number', 'fingerprint', 'answered_at'])
      .where('task_id', '=', taskId)
      .orderBy('number')
      .execute();
    expect(noted).toEqual([
      { number: 0, fingerprint, answered_at: null },
      { number: 1, fingerprint, answered_at: null },
    ]);
  });

  it('gives a recorded answer again instead of sending', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await journal().answered(scope, request, answer);
    const retry = again();
    expect(await steps().begin(retry, { name: 'order' }, {})).toMatchObject({ status: 'run' });
    expect(await journal().before(retry, request, fingerprint)).toEqual({ replay: answer });
  });

  it('says that a step asked for something else this time', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await journal().answered(scope, request, answer);
    await expect(journal().before(again(), request, `${fingerprint}x`)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('POST https://api.example.com/orders'),
    });
  });

  it('holds a request without an answer in doubt, until restart forgets it', async () => {
    const { scope, again } = await aRun();
    const begun = await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await journal().answered(scope, request, answer);
    const lost = { ...request, number: 1 };
    const { send } = (await journal().before(scope, lost, fingerprint)) as { send: unknown };

    const retry = again();
    expect(await steps().begin(retry, { name: 'order' }, {})).toMatchObject({ status: 'in_doubt' });
    await expect(journal().before(retry, lost, fingerprint)).rejects.toMatchObject({
      code: 'STEP_IN_DOUBT',
      data: { step: 'order' },
    });
    expect(await steps().restart(retry, { name: 'order' }, {})).toEqual({
      idempotencyKey: (begun as { idempotencyKey: string }).idempotencyKey,
    });
    expect(await steps().begin(retry, { name: 'order' }, {})).toMatchObject({ status: 'run' });
    // What was answered stays answered; what was in doubt goes out again under the same key.
    expect(await journal().before(retry, request, fingerprint)).toEqual({ replay: answer });
    expect(await journal().before(retry, lost, fingerprint)).toEqual({ send });
  });

  it('forgets a request that never left', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await journal().unsent(scope, request);
    expect(await steps().begin(again(), { name: 'order' }, {})).toMatchObject({ status: 'run' });
    expect(await journal().before(again(), request, fingerprint)).toHaveProperty('send');
  });

  it('never forgets an answer', async () => {
    const { scope } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await journal().answered(scope, request, answer);
    await journal().unsent(scope, request);
    await steps().restart(scope, { name: 'order' }, {});
    expect(await journal().before(scope, request, fingerprint)).toEqual({ replay: answer });
  });

  it('sends one of two equal requests that come at once', async () => {
    const { scope } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    const both = await Promise.allSettled([
      journal().before(scope, request, fingerprint),
      journal().before(scope, request, fingerprint),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('takes no request of a step that is not running', async () => {
    const { scope } = await aRun();
    await expect(journal().before(scope, request, fingerprint)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('hands no answer to a run whose request was forgotten meanwhile', async () => {
    const { scope, again } = await aRun();
    await steps().begin(scope, { name: 'order' }, {});
    await journal().before(scope, request, fingerprint);
    await steps().restart(again(), { name: 'order' }, {});
    await expect(journal().answered(scope, request, answer)).rejects.toMatchObject({ code: 'STEP_IN_DOUBT' });
  });
});
