import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';

import { beginDrafts, handOver } from '../../src/jobs/hand-over.ts';
import type { HandOver, Word } from '../../src/jobs/hand-over.ts';
import { cancelTask } from '../../src/jobs/control.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts } from '../../src/jobs/read.ts';
import type { TestDatabase } from '../support/database.ts';
import { install, success, useQueueDatabase } from './fixture.ts';

const host = useQueueDatabase();

/** As the worker `mine`, which is registered, with what the statement needs to know otherwise. */
async function handOverAs(
  { db }: TestDatabase,
  installationId: string,
  words: readonly Word[],
  more: Partial<HandOver> = {},
) {
  await sql`insert into workers (id, host, pid) values ('mine', 'here', 1) on conflict do nothing`.execute(
    db,
  );
  const { rows } = await handOver({
    workerId: 'mine',
    installationId,
    handled: [],
    served: [],
    words,
    drafts: 0,
    inHand: [],
    known: 0,
    ahead: null,
    hasLane: false,
    ...more,
  }).execute(db);
  return rows;
}

/** An installation with so many places, all taken, and a task that waits for one. */
async function waiting(places: number): Promise<{ installationId: string; taskId: string }> {
  const { db } = host();
  const { installationId } = await install(db, places);
  for (let n = 0; n < places; n++) await enqueueTask(db, { installationId, method: 'first', params: { n } });
  const { id } = await enqueueTask(db, { installationId, method: 'waits' });
  expect(await getTask(db, id)).toMatchObject({ status: 'pending' });
  return { installationId, taskId: id };
}

async function lane(installationId: string, workerId: string, seconds: number): Promise<void> {
  await sql`
    insert into task_lanes (installation_id, worker_id, places, until)
    values (${installationId}, ${workerId}, 1, clock_timestamp() + make_interval(secs => ${seconds}))
    on conflict (installation_id) do update set worker_id = excluded.worker_id, until = excluded.until`.execute(
    host().db,
  );
}

/** The end of a run that was never written down. */
function unwritten(taskId: string): Word {
  const decision = {
    next: 'finish',
    status: 'completed',
    outcome: 'completed',
    result: null,
    error: null,
  } as const;
  return { record: { taskId, attemptId: null, outcome: success, decision }, wish: false };
}

describe('the end of a run that was not written down', () => {
  it('is written as long as its task waits', async () => {
    const { installationId, taskId } = await waiting(1);
    const [row] = await handOverAs(host(), installationId, [unwritten(taskId)]);
    expect(row?.finished).toEqual([taskId]);
    expect(await getTask(host().db, taskId)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(await listAttempts(host().db, taskId)).toMatchObject([{ outcome: 'completed' }]);
  });

  it('is nothing once its task was cancelled', async () => {
    const { installationId, taskId } = await waiting(1);
    await cancelTask(host().db, taskId);
    const [row] = await handOverAs(host(), installationId, [unwritten(taskId)]);
    expect(row?.finished).toBeNull();
    expect(await getTask(host().db, taskId)).toMatchObject({ status: 'cancelled', attempts: 0 });
    expect(await listAttempts(host().db, taskId)).toEqual([]);
  });

  it('is nothing once its installation was paused', async () => {
    const { installationId, taskId } = await waiting(1);
    const { db } = host();
    await sql`update installations set paused_at = now(), paused_reason = 'because' where id = ${installationId}`.execute(
      db,
    );
    const [row] = await handOverAs(host(), installationId, [unwritten(taskId)]);
    expect(row?.finished).toBeNull();
    expect(await getTask(db, taskId)).toMatchObject({ status: 'pending', attempts: 0 });
  });

  it('is nothing once its task was begun by another, or has ended', async () => {
    const { installationId, taskId } = await waiting(1);
    await sql`update tasks set status = 'processing', attempts = 1, taken_by = 'other' where id = ${taskId}`.execute(
      host().db,
    );
    const [begun] = await handOverAs(host(), installationId, [unwritten(taskId)]);
    expect(begun?.finished).toBeNull();
    expect(await getTask(host().db, taskId)).toMatchObject({ status: 'processing', attempts: 1 });
    await sql`update tasks set status = 'pending', taken_by = null where id = ${taskId}`.execute(host().db);
    await handOverAs(host(), installationId, [unwritten(taskId)]);
    const [again] = await handOverAs(host(), installationId, [unwritten(taskId)]);
    expect(again?.finished).toBeNull();
    expect(await listAttempts(host().db, taskId)).toHaveLength(1);
  });
});

describe('a run that is to be written down as begun', () => {
  it('is not, of a task that was cancelled', async () => {
    const { installationId, taskId } = await waiting(1);
    const { db } = host();
    await lane(installationId, 'mine', 600);
    await cancelTask(db, taskId);
    const line = { workerId: 'mine', installationId, handled: [], served: [] };
    await handOverAs(host(), installationId, []);
    expect((await beginDrafts(line, [{ taskId, ageMs: 1 }]).execute(db)).rows).toEqual([]);
    expect(await getTask(db, taskId)).toMatchObject({ status: 'cancelled', attempts: 0 });
    await sql`update tasks set status = 'pending' where id = ${taskId}`.execute(db);
    expect((await beginDrafts(line, [{ taskId, ageMs: 1 }]).execute(db)).rows).toHaveLength(1);
  });
});

describe('a free place', () => {
  it.each([
    { how: 'begun', ahead: null },
    { how: 'told', ahead: 4 },
  ])('is not for a waiting task while another worker has a lane: none is $how', async ({ ahead }) => {
    const { installationId, taskId } = await waiting(1);
    // One place beyond the lane's and the queue's: only the lane keeps it.
    await sql`update installations set grants = jsonb_set(grants, '{tasks,concurrency}', '3') where id = ${installationId}`.execute(
      host().db,
    );
    const word: Word = { record: undefined, wish: true };
    await lane(installationId, 'other', 600);
    const [kept] = await handOverAs(host(), installationId, [word], { ahead });
    expect(kept).toMatchObject({ id: null, granted: 0 });
    expect(await getTask(host().db, taskId)).toMatchObject({ status: 'pending' });
    await lane(installationId, 'other', -1);
    const [given] = await handOverAs(host(), installationId, [word], { ahead });
    expect(given).toMatchObject({ id: taskId, granted: 1 });
  });
});
