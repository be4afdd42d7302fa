import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import { canonicalJson, dedupeKey } from '../../src/jobs/canonical.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import type { NewTask } from '../../src/jobs/queue.ts';
import { getTask, listTasks } from '../../src/jobs/read.ts';
import { install, queueDatabase, taskWith, success, useQueueDatabase, work } from './fixture.ts';

const host = useQueueDatabase();

async function jobsOf(ids: readonly string[]): Promise<{ key: string; priority: number }[]> {
  const jobs = await sql<{ key: string; priority: number }>`
    select key, priority from graphile_worker.jobs where key = any(${ids}::text[]) order by priority, run_at`.execute(
    host().db,
  );
  return jobs.rows;
}

describe('canonicalJson', () => {
  it('is equal whatever the order of keys, at any depth', () => {
    expect(canonicalJson({ a: 1, b: { c: [1, { d: 2, e: 3 }], f: null } })).toBe(
      canonicalJson({ b: { f: null, c: [1, { e: 3, d: 2 }] }, a: 1 }),
    );
  });

  it('tells an object from an array of its pairs', () => {
    expect(canonicalJson({ a: 1 })).not.toBe(canonicalJson([['a', 1]]));
    expect(canonicalJson({ a: 1 })).not.toBe(canonicalJson({ pairs: [['a', 1]] }));
  });

  it('takes tags for a set', () => {
    const task = { method: 'm', params: {} };
    expect(dedupeKey({ ...task, tags: ['a', 'b', 'a'] })).toBe(dedupeKey({ ...task, tags: ['b', 'a'] }));
    expect(dedupeKey({ ...task, tags: ['a'] })).not.toBe(dedupeKey({ ...task, tags: [] }));
  });
});

