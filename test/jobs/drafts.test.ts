import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import type { RunTask } from '../../src/jobs/bounded.ts';
import { cancelTask } from '../../src/jobs/control.ts';
import { JOB_LIMITS } from '../../src/jobs/limits.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts } from '../../src/jobs/read.ts';
import { promoteTasks } from '../../src/jobs/recovery.ts';
import type { Task, TaskStatus } from '../../src/jobs/task.ts';
import type { TestDatabase } from '../support/database.ts';
import {
  FAST,
  install,
  queueDatabase,
  success,
  taskWith,
  threw,
  until,
  untilAborted,
  work,
} from './fixture.ts';
import { workerChild } from './worker-process.ts';

/** The sweep would mend what a test is to find. */
const timing = { ...FAST, sweepMs: 600_000, successionMs: 60_000 };
const QUIET = Array.from({ length: JOB_LIMITS.draftsAfter }, () => 'quiet');

async function add(
  host: TestDatabase,
  installationId: string,
  methods: readonly string[],
): Promise<string[]> {
  const ids: string[] = [];
  for (const [n, method] of methods.entries())
    ids.push((await enqueueTask(host.db, { installationId, method, params: { n } })).id);
  return ids;
}

async function statusOf(host: TestDatabase, id: string): Promise<TaskStatus | undefined> {
  return (await getTask(host.db, id))?.status;
}

async function outcomesOf(host: TestDatabase, id: string) {
  return (await listAttempts(host.db, id)).map(({ outcome }) => outcome);
}

async function pause(host: TestDatabase, installationId: string, pausedAt: Date | null): Promise<void> {
  await host.db
    .updateTable('installations')
    .set({ paused_at: pausedAt, paused_reason: pausedAt === null ? null : 'because' })
    .where('id', '=', installationId)
    .execute();
}

