import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';

import { TaskRequest } from '../../sandbox/contract/capabilities/tasks.ts';
import { createTasksBroker } from '../../src/brokers/tasks.ts';
import { claimTask } from '../../src/jobs/claim.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listTasks } from '../../src/jobs/read.ts';
import { install, until, useQueueDatabase } from '../jobs/fixture.ts';
import type { Installed } from '../jobs/fixture.ts';
import { scopeOf } from './tasks-fixture.ts';

const host = useQueueDatabase();
const grant = { concurrency: 2, per_minute: 60 };
const broker = (elapsedMs?: () => number) =>
  createTasksBroker({ db: host().db, ...(elapsedMs === undefined ? {} : { elapsedMs }) });

function request(input: v.InferInput<typeof TaskRequest>): v.InferOutput<typeof TaskRequest> {
  return v.parse(TaskRequest, input);
}

/** A task of the installation that is running now, as the one the scope belongs to. */
async function running(installed: Installed): Promise<string> {
  const { id } = await enqueueTask(host().db, {
    ...installed,
    method: 'checkJob',
    params: { r: randomUUID() },
  });
  const claim = await claimTask(host().db, id);
  expect(claim.kind).toBe('run');
  return id;
}

describe('tasks.add', () => {
  it('queues a method with its options for the scope’s installation', async () => {
    const installed = await install(host().db);
    const { scope, used } = scopeOf(installed);
    const { uuid, status } = await broker().add(
      scope,
      request({ method: 'syncJob', params: { a: 1 }, tags: ['sync'], tries: 3, backoff: 30, timeout: 120 }),
      grant,
    );
    expect(status).toBe('queued');
    expect(await getTask(host().db, uuid)).toMatchObject({
      tenantId: installed.tenantId,
      installationId: installed.installationId,
      method: 'syncJob',
      params: { a: 1 },
      tags: ['sync'],
      tries: 3,
      backoffS: 30,
      timeoutS: 120,
      maxExceptions: 2,
      parentId: null,
    });
    expect(used).toEqual(['tasks.per_minute']);
  });

  it('in a job makes the running task the parent; adding itself is no duplicate', async () => {
    const installed = await install(host().db);
    const { id } = await enqueueTask(host().db, { ...installed, method: 'checkJob' });
    await claimTask(host().db, id);
    const { scope } = scopeOf(installed, { purpose: 'job', taskId: id });
    const added = await broker().add(scope, request({ method: 'checkJob', delay: 60 }), grant);
    expect(added.status).toBe('queued');
    expect(await getTask(host().db, added.uuid)).toMatchObject({ parentId: id });
  });

  it('says duplicate when the same waits', async () => {
    const { scope } = scopeOf(await install(host().db));
    await broker().add(scope, request({ method: 'syncJob' }), grant);
    expect((await broker().add(scope, request({ method: 'syncJob' }), grant)).status).toBe('duplicate');
  });

  it('takes a delay in seconds or an instant, and not both', async () => {
    const { scope } = scopeOf(await install(host().db));
    const at = new Date(Date.now() + 3_600_000);
    const run_at = at.toISOString();
    const { uuid } = await broker().add(scope, request({ method: 'syncJob', run_at }), grant);
    expect((await getTask(host().db, uuid))?.runAt).toEqual(at);
    const both = broker().add(scope, request({ method: 'checkJob', run_at, delay: 1 }), grant);
    await expect(both).rejects.toMatchObject({ code: 'BAD_INPUT' });
    const far = broker().add(scope, request({ method: 'checkJob', run_at: '2999-01-01T00:00:00Z' }), grant);
    await expect(far).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('refuses a method that the class lacks, and names the nearest', async () => {
    const { scope } = scopeOf(await install(host().db));
    await expect(broker().add(scope, request({ method: 'syncJbo' }), grant)).rejects.toMatchObject({
      code: 'NO_METHOD',
      message: expect.stringContaining('"syncJob"'),
    });
  });

  it.each(['activate', 'constructor', 'update', 'createCallback', 'variables_tab'])(
    'refuses %s, which only the host calls, and names it',
    async (method) => {
      const { scope } = scopeOf(await install(host().db), { methods: new Set([method]) });
      await expect(broker().add(scope, request({ method }), grant)).rejects.toMatchObject({
        code: 'BAD_INPUT',
        message: expect.stringContaining(`"${method}"`),
      });
    },
  );

  it('refuses params beyond the limit', async () => {
    const { scope } = scopeOf(await install(host().db));
    const params = { text: 'ä'.repeat(33_000) };
    await expect(broker().add(scope, request({ method: 'syncJob', params }), grant)).rejects.toMatchObject({
      code: 'LIMIT',
    });
  });

  it.each([[{ a: 'b\0' }], [{ '\ud800': 1 }]])('refuses params that cannot be stored: %j', async (params) => {
    const { scope } = scopeOf(await install(host().db));
    await expect(broker().add(scope, request({ method: 'syncJob', params }), grant)).rejects.toMatchObject({
      code: 'BAD_INPUT',
    });
  });

  it('refuses more than are granted a minute, and allows again when the minute has passed', async () => {
    const installed = await install(host().db);
    const { scope } = scopeOf(installed);
    const { scope: other } = scopeOf(await install(host().db));
    let now = Date.now();
    const tasks = broker(() => now);
    const two = { concurrency: 2, per_minute: 2 };
    const add = async (n: number, by = scope) =>
      tasks.add(by, request({ method: 'syncJob', params: { n } }), two);
    await add(1);
    await add(2);
    await expect(add(3)).rejects.toMatchObject({ code: 'LIMIT' });
    await add(4, other);
    now += 60_001;
    await add(5);
    expect((await listTasks(host().db, installed)).tasks).toHaveLength(3);
  });

  it('in a lifecycle invocation is done only if that succeeds, under the uuid given before', async () => {
    const installed = await install(host().db);
    const failing = scopeOf(installed, { purpose: 'lifecycle' });
    const lost = await broker().add(failing.scope, request({ method: 'syncJob' }), grant);
    await failing.end(false);
    expect(await getTask(host().db, lost.uuid)).toBeUndefined();

    const succeeding = scopeOf(installed, { purpose: 'lifecycle' });
    const kept = await broker().add(succeeding.scope, request({ method: 'syncJob' }), grant);
    expect(await getTask(host().db, kept.uuid)).toBeUndefined();
    await succeeding.end(true, host().db);
    expect(await getTask(host().db, kept.uuid)).toMatchObject({ method: 'syncJob', status: 'queued' });
  });
});

describe('tasks.get and tasks.cancel', () => {
  it('see the installation’s own tasks', async () => {
    const { scope } = scopeOf(await install(host().db));
    const { uuid } = await broker().add(scope, request({ method: 'syncJob', tags: ['t'] }), grant);
    expect(await broker().get(scope, { uuid }, grant)).toEqual({
      uuid,
      method: 'syncJob',
      status: 'queued',
      attempts: 0,
      result: null,
      tags: ['t'],
    });
    expect(await broker().cancel(scope, { uuid }, grant)).toEqual({ cancelled: true });
    expect(await broker().cancel(scope, { uuid }, grant)).toEqual({ cancelled: false });
    expect((await broker().get(scope, { uuid }, grant)).status).toBe('cancelled');
  });

  it('do not see another’s, nor tell it from one that is not there', async () => {
    const { scope } = scopeOf(await install(host().db));
    const { scope: other } = scopeOf(await install(host().db));
    const { uuid } = await broker().add(scope, request({ method: 'syncJob' }), grant);
    const errors = await Promise.all(
      [uuid, randomUUID()].map(async (id) =>
        broker()
          .get(other, { uuid: id }, grant)
          .catch((error: unknown) => error),
      ),
    );
    expect(errors[0]).toMatchObject({ code: 'NOT_FOUND' });
    expect(errors[1]).toEqual(errors[0]);
    await expect(broker().cancel(other, { uuid }, grant)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await getTask(host().db, uuid))?.status).toBe('queued');
  });
});

describe('tasks.progress', () => {
  it('writes the first note at once, the last always, and few between', async () => {
    const installed = await install(host().db);
    const taskId = await running(installed);
    const { scope, end } = scopeOf(installed, { purpose: 'job', taskId });
    const tasks = broker();
    const read = async () => (await getTask(host().db, taskId))?.progressPercent;
    await tasks.progress(scope, { percent: 1, note: 'begun' }, grant);
    await until('the first', async () => (await read()) === 1);
    const versions = async () => {
      const row = await host().sql<{ xmin: string }[]>`select xmin::text from tasks where id = ${taskId}`;
      return row[0]?.xmin;
    };
    const before = await versions();
    for (let percent = 2; percent <= 99; percent++) await tasks.progress(scope, { percent, note: '' }, grant);
    expect(await versions()).toBe(before);
    await tasks.progress(scope, { percent: 99.6, note: 'nearly' }, grant);
    await end();
    expect(await getTask(host().db, taskId)).toMatchObject({ progressPercent: 100, progressNote: 'nearly' });
  });

  it('is nothing outside a job', async () => {
    const { scope, end } = scopeOf(await install(host().db));
    await expect(broker().progress(scope, { percent: 5, note: '' }, grant)).resolves.toBeUndefined();
    await end();
  });
});
