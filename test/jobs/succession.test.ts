import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import { claimTask } from '../../src/jobs/claim.ts';
import type { Run } from '../../src/jobs/claim.ts';
import { cancelTask } from '../../src/jobs/control.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts } from '../../src/jobs/read.ts';
import { createSuccession } from '../../src/jobs/succession.ts';
import type { Ending } from '../../src/jobs/succession.ts';
import type { Task } from '../../src/jobs/task.ts';
import type { TestDatabase } from '../support/database.ts';
import { FAST, install, queueDatabase, success, taskWith, until, untilAborted, work } from './fixture.ts';
import { workerChild } from './worker-process.ts';

/** Tasks of one installation, in the order they are to run in. */
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

async function standing(host: TestDatabase, id: string): Promise<{ taken: boolean; hasJob: boolean }> {
  const { rows } = await sql<{ taken: boolean; hasJob: boolean }>`
    select taken_by is not null as taken,
      exists (select 1 from graphile_worker.jobs j where j.key = t.id::text) as "hasJob"
    from tasks t where id = ${id}::uuid`.execute(host.db);
  const [row] = rows;
  if (row === undefined) throw new Error('no such task');
  return row;
}

async function outcomesOf(host: TestDatabase, id: string) {
  return (await listAttempts(host.db, id)).map(({ outcome }) => outcome);
}

const once = async <T>(work: () => Promise<T>): Promise<T> => work();

/** Said by a worker that nobody knows. */
function endingOf(run: Run, wish: boolean): Ending {
  return {
    workerId: 'nobody',
    installationId: run.task.installationId,
    handled: [],
    served: [],
    record: {
      taskId: run.task.id,
      attemptId: run.attemptId,
      outcome: success,
      decision: { next: 'finish', outcome: 'completed', status: 'completed', result: null, error: null },
    },
    wish,
    wasQuiet: false,
  };
}

/** Ends each run when told to. */
function gate() {
  const doors = new Map<string, PromiseWithResolvers<void>>();
  const door = (id: string): PromiseWithResolvers<void> => {
    const known = doors.get(id) ?? Promise.withResolvers<void>();
    doors.set(id, known);
    return known;
  };
  return {
    open: (id: string): void => door(id).resolve(),
    runTask: async (task: Task, { signal }: { readonly signal: AbortSignal }) => {
      await Promise.race([door(task.id).promise, untilAborted(signal)]);
      return success;
    },
  };
}

describe('a run that ends', () => {
  it('hands its place to the oldest waiting task, which needs no job for it', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = '', third = ''] = await add(host, installationId, ['a', 'b', 'c']);
    const gates = gate();
    await using _worker = await work(host, { runTask: gates.runTask });
    await taskWith(host.db, first, 'processing');
    expect(await standing(host, first)).toEqual({ taken: false, hasJob: true });
    gates.open(first);
    await taskWith(host.db, second, 'processing');
    expect(await standing(host, second)).toEqual({ taken: true, hasJob: false });
    expect(await getTask(host.db, third)).toMatchObject({ status: 'pending' });
    gates.open(second);
    gates.open(third);
    await taskWith(host.db, third, 'completed');
    expect(await standing(host, second)).toEqual({ taken: false, hasJob: false });
    expect(await getTask(host.db, second)).toMatchObject({ status: 'completed', attempts: 1, cpuUs: 1_000 });
    expect(await outcomesOf(host, third)).toEqual(['completed']);
  });

  it('goes behind whoever waits in the queue after a while', async () => {
    const host = await queueDatabase();
    const busy = await install(host.db, 1);
    const other = await install(host.db, 1);
    const order: string[] = [];
    const many = await add(
      host,
      busy.installationId,
      Array.from({ length: 100 }, () => 'many'),
    );
    const runTask = async ({ id }: Task) => {
      order.push(id);
      await sleep(10);
      return success;
    };
    await using _worker = await work(host, {
      runTask,
      concurrency: 1,
      timing: { ...FAST, successionMs: 50 },
    });
    await until('the first to run', async () => order.length > 0);
    const [one = ''] = await add(host, other.installationId, ['one']);
    await taskWith(host.db, one, 'completed');
    await taskWith(host.db, many.at(-1) ?? '', 'completed');
    expect(order.indexOf(one)).toBeLessThan(many.length);
    expect(order.filter((id) => id !== one)).toEqual(many);
  });

  it('hands on nothing while its installation is paused', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['a', 'b']);
    const gates = gate();
    await using _worker = await work(host, { runTask: gates.runTask });
    await taskWith(host.db, first, 'processing');
    await host.db
      .updateTable('installations')
      .set({ paused_at: new Date(), paused_reason: 'because' })
      .where('id', '=', installationId)
      .execute();
    gates.open(first);
    await taskWith(host.db, first, 'completed');
    expect(await getTask(host.db, second)).toMatchObject({ status: 'pending' });
  });

  it('hands on nothing once its worker is told to stop', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['a', 'b']);
    const gates = gate();
    const worker = await work(host, { runTask: gates.runTask, timing: { ...FAST, stopGraceMs: 10_000 } });
    await taskWith(host.db, first, 'processing');
    const stopped = worker.stop();
    gates.open(first);
    await stopped;
    expect(await getTask(host.db, first)).toMatchObject({ status: 'completed' });
    expect(await outcomesOf(host, second)).toEqual([]);
    expect(await standing(host, second)).toEqual({ taken: false, hasJob: true });
  });

  it('begins nothing for a worker that is not registered', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['a', 'b']);
    const claim = await claimTask(host.db, first);
    if (claim.kind !== 'run') throw new Error('the first was not begun');
    const ended = await createSuccession(host.db, once).end(endingOf(claim.run, true));
    expect(ended).toEqual({ kind: 'ended', next: undefined });
    expect(await getTask(host.db, second)).toMatchObject({ status: 'queued' });
    expect(await outcomesOf(host, second)).toEqual([]);
  });

  it('writes nothing once its task was cancelled', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = ''] = await add(host, installationId, ['a']);
    const claim = await claimTask(host.db, first);
    if (claim.kind !== 'run') throw new Error('the first was not begun');
    await cancelTask(host.db, first);
    const ended = await createSuccession(host.db, once).end(endingOf(claim.run, false));
    expect(ended).toEqual({ kind: 'other' });
    expect(await getTask(host.db, first)).toMatchObject({ status: 'cancelled' });
    expect(await outcomesOf(host, first)).toEqual([null]);
  });
});

