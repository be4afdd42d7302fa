/** Jobs: how many a second beside graphile-worker's own that do nothing, how soon one starts, and that a flood delays nobody else. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { sql } from 'kysely';
import { queuePool } from '../../../src/jobs/graphile.ts';
import { enqueueTask } from '../../../src/jobs/queue.ts';
import type { Case, CaseHow } from '../lib/case.ts';
import { type BenchHost, startBenchHost } from '../lib/host.ts';
import { type Row, single } from '../lib/report.ts';
import { rounds } from '../lib/rounds.ts';
import { summarize } from '../lib/stats.ts';

const SECTION = 'Jobs';
const TENANTS = 4;
const AT_ONCE = 40;
const SCHEMA = 'bench_queue';
const POLL_MS = 5;
const PATIENCE_MS = 300_000;
const silent = new Logger(() => () => undefined);

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(POLL_MS);
  }
}

/** graphile-worker's own jobs that do nothing, with its best settings. @returns jobs a second */
async function bareRate(host: BenchHost, count: number): Promise<number> {
  const { endpoint } = host.server.bulkhead.databases.host;
  const pgPool = queuePool(endpoint, 10, () => undefined);
  try {
    const utils = await makeWorkerUtils({ pgPool, schema: SCHEMA, logger: silent });
    await utils.migrate();
    await utils.addJobs(Array.from({ length: count }, () => ({ identifier: 'noop', payload: {} })));
    let done = 0;
    const all = Promise.withResolvers<void>();
    const startedAt = performance.now();
    const runner = await run({
      pgPool,
      schema: SCHEMA,
      logger: silent,
      concurrency: 24,
      noHandleSignals: true,
      parsedCronItems: [],
      preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      taskList: {
        noop: () => {
          if (++done === count) all.resolve();
        },
      },
    });
    await all.promise;
    const seconds = (performance.now() - startedAt) / 1_000;
    await runner.stop();
    await utils.release();
    return count / seconds;
  } finally {
    await pgPool.end();
  }
}

/** Sandboxed jobs that do nothing, of some tenants. @returns jobs a second, from the first start to the last end */
async function sandboxedRate(
  host: BenchHost,
  installations: readonly string[],
  count: number,
): Promise<number> {
  const { db } = host.server.bulkhead.panel;
  const mark = randomUUID();
  for (let number = 0; number < count; number++)
    await enqueueTask(db, {
      installationId: installations[number % installations.length] ?? '',
      method: 'noopJob',
      params: { number },
      tags: [mark],
    });
  const worker = await host.server.bulkhead.startWorker({ concurrency: AT_ONCE });
  await until('all tasks have run', async () => {
    const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from tasks where ${mark} = any(tags) and finished_at is null`.execute(db);
    if (rows[0]?.open !== 0) await sleep(POLL_MS * 10);
    return rows[0]?.open === 0;
  });
  await worker.stop();
  const { rows } = await sql<{ seconds: number; failed: number }>`
    select extract(epoch from max(finished_at) - min(started_at))::float8 as seconds,
      count(*) filter (where status <> 'completed')::int as failed
    from tasks where ${mark} = any(tags)`.execute(db);
  if (rows[0]?.failed !== 0) throw new Error(`${rows[0]?.failed} jobs did not complete`);
  return count / (rows[0]?.seconds ?? Number.NaN);
}

/** @returns milliseconds from adding a task to its method's start, by the database's clock */
async function startLatency(host: BenchHost, installationId: string): Promise<number> {
  const { db } = host.server.bulkhead.panel;
  const { id } = await enqueueTask(db, {
    installationId,
    method: 'noopJob',
    params: { at: performance.now() },
  });
  let latencyMs: number | null | undefined;
  await until('the task has started', async () => {
    const { rows } = await sql<{ ms: number | null }>`
      select (extract(epoch from started_at - created_at) * 1000)::float8 as ms from tasks where id = ${id}`.execute(
      db,
    );
    latencyMs = rows[0]?.ms;
    return latencyMs !== null && latencyMs !== undefined;
  });
  return latencyMs ?? Number.NaN;
}

/** Fills one tenant's queue, as if they had been added: what waits beyond its places has no queue job (decision 0006). */
async function flood(host: BenchHost, count: number): Promise<void> {
  const { db } = host.server.bulkhead.panel;
  for (let number = 0; number < 60; number++)
    await enqueueTask(db, { installationId: host.installationId, method: 'noopJob', params: { number } });
  await sql`
    insert into tasks (tenant_id, installation_id, method, params, tags, run_at, status, dedupe_key)
    select ${host.tenant.id}::uuid, ${host.installationId}::uuid, 'noopJob', jsonb_build_object('flood', n), '{}', now(), 'pending',
      md5('flood' || n)
    from generate_series(1, ${count}::int) n`.execute(db);
}

async function rateRow(host: BenchHost, how: CaseHow): Promise<Row> {
  const others = await Promise.all(Array.from({ length: TENANTS - 1 }, () => host.addTenant()));
  const installations = [host.installationId, ...others.map(({ installationId }) => installationId)];
  const count = how.quick ? 400 : 4_000;
  const measured = await rounds(
    { wanted: how.quick ? 1 : 5, most: how.quick ? 1 : 10, say: how.say },
    async () => ({
      bare: await bareRate(host, count * 5),
      ours: await sandboxedRate(host, installations, count),
    }),
  );
  const rate = (pick: 'bare' | 'ours'): string =>
    Math.round(summarize(measured.values.map((value) => value[pick])).median).toLocaleString('en-US');
  return {
    section: SECTION,
    line: 'Sandboxed jobs that do nothing: jobs/s, × graphile-worker’s own',
    target: { atLeast: 0.5 },
    unit: '×',
    measured: summarize(measured.values.map(({ bare, ours }) => ours / bare)),
    dropped: measured.dropped,
    noisy: measured.noisy,
    note: `${rate('ours')} jobs/s of ${TENANTS} tenants against ${rate('bare')} jobs/s`,
  };
}

export const jobs: Case = {
  name: 'jobs',
  title: 'Jobs',
  async run(how) {
    await using host = await startBenchHost();
    const rows = [await rateRow(host, how)];
    how.say('  add → start');
    const worker = await host.server.bulkhead.startWorker({ concurrency: 10 });
    await startLatency(host, host.installationId);
    const latencies: number[] = [];
    for (let number = 0; number < (how.quick ? 5 : 50); number++)
      latencies.push(await startLatency(host, host.installationId));
    rows.push({
      section: SECTION,
      line: 'Add → start on an idle queue',
      unit: 'ms',
      measured: summarize(latencies),
    });
    const waiting = how.quick ? 5_000 : 100_000;
    how.say(`  ${waiting} jobs of one tenant wait`);
    const { installationId } = await host.addTenant();
    await flood(host, waiting);
    rows.push({
      section: SECTION,
      line: `Another tenant’s first job with ${waiting.toLocaleString('en-US')} of one tenant waiting: add → start`,
      target: { atMost: 1_000 },
      unit: 'ms',
      measured: single(await startLatency(host, installationId)),
    });
    await sql`delete from tasks where status = 'pending'`.execute(host.server.bulkhead.panel.db);
    await worker.stop();
    return rows;
  },
};
