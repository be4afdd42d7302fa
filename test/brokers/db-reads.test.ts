/** SELECTs asked for at once share connections: what one of them does must not be another's affair. */
import { beforeAll, describe, expect, test } from 'vitest';

import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Env } from '../../sandbox/guest/env.ts';
import { NotAnswered, type RunOptions } from '../../src/database/modules/connection.ts';
import { useModules } from './db-support.ts';
import type { Installation } from './db-support.ts';

const modules = useModules();
let installation: Installation;

/** So many that each connection has several. */
const MANY = LIMITS.dbConnectionsPerInstallation * 4;
const SLOW = 'select count(*) from generate_series(1, 1000000002) as g(n)';

function query(env: Env, text: string, parameters: unknown[] = []) {
  return env.call('db', 'query', { sql: text, parameters });
}

function cell({ rows }: { readonly rows: readonly (readonly unknown[])[] }): unknown {
  return rows[0]?.[0];
}

const bounds = (): RunOptions => ({ stopAt: performance.now() + 5_000, maxBytes: 1_000_000 });

beforeAll(async () => {
  installation = await modules().install();
  await modules().activate(installation, async (env) => {
    await query(env, 'create table items (id int primary key)');
    await query(env, 'insert into items select n from generate_series(1, 100) as g(n)');
  });
});

describe('reads that are asked for at once', () => {
  test('each have their own answer, on no more connections than an installation may have', async () => {
    const answers = await modules().run(installation, {}, async (env) =>
      Promise.all(
        Array.from({ length: MANY }, async (_, index) =>
          cell(await query(env, 'select id from items where id = $1', [index + 1])),
        ),
      ),
    );
    expect(answers).toEqual(Array.from({ length: MANY }, (_, index) => index + 1));
    const ofOwner = 1;
    expect(modules().pools.size).toBeLessThanOrEqual(LIMITS.dbConnectionsPerInstallation + ofOwner);
  });

  test('fail one by one: those before and behind are answered', async () => {
    const results = await modules().run(installation, {}, async (env) =>
      Promise.allSettled(
        Array.from({ length: MANY }, (_, index) =>
          query(env, index % 3 === 1 ? 'select 1 / (id - id) from items' : 'select 7'),
        ),
      ),
    );
    results.forEach((result, index) => {
      if (index % 3 === 1) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'DB_ERROR' } });
      else expect(result).toMatchObject({ status: 'fulfilled', value: { rows: [[7]] } });
    });
  });

  test('are answered by another connection when one in front took theirs: its answer was too large', async () => {
    const huge = `select string_agg(md5(n::text), '') from generate_series(1, ${LIMITS.resultBytes / 8}) as g(n)`;
    const results = await modules().run(installation, {}, async (env) =>
      Promise.allSettled(
        Array.from({ length: MANY }, (_, index) => query(env, index === 0 ? huge : 'select 8')),
      ),
    );
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'LIMIT' } });
    for (const result of results.slice(1))
      expect(result).toMatchObject({ status: 'fulfilled', value: { rows: [[8]] } });
  });

  test('all end with an invocation that is killed, and leave no connection taken', async () => {
    const invocation = modules().invoke(installation);
    const codes = Array.from({ length: MANY }, () =>
      query(invocation.env, SLOW).then(
        () => 'OK',
        (error: unknown) => (error as { code: string }).code,
      ),
    );
    await expect.poll(() => modules().pools.size).toBeGreaterThanOrEqual(LIMITS.dbConnectionsPerInstallation);
    await invocation.end(false);
    for (const code of await Promise.all(codes)) expect(code).toMatch(/^(?:CANCELLED|ENDED)$/);
    const again = await modules().run(installation, {}, async (env) => query(env, 'select 9'));
    expect(cell(again)).toBe(9);
  });
});

describe('a connection that runs several', () => {
  test('gives each its time from when its turn comes, and says which were not answered', async () => {
    const { role, schema } = { role: installation.names.login, schema: installation.names.schema };
    const lease = await modules().pools.acquire({ role, schema }, { deadlineAt: performance.now() + 5_000 });
    let turns = 0;
    const answers = lease.connection.runEach(
      [
        { sql: 'select 1', parameters: [] },
        { sql: SLOW, parameters: [] },
        { sql: 'select 3', parameters: [] },
      ],
      () => ({ ...bounds(), ...(++turns === 2 ? { stopAt: performance.now() + 100 } : {}) }),
    );
    const [first, second, third] = await Promise.allSettled(answers);
    lease.release();
    expect(first).toMatchObject({ status: 'fulfilled', value: { rows: [[1]] } });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'TIMEOUT' } });
    expect(third).toMatchObject({ status: 'rejected', reason: expect.any(NotAnswered) });
    expect(turns).toBe(2);
  });

  test('refuses a statement of an invocation that is over already', async () => {
    const { login, schema } = installation.names;
    const wait = { deadlineAt: performance.now() + 5_000 };
    const lease = await modules().pools.acquire({ role: login, schema }, wait);
    const run = lease.connection.run(SLOW, [], { ...bounds(), signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(lease.connection.alive).toBe(true);
    lease.release();
  });

  test('cancels one whose turn comes when the invocation is over already', async () => {
    const { login, schema } = installation.names;
    const wait = { deadlineAt: performance.now() + 5_000 };
    const lease = await modules().pools.acquire({ role: login, schema }, wait);
    let turns = 0;
    const answers = lease.connection.runEach(
      ['select 1', SLOW].map((sql) => ({ sql, parameters: [] })),
      () => ({ ...bounds(), ...(++turns === 2 ? { signal: AbortSignal.abort() } : {}) }),
    );
    const [first, second] = await Promise.allSettled(answers);
    lease.release();
    expect(first?.status).toBe('fulfilled');
    expect(second).toMatchObject({ reason: { code: 'CANCELLED' } });
  });
});