describe('a task that was taken without a job', () => {
  it('can be cancelled while it runs', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['a', 'b']);
    const gates = gate();
    await using _worker = await work(host, { runTask: gates.runTask });
    gates.open(first);
    await taskWith(host.db, second, 'processing');
    expect(await cancelTask(host.db, second)).toEqual({ cancelled: true });
    await until('its end', async () => (await getTask(host.db, second))?.finishedAt !== null);
    expect(await outcomesOf(host, second)).toEqual(['cancelled']);
  });

  it('runs again elsewhere when its worker is killed with -9', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['plain', 'hang']);
    await using child = await workerChild(host, 2);
    await until('the second to hang', async () => child.ran().length === 2);
    expect(await standing(host, second)).toEqual({ taken: true, hasJob: false });
    await child.kill();
    const ran: string[] = [];
    const runTask = async ({ id }: Task) => {
      ran.push(id);
      return success;
    };
    // The sweep would find it too, later.
    await using _other = await work(host, { runTask, timing: { ...FAST, sweepMs: 600_000 } });
    await taskWith(host.db, second, 'completed');
    expect(ran).toEqual([second]);
    expect(await outcomesOf(host, first)).toEqual(['completed']);
    expect(await outcomesOf(host, second)).toEqual(['interrupted', 'completed']);
    expect(await getTask(host.db, second)).toMatchObject({ attempts: 1 });
  });

  it('is left alone by the sweep while its worker lives', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const [first = '', second = ''] = await add(host, installationId, ['a', 'b']);
    const gates = gate();
    await using _worker = await work(host, { runTask: gates.runTask });
    gates.open(first);
    await taskWith(host.db, second, 'processing');
    await sleep(FAST.sweepMs * 3);
    expect(await outcomesOf(host, second)).toEqual([null]);
    gates.open(second);
    await taskWith(host.db, second, 'completed');
  });

  it('is queued again if its living worker does not run it: its end could not be written', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    await using _worker = await work(host, { runTask: async () => success });
    const worker = await until('the worker', async () =>
      host.db.selectFrom('workers').select('id').executeTakeFirst(),
    );
    const { rows } = await sql<{ id: string }>`
      with stranded as (
        insert into tasks (tenant_id, installation_id, method, status, attempts, started_at, dedupe_key, taken_by)
        select tenant_id, id, 'lost', 'processing', 1, now() - interval '1 hour', 'lost', ${worker.id}
        from installations where id = ${installationId}::uuid
        returning id
      ), run as (
        insert into task_attempts (task_id, number, started_at) select id, 1, now() - interval '1 hour' from stranded
      )
      select id from stranded`.execute(host.db);
    const id = rows[0]?.id ?? '';
    await taskWith(host.db, id, 'completed');
    expect(await outcomesOf(host, id)).toEqual(['interrupted', 'completed']);
  });
});