async function openLanes(host: TestDatabase): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) from task_lanes where places > 0`.execute(
    host.db,
  );
  return rows[0]?.count ?? -1;
}

/** Tasks of the method `held` tell that they run, and go on as they are told to; all others return at once. */
function holding() {
  const reached = Promise.withResolvers<Task>();
  const told = Promise.withResolvers<(begin: () => Promise<void>) => Promise<void>>();
  let wasRun = 0;
  const runTask: RunTask = async (task, { signal, begin }) => {
    if (task.method !== 'held' || wasRun++ > 0) return success;
    reached.resolve(task);
    const act = await Promise.race([told.promise, untilAborted(signal)]);
    if (typeof act === 'function') await act(begin);
    return success;
  };
  return { reached: reached.promise, go: told.resolve, runTask, runs: () => wasRun };
}

describe('a run that does nothing outside', () => {
  it('is written down when it ends, as one that was, and the next begins meanwhile', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const seen: (TaskStatus | undefined)[] = [];
    const order: string[] = [];
    const ids = await add(
      host,
      installationId,
      Array.from({ length: 30 }, () => 'quiet'),
    );
    const runTask: RunTask = async ({ id }) => {
      order.push(id);
      seen.push(await statusOf(host, id));
      return success;
    };
    await using _worker = await work(host, { runTask, timing });
    await taskWith(host.db, ids.at(-1) ?? '', 'completed');
    expect(order).toEqual(ids);
    expect(seen.slice(0, JOB_LIMITS.draftsAfter)).toEqual(QUIET.map(() => 'processing'));
    expect(seen.slice(JOB_LIMITS.draftsAfter + 1)).toEqual(
      ids.slice(JOB_LIMITS.draftsAfter + 1).map(() => 'pending'),
    );
    for (const id of ids) {
      const task = await getTask(host.db, id);
      expect(task).toMatchObject({ status: 'completed', attempts: 1, cpuUs: 1_000, error: null });
      expect(task?.startedAt).toBeInstanceOf(Date);
      expect(await listAttempts(host.db, id)).toMatchObject([
        { number: 1, outcome: 'completed', cpuUs: 1_000 },
      ]);
    }
    await until('the lane to close', async () => (await openLanes(host)) === 0);
  });

  it('is written down as begun before it does something', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const held = holding();
    const [id = ''] = (await add(host, installationId, [...QUIET, 'quiet', 'held'])).slice(-1);
    await using _worker = await work(host, { runTask: held.runTask, timing });
    await held.reached;
    expect(await statusOf(host, id)).toBe('pending');
    const begun = Promise.withResolvers<(string | null | undefined)[]>();
    held.go(async (begin) => {
      await begin();
      begun.resolve([await statusOf(host, id), ...(await outcomesOf(host, id))]);
    });
    expect(await begun.promise).toEqual(['processing', null]);
    await taskWith(host.db, id, 'completed');
    expect(await outcomesOf(host, id)).toEqual(['completed']);
  });

  it('is written down as begun when it takes long, and then the other places are for those that wait', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 2);
    const held = holding();
    const ids = await add(host, installationId, [...QUIET, 'quiet', 'quiet', 'held', ...QUIET]);
    await using _worker = await work(host, { runTask: held.runTask, timing, concurrency: 2 });
    const { id } = await held.reached;
    await taskWith(host.db, id, 'processing');
    for (const other of ids.filter((one) => one !== id)) await taskWith(host.db, other, 'completed');
    held.go(async () => {});
    await taskWith(host.db, id, 'completed');
  });

  it('keeps its place for those who add tasks meanwhile, and they are duplicates of it', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const held = holding();
    const ids = await add(host, installationId, [...QUIET, 'quiet', 'held']);
    await using _worker = await work(host, { runTask: held.runTask, timing });
    await held.reached;
    const twin = { installationId, method: 'held', params: { n: ids.length - 1 } };
    expect(await enqueueTask(host.db, twin)).toMatchObject({ status: 'duplicate' });
    const [later = ''] = await add(host, installationId, ['later']);
    expect(await statusOf(host, later)).toBe('pending');
    held.go(async () => {});
    await taskWith(host.db, later, 'completed');
  });

  it('is as if it had not been once its task is cancelled', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const held = holding();
    const ids = await add(host, installationId, [...QUIET, 'quiet', 'held', 'quiet']);
    await using _worker = await work(host, { runTask: held.runTask, timing });
    const { id } = await held.reached;
    expect(await cancelTask(host.db, id)).toEqual({ cancelled: true });
    held.go(async (begin) => begin());
    await taskWith(host.db, ids.at(-1) ?? '', 'completed');
    await until('its end', async () => (await getTask(host.db, id))?.finishedAt !== null);
    expect(await statusOf(host, id)).toBe('cancelled');
    expect(await outcomesOf(host, id)).toEqual([]);
  });

  it('is as if it had not been when its installation is paused', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const held = holding();
    const [id = ''] = (await add(host, installationId, [...QUIET, 'quiet', 'held'])).slice(-1);
    await using _worker = await work(host, { runTask: held.runTask, timing });
    await held.reached;
    await pause(host, installationId, new Date());
    held.go(async () => {});
    await until('the lane to close', async () => (await openLanes(host)) === 0);
    expect(await statusOf(host, id)).toBe('pending');
    expect(await outcomesOf(host, id)).toEqual([]);
    await pause(host, installationId, null);
    await promoteTasks(host.db, installationId);
    await taskWith(host.db, id, 'completed');
    expect(held.runs()).toBe(2);
    expect(await getTask(host.db, id)).toMatchObject({ attempts: 1 });
  });

  it('that throws is tried again, and both tries are written down', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    let thrown = 0;
    await add(host, installationId, [...QUIET, 'quiet']);
    const { id } = await enqueueTask(host.db, { installationId, method: 'bad', tries: 2, backoffS: 0 });
    const runTask: RunTask = async ({ method }) => (method === 'bad' && thrown++ === 0 ? threw() : success);
    await using _worker = await work(host, { runTask, timing });
    await taskWith(host.db, id, 'completed');
    expect(await outcomesOf(host, id)).toEqual(['error', 'completed']);
    expect(await getTask(host.db, id)).toMatchObject({ attempts: 2, exceptions: 1 });
  });
});

describe('runs that do nothing outside', () => {
  it('are at most as many at once as the installation has places, over two workers', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 3);
    const ids = await add(
      host,
      installationId,
      Array.from({ length: 150 }, () => 'quiet'),
    );
    let now = 0;
    let most = 0;
    const runs = new Map<string, number>();
    const runTask: RunTask = async ({ id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      most = Math.max(most, ++now);
      await sleep(2);
      now -= 1;
      return success;
    };
    await using _one = await work(host, { runTask, timing: { ...timing, successionMs: 40 }, concurrency: 3 });
    await using _two = await work(host, { runTask, timing: { ...timing, successionMs: 40 }, concurrency: 3 });
    for (const id of ids) await taskWith(host.db, id, 'completed');
    expect(most).toBeLessThanOrEqual(3);
    for (const id of ids) expect(await outcomesOf(host, id)).toEqual(['completed']);
  });

  it('are run elsewhere when their worker is killed with -9, and it counts as nothing', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 2);
    const ids = await add(
      host,
      installationId,
      Array.from({ length: 40 }, (_, n) => (n < 20 ? 'plain' : 'stop')),
    );
    await using child = await workerChild(host, 2);
    // It stops the whole process at once, so that nothing more of it can be written.
    await until('the first to stop its process', async () => child.ran().length > 20);
    const stopped = child.ran().at(-1) ?? '';
    expect(await statusOf(host, stopped)).toBe('pending');
    await child.kill();
    const ran: string[] = [];
    const runTask: RunTask = async ({ id }) => {
      ran.push(id);
      return success;
    };
    await using _other = await work(host, { runTask, timing });
    for (const id of ids) await taskWith(host.db, id, 'completed');
    expect(ran).toContain(stopped);
    expect(await outcomesOf(host, stopped)).toEqual(['completed']);
  });
});