describe('enqueueTask', () => {
  it('writes the task and its job together, with the contract’s defaults', async () => {
    const { installationId, tenantId } = await install(host().db);
    const { id, status } = await enqueueTask(host().db, {
      installationId,
      method: 'syncJob',
      params: { n: 1 },
    });
    expect(status).toBe('queued');
    expect(await getTask(host().db, id)).toMatchObject({
      tenantId,
      method: 'syncJob',
      params: { n: 1 },
      status: 'queued',
      tries: 1,
      backoffS: 10,
      timeoutS: 600,
      maxExceptions: 2,
    });
    expect(await jobsOf([id])).toHaveLength(1);
  });

  it('leaves neither when the caller’s transaction is rolled back', async () => {
    const { installationId } = await install(host().db);
    let id = '';
    const failing = host()
      .db.transaction()
      .execute(async (trx) => {
        ({ id } = await enqueueTask(trx, { installationId, method: 'syncJob' }));
        throw new Error('undo');
      });
    await expect(failing).rejects.toThrow('undo');
    expect(await getTask(host().db, id)).toBeUndefined();
    expect(await jobsOf([id])).toEqual([]);
  });

  it('refuses an installation that is not there', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000';
    await expect(enqueueTask(host().db, { installationId: nobody, method: 'x' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('refuses more than maxWaiting', async () => {
    const { installationId } = await install(host().db);
    const add = async (n: number) =>
      enqueueTask(host().db, { installationId, method: 'x', params: { n }, maxWaiting: 3 });
    for (const n of [1, 2, 3]) await add(n);
    await expect(add(4)).rejects.toMatchObject({ code: 'LIMIT' });
  });

  it('gives a tenant’s tasks the index of its own backlog as priority', async () => {
    const [a, b] = [await install(host().db, 50), await install(host().db, 50)];
    const add = async ({ installationId }: { installationId: string }, n: number) =>
      (await enqueueTask(host().db, { installationId, method: 'x', params: { n } })).id;
    const ids = [await add(a, 1), await add(a, 2), await add(a, 3), await add(b, 1)];
    const jobs = new Map((await jobsOf(ids)).map(({ key, priority }) => [key, priority]));
    expect(ids.map((id) => jobs.get(id))).toEqual([0, 1, 2, 0]);
  });

  it('keeps what is beyond the installation’s places out of the queue, as pending', async () => {
    const { installationId } = await install(host().db, 2);
    const ids: string[] = [];
    for (const n of [1, 2, 3, 4]) {
      ids.push((await enqueueTask(host().db, { installationId, method: 'x', params: { n } })).id);
    }
    const { tasks } = await listTasks(host().db, { installationId });
    expect(tasks.map(({ status }) => status).toReversed()).toEqual([
      'queued',
      'queued',
      'pending',
      'pending',
    ]);
    expect((await jobsOf(ids)).map(({ key }) => key)).toEqual(ids.slice(0, 2));
  });
});

describe('a duplicate', () => {
  it('is a task with the method, params and tags of one that waits', async () => {
    const { installationId } = await install(host().db);
    const first = await enqueueTask(host().db, {
      installationId,
      method: 'x',
      params: { a: 1, b: 2 },
      tags: ['t', 'u'],
    });
    const second = await enqueueTask(host().db, {
      installationId,
      method: 'x',
      params: { b: 2, a: 1 },
      tags: ['u', 't'],
    });
    expect(second.status).toBe('duplicate');
    expect(second.id).not.toBe(first.id);
    expect(await getTask(host().db, second.id)).toMatchObject({
      status: 'duplicate',
      finishedAt: expect.any(Date),
    });
    expect(await jobsOf([second.id])).toEqual([]);
  });

  it.each<[string, Partial<NewTask>]>([
    ['another method', { method: 'y' }],
    ['other params', { params: { a: 2 } }],
    ['other tags', { tags: ['other'] }],
  ])('is not a task with %s', async (_what, other) => {
    const { installationId } = await install(host().db);
    const task = { installationId, method: 'x', params: { a: 1 }, tags: ['t'] };
    await enqueueTask(host().db, task);
    expect((await enqueueTask(host().db, { ...task, ...other })).status).toBe('queued');
  });

  it('is not the same task of another installation', async () => {
    const [a, b] = [await install(host().db), await install(host().db)];
    await enqueueTask(host().db, { installationId: a.installationId, method: 'x' });
    const other = await enqueueTask(host().db, { installationId: b.installationId, method: 'x' });
    expect(other.status).toBe('queued');
  });

  it('is every concurrent add but one', async () => {
    const { installationId } = await install(host().db);
    const added = await Promise.all(
      Array.from({ length: 12 }, async () => enqueueTask(host().db, { installationId, method: 'x' })),
    );
    expect(added.filter(({ status }) => status === 'queued')).toHaveLength(1);
    expect(added.filter(({ status }) => status === 'duplicate')).toHaveLength(11);
  });

  it('is never a job that adds itself again from its own run; a second time gives the same follow-up', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const task = { installationId, method: 'checkJob', params: { vm: 7 } };
    const followUps: { id: string; status: string }[] = [];
    const outsiders: string[] = [];
    await using _worker = await work(host, {
      runTask: async ({ id, parentId }) => {
        if (parentId !== null) return success;
        for (const _ of [1, 2]) {
          followUps.push(
            await enqueueTask(host.db, { ...task, parentId: id, runAt: new Date(Date.now() + 60_000) }),
          );
        }
        outsiders.push((await enqueueTask(host.db, task)).status);
        return success;
      },
    });
    const first = await enqueueTask(host.db, task);
    await taskWith(host.db, first.id, 'completed');
    expect(followUps.map(({ status }) => status)).toEqual(['queued', 'queued']);
    expect(new Set(followUps.map(({ id }) => id)).size).toBe(1);
    expect(followUps[0]?.id).not.toBe(first.id);
    expect(outsiders).toEqual(['duplicate']);
  });
});

describe('listTasks', () => {
  it('filters by status and tag and turns pages, newest first', async () => {
    const { installationId, tenantId } = await install(host().db);
    const ids: string[] = [];
    for (const n of [1, 2, 3]) {
      const tags = n === 2 ? ['even'] : ['odd', 'all'];
      ids.push((await enqueueTask(host().db, { installationId, method: 'x', params: { n }, tags })).id);
    }
    const idsOf = async (filter: Parameters<typeof listTasks>[1]) =>
      (await listTasks(host().db, { tenantId, ...filter })).tasks.map(({ id }) => id);
    expect(await idsOf({})).toEqual(ids.toReversed());
    expect(await idsOf({ tag: 'even' })).toEqual([ids[1]]);
    expect(await idsOf({ status: 'pending' })).toEqual([ids[2]]);
    expect(await listTasks(host().db, { tenantId, rows: 2, page: 1 })).toMatchObject({ hasMore: true });
    expect(await listTasks(host().db, { tenantId, rows: 2, page: 2 })).toMatchObject({
      hasMore: false,
      tasks: [{ id: ids[0] }],
    });
  });
});
