import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import { claimTask } from '../../src/jobs/claim.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts, listTasks } from '../../src/jobs/read.ts';
import { recordOutcome, requeueInterrupted } from '../../src/jobs/record.ts';
import { sweepTasks } from '../../src/jobs/recovery.ts';
import type { TestDatabase } from '../support/database.ts';
import { FAST, install, queueDatabase, success, taskWith, until, untilAborted, work } from './fixture.ts';
import { workerChild } from './worker-process.ts';

async function outcomesOf(host: TestDatabase, id: string) {
  return (await listAttempts(host.db, id)).map(({ outcome }) => outcome);
}

async function allEnded(host: TestDatabase, installationId: string, count: number): Promise<void> {
  await until('all to end', async () => {
    const { tasks } = await listTasks(host.db, { installationId, status: 'completed', rows: 200 });
    return tasks.length === count;
  });
}

describe('a worker killed with -9', () => {
  it('loses nothing, and only what it was running runs again, once, with two others alive', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 50);
    const add = async (method: string, n: number) =>
      (await enqueueTask(host.db, { installationId, method, params: { n } })).id;
    const quick: string[] = [];
    for (let n = 0; n < 10; n++) quick.push(await add('quick', n));
    await using child = await workerChild(host, 3);
    await until('the quick ones', async () => child.ran().length === 10);
    // They fill all its places; what it fetched ahead is locked by it too.
    const hanging = [await add('hang', 1), await add('hang', 2), await add('hang', 3)];
    await until('them to hang', async () => child.ran().length === 13);
    for (let n = 10; n < 16; n++) quick.push(await add('quick', n));
    await child.kill();

    const ran: string[] = [];
    const runTask = async ({ id }: { id: string }) => {
      ran.push(id);
      return success;
    };
    await using _one = await work(host, { runTask });
    await using _two = await work(host, { runTask });
    await allEnded(host, installationId, 19);

    const runs = [...child.ran(), ...ran];
    for (const id of quick) expect(runs.filter((run) => run === id)).toHaveLength(1);
    for (const id of hanging) {
      expect(runs.filter((run) => run === id)).toHaveLength(2);
      expect(await outcomesOf(host, id)).toEqual(['interrupted', 'completed']);
      expect(await getTask(host.db, id)).toMatchObject({ attempts: 1, exceptions: 0 });
    }
    await until('the dead to be off the list', async () => {
      const workers = await host.db.selectFrom('workers').select('pid').execute();
      return workers.every(({ pid }) => pid !== child.process.pid);
    });
    await until('no job to be left', async () => {
      const left = await sql<{ n: number }>`select count(*) as n from graphile_worker.jobs`.execute(host.db);
      return left.rows[0]?.n === 0;
    });
  });

  it('after a method had ended does not make it run again: only the hook does', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'dieInHook' });
    await using child = await workerChild(host);
    await until('its death', async () => child.process.signalCode === 'SIGKILL');
    const ends: unknown[] = [];
    let ran = 0;
    await using _next = await work(host, {
      runTask: async () => {
        ran += 1;
        return success;
      },
      onFinished: async (task, finished) => {
        ends.push([task.id, finished]);
        return undefined;
      },
    });
    await taskWith(host.db, id, 'completed');
    expect(child.ran()).toEqual([id]);
    expect(ran).toBe(0);
    expect(ends).toEqual([[id, { status: 'completed', value: { status: 'success' }, error: null }]]);
  });
});

describe('a worker that is alive but silent', () => {
  it('keeps its task: nobody runs it a second time', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    await using child = await workerChild(host);
    const { id } = await enqueueTask(host.db, { installationId, method: 'hang' });
    await until('it to hang', async () => child.ran().length === 1);
    child.process.kill('SIGSTOP');
    let ran = 0;
    await using _other = await work(host, {
      runTask: async () => {
        ran += 1;
        return success;
      },
    });
    await until('its beats to be long missed', async () => {
      const silent = await sql`
        select 1 from workers where pid = ${child.process.pid ?? 0}::int
          and heartbeat_at < now() - interval '1 second'`.execute(host.db);
      return silent.rows.length > 0;
    });
    await sleep(FAST.beatMs * 3);
    expect(await outcomesOf(host, id)).toEqual([null]);
    child.process.kill('SIGCONT');
    child.process.kill('SIGUSR2');
    await taskWith(host.db, id, 'completed');
    expect(ran).toBe(0);
    expect(await outcomesOf(host, id)).toEqual(['completed']);
  });

  it('can write no result once another has taken its task over', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    const claim = await claimTask(host.db, id);
    if (claim.kind !== 'run') throw new Error(claim.kind);
    await host.db.transaction().execute(async (trx) => requeueInterrupted(trx, id));
    expect(await recordOutcome(host.db, claim.run, success, null)).toEqual({ kind: 'lost' });
    expect(await getTask(host.db, id)).toMatchObject({ status: 'queued', result: null, attempts: 0 });
    expect(await outcomesOf(host, id)).toEqual(['interrupted']);
  });
});

