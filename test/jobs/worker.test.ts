import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import { cancelTask, markStepDone, resumeTask, retryTask } from '../../src/jobs/control.ts';
import type { OnFinished } from '../../src/jobs/execute.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts, listTasks } from '../../src/jobs/read.ts';
import { promoteTasks } from '../../src/jobs/recovery.ts';
import type { TestDatabase } from '../support/database.ts';
import {
  FAST,
  install,
  queueDatabase,
  returned,
  success,
  taskWith,
  threw,
  until,
  untilAborted,
  work,
} from './fixture.ts';

async function outcomesOf(host: TestDatabase, id: string) {
  return (await listAttempts(host.db, id)).map(({ outcome }) => outcome);
}

async function jobsLeft(host: TestDatabase): Promise<number> {
  const left = await sql<{ n: number }>`select count(*) as n from graphile_worker.jobs`.execute(host.db);
  return left.rows[0]?.n ?? -1;
}

describe('a task', () => {
  it('is completed with what its method returned, its run and its processor time', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'syncJob', params: { n: 3 } });
    await using _worker = await work(host, {
      runTask: async (task, { attempt }) =>
        returned({ status: 'success', data: { doubled: Number(task.params['n']) * 2, attempt } }),
    });
    const task = await taskWith(host.db, id, 'completed');
    expect(task).toMatchObject({
      result: { status: 'success', data: { doubled: 6, attempt: 1 } },
      error: null,
      attempts: 1,
      cpuUs: 1_000,
      finishedAt: expect.any(Date),
    });
    expect(await listAttempts(host.db, id)).toMatchObject([
      { number: 1, outcome: 'completed', cpuUs: 1_000, endedAt: expect.any(Date) },
    ]);
    await until('the job to be gone', async () => (await jobsLeft(host)) === 0);
  });

  it('fails at once when its method returns an error', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const task = { installationId, method: 'x', tries: 5, backoffS: 0, maxExceptions: 5 };
    const { id } = await enqueueTask(host.db, task);
    await using _worker = await work(host, {
      runTask: async () => returned({ status: 'error', message: 'no' }),
    });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({
      error: { code: 'MODULE_ERROR', message: 'no' },
    });
    expect(await outcomesOf(host, id)).toEqual(['failed']);
  });

  it('that throws is tried again up to its tries', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const task = { installationId, method: 'x', tries: 3, backoffS: 0, maxExceptions: 9 };
    const { id } = await enqueueTask(host.db, task);
    const seen: number[] = [];
    await using _worker = await work(host, {
      runTask: async (_task, { attempt }) => {
        seen.push(attempt);
        return threw();
      },
    });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({
      attempts: 3,
      exceptions: 2,
      error: { code: 'MODULE_ERROR' },
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(await outcomesOf(host, id)).toEqual(['error', 'error', 'error']);
  });

  it('that throws ends at maxExceptions', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const task = { installationId, method: 'x', tries: 9, backoffS: 0, maxExceptions: 2 };
    const { id } = await enqueueTask(host.db, task);
    await using _worker = await work(host, { runTask: async () => threw('CRASHED') });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({ attempts: 2, error: { code: 'CRASHED' } });
    expect(await outcomesOf(host, id)).toEqual(['error', 'error']);
  });

  it('waits its own backoff before the next try', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', tries: 2, backoffS: 3_000 });
    await using _worker = await work(host, { runTask: async () => threw() });
    const task = await until('the retry', async () => {
      const found = await getTask(host.db, id);
      return found?.status === 'queued' && found.attempts === 1 && found;
    });
    const waitsS = (task.runAt.getTime() - (task.startedAt?.getTime() ?? 0)) / 1_000;
    expect(waitsS).toBeGreaterThan(2_990);
    expect(waitsS).toBeLessThan(3_030);
    const job = await sql<{
      run_at: Date;
    }>`select run_at from graphile_worker.jobs where key = ${id}`.execute(host.db);
    expect(job.rows[0]?.run_at.getTime()).toBe(task.runAt.getTime());
  });

  it('that runs longer than its timeout is told to stop, and that is an exception', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', timeoutS: 1 });
    await using _worker = await work(host, { runTask: async (_task, { signal }) => untilAborted(signal) });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(await outcomesOf(host, id)).toEqual(['timeout']);
  });

  it('whose run ignores that it was told to stop is given up', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', timeoutS: 1 });
    const never = Promise.withResolvers<typeof success>();
    await using _worker = await work(host, { runTask: async () => never.promise });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({ error: { code: 'TIMEOUT' } });
    never.resolve(success);
  });

  it('whose runner was interrupted runs again and nothing is counted', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', maxExceptions: 1 });
    let runs = 0;
    await using _worker = await work(host, {
      runTask: async () => (++runs < 3 ? threw('INTERRUPTED') : success),
    });
    expect(await taskWith(host.db, id, 'completed')).toMatchObject({ attempts: 1, exceptions: 0 });
    expect(await outcomesOf(host, id)).toEqual(['interrupted', 'interrupted', 'completed']);
  });

  it('that is interrupted again and again fails in the end', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, { runTask: async () => threw('INTERRUPTED') });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({ error: { code: 'INTERRUPTED' } });
    expect(await outcomesOf(host, id)).toHaveLength(5);
  });

  it('whose runner failed on our side says so without the cause', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, {
      runTask: async () => {
        throw new Error('secret path /srv/x');
      },
    });
    const { error } = await taskWith(host.db, id, 'failed');
    expect(error?.code).toBe('INTERNAL');
    expect(error?.message).not.toContain('/srv/x');
  });
});

describe('what a module returns', () => {
  const deep = Array.from({ length: 20_000 }).reduce<unknown>((inner) => [inner], 1);
  it.each<[string, unknown, 'completed' | 'failed', unknown]>([
    ['a NUL', { success: true, data: 'a\0b' }, 'completed', { success: true, data: 'a\uFFFDb' }],
    [
      'half a surrogate pair',
      { success: true, data: '\ud800' },
      'completed',
      { success: true, data: '\uFFFD' },
    ],
    ['endless nesting', { success: true, data: deep }, 'failed', null],
  ])('ends the task even with %s in it', async (_what, value, status, result) => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, { runTask: async () => returned(value) });
    expect(await taskWith(host.db, id, status)).toMatchObject({ result });
    expect(await outcomesOf(host, id)).toHaveLength(1);
  });
});

describe('a cancel', () => {
  it('of a waiting task: it never runs, and the hook hears of it', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const runAt = new Date(Date.now() + 1_500);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', runAt });
    const ends: string[] = [];
    let ran = 0;
    await using _worker = await work(host, {
      runTask: async () => {
        ran += 1;
        return success;
      },
      onFinished: async (task, finished) => {
        ends.push(`${task.id} ${finished.status}`);
        return undefined;
      },
    });
    expect(await cancelTask(host.db, id)).toEqual({ cancelled: true });
    await until('the hook', async () => ends.length > 0);
    expect(ends).toEqual([`${id} cancelled`]);
    expect(await cancelTask(host.db, id)).toEqual({ cancelled: false });
    expect(ran).toBe(0);
    await until('the job to be gone', async () => (await jobsLeft(host)) === 0);
  });

  it('of a running task tells it to stop, from another process', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', tries: 5, backoffS: 0 });
    // No housekeeping round comes by that would find it.
    await using _worker = await work(host, {
      timing: { beatMs: 60_000 },
      runTask: async (_task, { signal }) => untilAborted(signal),
    });
    await taskWith(host.db, id, 'processing');
    expect(await cancelTask(host.db, id)).toEqual({ cancelled: true });
    const task = await until('the end', async () => {
      const found = await getTask(host.db, id);
      return found?.finishedAt !== null && found;
    });
    expect(task).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    expect(await outcomesOf(host, id)).toEqual(['cancelled']);
  });

  it('of a running task reaches it even if the announcement is lost', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, { runTask: async (_task, { signal }) => untilAborted(signal) });
    await taskWith(host.db, id, 'processing');
    await host.db.updateTable('tasks').set({ status: 'cancelled' }).where('id', '=', id).execute();
    await until('the end', async () => (await getTask(host.db, id))?.finishedAt !== null);
    expect(await outcomesOf(host, id)).toEqual(['cancelled']);
  });

  it('wins over what the run still returns', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, {
      runTask: async (_task, { signal }) => {
        await untilAborted(signal);
        return success;
      },
    });
    await taskWith(host.db, id, 'processing');
    await cancelTask(host.db, id);
    const task = await until('the end', async () => {
      const found = await getTask(host.db, id);
      return found?.finishedAt !== null && found;
    });
    expect(task).toMatchObject({ status: 'cancelled', result: null });
  });
});