describe('claimTask', () => {
  it('gives a task to one of two who ask', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    const claims = await Promise.all([claimTask(host.db, id), claimTask(host.db, id)]);
    expect(claims.map(({ kind }) => kind).toSorted()).toEqual(['none', 'run']);
  });
});

describe('a worker whose connections were cut', () => {
  it('goes on as soon as PostgreSQL answers again', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    await using _worker = await work(host, { runTask: async () => success });
    const { id: before } = await enqueueTask(host.db, { installationId, method: 'before' });
    await taskWith(host.db, before, 'completed');
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name in ('bulkhead queue', 'bulkhead worker')`.execute(
      host.db,
    );
    const { id: after } = await enqueueTask(host.db, { installationId, method: 'after' });
    expect((await taskWith(host.db, after, 'completed')).attempts).toBe(1);
  });

  it('begins anew when graphile-worker had given up', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const end = Promise.withResolvers<typeof success>();
    const ran: string[] = [];
    await using _worker = await work(host, {
      runTask: async ({ method }) => {
        ran.push(method);
        return method === 'first' ? end.promise : success;
      },
    });
    const { id: first } = await enqueueTask(host.db, { installationId, method: 'first' });
    await taskWith(host.db, first, 'processing');
    // A job that cannot be completed is what makes graphile-worker shut down.
    await host.sql`create function refuse() returns trigger language plpgsql as 'begin raise ''no''; end'`;
    await host.sql`
      create trigger refuse before delete on graphile_worker._private_jobs execute function refuse()`;
    const before = await host.db.selectFrom('workers').select('id').executeTakeFirstOrThrow();
    end.resolve(success);
    await taskWith(host.db, first, 'completed');
    await until('the worker to leave', async () => {
      const still = await host.db.selectFrom('workers').selectAll().where('id', '=', before.id).execute();
      return still.length === 0;
    });
    await host.sql`drop function refuse() cascade`;
    const { id: second } = await enqueueTask(host.db, { installationId, method: 'second' });
    await taskWith(host.db, second, 'completed');
    expect(ran).toEqual(['first', 'second']);
  });

  it('does not run a task again that it went on running', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const end = Promise.withResolvers<typeof success>();
    let ran = 0;
    const runTask = async () => {
      ran += 1;
      return end.promise;
    };
    await using _worker = await work(host, { runTask });
    await using _other = await work(host, { runTask });
    const { id } = await enqueueTask(host.db, { installationId, method: 'x' });
    await taskWith(host.db, id, 'processing');
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name in ('bulkhead queue', 'bulkhead worker')`.execute(
      host.db,
    );
    await sleep(FAST.beatMs * 6);
    end.resolve(success);
    await taskWith(host.db, id, 'completed');
    expect(ran).toBe(1);
    expect(await outcomesOf(host, id)).toEqual(['completed']);
  });
});

describe('the sweep', () => {
  it('finds a task without a job, and a job that was given up', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db);
    const { id: jobless } = await enqueueTask(host.db, { installationId, method: 'a' });
    const { id: givenUp } = await enqueueTask(host.db, { installationId, method: 'b' });
    await sql`select graphile_worker.remove_job(${jobless})`.execute(host.db);
    await sql`
      select graphile_worker.permanently_fail_jobs(array(
        select id from graphile_worker.jobs where key = ${givenUp}))`.execute(host.db);
    await using _worker = await work(host, { runTask: async () => success });
    expect((await taskWith(host.db, jobless, 'completed')).attempts).toBe(1);
    expect((await taskWith(host.db, givenUp, 'completed')).attempts).toBe(1);
  });

  it('leaves alone what waits and what runs', async () => {
    const host = await queueDatabase();
    const { installationId } = await install(host.db, 1);
    const { id: runs } = await enqueueTask(host.db, { installationId, method: 'a' });
    const { id: waits } = await enqueueTask(host.db, { installationId, method: 'b' });
    await using _worker = await work(host, { runTask: async (_task, { signal }) => untilAborted(signal) });
    await taskWith(host.db, runs, 'processing');
    expect(await sweepTasks(host.db)).toBe(0);
    expect((await getTask(host.db, waits))?.status).toBe('pending');
    expect(await outcomesOf(host, runs)).toEqual([null]);
  });
});