describe('retryTask', () => {
  it('queues a failed task again with its tries anew, its runs kept as history', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    let works = false;
    await using _worker = await work(host, { runTask: async () => (works ? success : threw()) });
    await taskWith(host.db, id, 'failed');
    works = true;
    await retryTask(host.db, id);
    expect(await taskWith(host.db, id, 'completed')).toMatchObject({ attempts: 1, error: null });
    expect(await listAttempts(host.db, id)).toMatchObject([
      { number: 1, outcome: 'error' },
      { number: 2, outcome: 'completed' },
    ]);
    await expect(retryTask(host.db, id)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('refuses while the same task waits', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await using _worker = await work(host, { runTask: async () => threw() });
    await taskWith(host.db, id, 'failed');
    await enqueueTask(host.db, { installationId, method: 'x', runAt: new Date(Date.now() + 60_000) });
    await expect(retryTask(host.db, id)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a task with a step in doubt', () => {
  async function failedInDoubt(host: TestDatabase): Promise<string> {
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x', tries: 5, backoffS: 0 });
    await host.db
      .insertInto('steps')
      .values({ task_id: id, name: 'order', idempotency_key: 'k', status: 'in_doubt' })
      .execute();
    await host.db
      .insertInto('step_requests')
      .values({ task_id: id, step: 'order', number: 0, fingerprint: 'f' })
      .execute();
    return id;
  }
  /** As the guest does: runs on only when nothing is in doubt. */
  async function runWith(host: TestDatabase, id: string) {
    const step = await host.db
      .selectFrom('steps')
      .select('status')
      .where('task_id', '=', id)
      .executeTakeFirstOrThrow();
    return step.status === 'in_doubt' ? threw('STEP_IN_DOUBT') : returned({ success: true, data: step });
  }

  it('fails without retry and runs on when a person resumes it', async () => {
    const host = await queueDatabase();
    const id = await failedInDoubt(host);
    await using _worker = await work(host, { runTask: async (task) => runWith(host, task.id) });
    expect(await taskWith(host.db, id, 'failed')).toMatchObject({ error: { code: 'STEP_IN_DOUBT' } });
    expect(await outcomesOf(host, id)).toEqual(['error']);
    await resumeTask(host.db, id);
    await taskWith(host.db, id, 'completed');
    expect(await host.db.selectFrom('step_requests').selectAll().execute()).toEqual([]);
  });

  it('runs on after a step that a person marked as done, with the value given', async () => {
    const host = await queueDatabase();
    const id = await failedInDoubt(host);
    await using _worker = await work(host, { runTask: async (task) => runWith(host, task.id) });
    await taskWith(host.db, id, 'failed');
    await expect(markStepDone(host.db, id, 'other', 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await getTask(host.db, id))?.status).toBe('failed');
    await markStepDone(host.db, id, 'order', { orderId: 9 });
    await taskWith(host.db, id, 'completed');
    const step = await host.db.selectFrom('steps').selectAll().executeTakeFirstOrThrow();
    expect(step).toMatchObject({ status: 'done', value: { orderId: 9 } });
  });
});

describe('the finishing hook', () => {
  it('runs before the end is seen, and its effects come with the end', async () => {
    const host = await queueDatabase();
    const { installationId, tenantId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    const seen: unknown[] = [];
    const onFinished: OnFinished = async (task, finished) => {
      seen.push([(await getTask(host.db, task.id))?.status, finished]);
      return async (trx) => {
        await trx.updateTable('tenants').set({ name: 'billed' }).where('id', '=', tenantId).execute();
      };
    };
    await using _worker = await work(host, { runTask: async () => returned({ success: true }), onFinished });
    await taskWith(host.db, id, 'completed');
    expect(seen).toEqual([['processing', { status: 'completed', value: { success: true }, error: null }]]);
    const tenant = await host.db.selectFrom('tenants').select('name').executeTakeFirstOrThrow();
    expect(tenant.name).toBe('billed');
  });

  it('that throws is called again, the method is not', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    let [runs, calls] = [0, 0];
    await using _worker = await work(host, {
      runTask: async () => {
        runs += 1;
        return success;
      },
      onFinished: async () => {
        calls += 1;
        if (calls < 3) throw new Error('not yet');
        return undefined;
      },
    });
    await taskWith(host.db, id, 'completed');
    expect([runs, calls]).toEqual([1, 3]);
  });

  it('that keeps throwing does not keep the task from ending', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    let calls = 0;
    await using _worker = await work(host, {
      timing: { beatMs: 100, beatsMissed: 3, sweepMs: 300, pollMs: 50, hookRetryS: 0.001 },
      runTask: async () => success,
      onFinished: async () => {
        calls += 1;
        throw new Error('never');
      },
    });
    await taskWith(host.db, id, 'completed');
    expect(calls).toBe(5);
  });
});

describe('an installation’s places', () => {
  it('bound how many of its tasks run at once, and all of them run, first come first', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 2);
    const order: number[] = [];
    let [running, most] = [0, 0];
    for (let n = 0; n < 12; n++) await enqueueTask(host.db, { installationId, method: 'x', params: { n } });
    await using _worker = await work(host, {
      concurrency: 6,
      // No sweep comes by that would hand on what an end did not.
      timing: { ...FAST, sweepMs: 60_000 },
      runTask: async (task) => {
        running += 1;
        most = Math.max(most, running);
        order.push(Number(task.params['n']));
        await new Promise((resolve) => setTimeout(resolve, 15));
        running -= 1;
        return success;
      },
    });
    await until('all to end', async () => {
      const { tasks } = await listTasks(host.db, { installationId, status: 'completed' });
      return tasks.length === 12;
    });
    expect(most).toBe(2);
    // Two run side by side, so neighbours may change places; nobody falls back further.
    for (const [at, n] of order.entries()) expect(Math.abs(at - n)).toBeLessThanOrEqual(2);
  });

  it('bound tasks that were queued for later and come due together', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const runAt = new Date(Date.now() + 300);
    let [running, most] = [0, 0];
    for (let n = 0; n < 5; n++)
      await enqueueTask(host.db, { installationId, method: 'x', params: { n }, runAt });
    await using _worker = await work(host, {
      concurrency: 5,
      runTask: async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 20));
        running -= 1;
        return success;
      },
    });
    await until('all to end', async () => {
      const { tasks } = await listTasks(host.db, { installationId, status: 'completed' });
      return tasks.length === 5;
    });
    expect(most).toBe(1);
  });

  it('are none while it is paused; its tasks wait and run when it is resumed', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const pause = async (at: Date | null) =>
      host.db.updateTable('installations').set({ paused_at: at }).where('id', '=', installationId).execute();
    const { id: before } = await enqueueTask(host.db, { installationId, method: 'before' });
    await pause(new Date());
    const { id: after } = await enqueueTask(host.db, { installationId, method: 'after' });
    await using _worker = await work(host, { runTask: async () => success });
    await taskWith(host.db, before, 'pending');
    await taskWith(host.db, after, 'pending');
    await pause(null);
    expect(await promoteTasks(host.db, installationId)).toBeLessThanOrEqual(2);
    await taskWith(host.db, before, 'completed');
    await taskWith(host.db, after, 'completed');
  });
});

describe('fairness between tenants', () => {
  it('runs a tenant’s first job before another’s 5,000 are done, though they came first', async () => {
    const host = await queueDatabase();
    const [a, b] = [await install(host.db, 50), await install(host.db, 2)];
    for (let n = 0; n < 60; n++) {
      await enqueueTask(host.db, { installationId: a.installationId, method: 'x', params: { n } });
    }
    // The rest by the thousand, as copies of the last, which waits like all beyond the places.
    await sql`
      insert into tasks (tenant_id, installation_id, method, params, status, dedupe_key)
      select tenant_id, installation_id, method, jsonb_build_object('n', n), status, 'copy ' || n
      from (select * from tasks order by created_at desc limit 1) as last, generate_series(61, 5000) as n`.execute(
      host.db,
    );
    const { id: first } = await enqueueTask(host.db, { installationId: b.installationId, method: 'y' });
    let before = 0;
    const isFirst = Promise.withResolvers<void>();
    await using _worker = await work(host, {
      concurrency: 4,
      runTask: async (task) => {
        if (task.id === first) isFirst.resolve();
        else before += 1;
        return success;
      },
    });
    await isFirst.promise;
    expect(before).toBeLessThan(10);
    const waiting = await sql<{ n: number }>`
      select count(*) as n from tasks where status in ('queued', 'pending')`.execute(host.db);
    expect(waiting.rows[0]?.n).toBeGreaterThan(4_800);
  });
});

describe('a tenant with many tasks', () => {
  it('gets its share while others keep adding one at a time', async () => {
    const host = await queueDatabase();
    const heavy = await install(host.db, 3);
    for (let n = 0; n < 10; n++) {
      await enqueueTask(host.db, { installationId: heavy.installationId, method: 'heavy', params: { n } });
    }
    const light = [await install(host.db), await install(host.db)];
    for (const { installationId } of light) await enqueueTask(host.db, { installationId, method: 'light' });
    let [heavyRuns, lightRuns] = [0, 0];
    await using _worker = await work(host, {
      concurrency: 1,
      runTask: async ({ id, method, installationId }) => {
        if (method === 'heavy') heavyRuns += 1;
        else {
          lightRuns += 1;
          // Its next is in the queue before this one has ended: there is always one that comes first.
          if (lightRuns < 80) await enqueueTask(host.db, { installationId, method, parentId: id });
        }
        return success;
      },
    });
    await until('the heavy to be done', async () => heavyRuns === 10);
    expect(lightRuns).toBeLessThan(40);
  });
});

describe('stopping a worker', () => {
  it('interrupts what runs, queues it again uncounted, and another worker runs it', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    {
      await using _first = await work(host, { runTask: async (_task, { signal }) => untilAborted(signal) });
      await taskWith(host.db, id, 'processing');
    }
    expect(await getTask(host.db, id)).toMatchObject({ status: 'queued', attempts: 0 });
    expect(await host.db.selectFrom('workers').selectAll().execute()).toEqual([]);
    await using _second = await work(host, { runTask: async () => success });
    await taskWith(host.db, id, 'completed');
    expect(await outcomesOf(host, id)).toEqual(['interrupted', 'completed']);
  });

  it('lets a task that is about to end do so', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    const end = Promise.withResolvers<typeof success>();
    {
      await using worker = await work(host, {
        timing: { stopGraceMs: 10_000 },
        runTask: async () => end.promise,
      });
      await taskWith(host.db, id, 'processing');
      const stopped = worker.stop();
      end.resolve(success);
      await stopped;
    }
    expect((await getTask(host.db, id))?.status).toBe('completed');
  });

  it('loses nothing of what it had fetched ahead', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 50);
    for (let n = 0; n < 20; n++) await enqueueTask(host.db, { installationId, method: 'x', params: { n } });
    const ran: unknown[] = [];
    const runTask = async (task: { params: Readonly<Record<string, unknown>> }) => {
      ran.push(task.params['n']);
      return success;
    };
    {
      await using _first = await work(host, { concurrency: 3, runTask });
      await until('a start', async () => ran.length > 2);
    }
    await using _second = await work(host, { concurrency: 3, runTask });
    await until('all to end', async () => {
      const { tasks } = await listTasks(host.db, { installationId, status: 'completed' });
      return tasks.length === 20;
    });
    expect(ran.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });
});
