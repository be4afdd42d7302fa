import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test, vi } from 'vitest';

import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Env } from '../../sandbox/guest/env.ts';
import { createDb } from '../../sandbox/guest/db.ts';
import { createDbBroker } from '../../src/brokers/db.ts';
import { DEPLOYMENT, useModules } from './db-support.ts';
import type { Installation } from './db-support.ts';

interface Tables {
  items: { id: number; text: string | null };
  made: { id: number };
}

const modules = useModules();
let installation: Installation;

function query(env: Env, text: string, parameters: unknown[] = [], trx?: number) {
  return env.call(
    'db',
    'query',
    trx === undefined ? { sql: text, parameters } : { sql: text, parameters, trx },
  );
}

async function count(where: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await modules().run(installation, {}, async (env) =>
    query(env, `select count(*) from ${where}`, parameters),
  );
  return rows[0]?.[0];
}

beforeAll(async () => {
  installation = await modules().install();
  await modules().activate(installation, async (env) => {
    await query(env, 'create table items (id int primary key, text text)');
    await query(env, 'create table child (id int primary key references items (id))');
  });
});

describe('refusals', () => {
  test('a module that was never enabled has no tables', async () => {
    const run = modules().run(installation, { installed: false }, async (env) => query(env, 'select 1'));
    await expect(run).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  test('no call works after the invocation has ended', async () => {
    const { env, end } = modules().invoke(installation);
    await query(env, 'select 1');
    await end();
    await expect(query(env, 'select 1')).rejects.toMatchObject({ code: 'ENDED' });
    await expect(env.call('db', 'begin', {})).rejects.toMatchObject({ code: 'ENDED' });
  });

  test('bad input is refused by the op before the broker sees it', async () => {
    const run = modules().run(installation, {}, async (env) =>
      query(env, 'x'.repeat(LIMITS.dbTextBytes + 1)),
    );
    await expect(run).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('another installation does not see the table', async () => {
    const other = await modules().install();
    const run = modules().run(other, {}, async (env) => query(env, 'select * from items'));
    await expect(run).rejects.toMatchObject({
      code: 'DB_ERROR',
      message: expect.stringContaining('there is no table "items"'),
    });
  });

  test('what is used is counted by the grant it uses', async () => {
    const invocation = modules().invoke(installation);
    await query(invocation.env, 'select 1');
    await query(invocation.env, 'insert into items values (9000)');
    await invocation.end();
    expect(invocation.used).toEqual(['db.tables', 'db.storage_mb']);
  });
});

describe('bounds', () => {
  test('more rows than dbRows are refused and stream() is named', async () => {
    const run = modules().run(installation, {}, async (env) =>
      query(env, `select n from generate_series(1, ${LIMITS.dbRows + 1}) as g(n)`),
    );
    await expect(run).rejects.toMatchObject({ code: 'LIMIT', message: expect.stringContaining('stream()') });
  });

  test('a write that returns too many rows is not done', async () => {
    const run = modules().run(installation, {}, async (env) =>
      query(
        env,
        `insert into items select n, 'too many' from generate_series(20000, ${20_000 + LIMITS.dbRows}) as g(n) returning id`,
      ),
    );
    await expect(run).rejects.toMatchObject({ code: 'LIMIT' });
    expect(await count("items where text = 'too many'")).toBe(0);
  });

  test('3,000 rows of a megabyte never come into memory', async () => {
    const before = process.memoryUsage().rss;
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
    const big = `select (select string_agg(md5((n * 100000 + m)::text), '') from generate_series(1, 32768) as h(m)) from generate_series(1, 3000) as g(n)`;
    const run = modules().run(installation, {}, async (env) => query(env, big));
    await expect(run).rejects.toMatchObject({
      code: 'LIMIT',
      message: expect.stringContaining('larger than'),
    });
    clearInterval(timer);
    expect((peak - before) / 1024 / 1024).toBeLessThan(200);
  });

  test('a statement that runs too long is cancelled at the invocation’s deadline, and the connection is replaced', async () => {
    const slow = `select count(*) from generate_series(1, 1000000000) as g(n)`;
    const run = modules().run(installation, { wallMs: 300 }, async (env) => query(env, slow));
    // In our words: PostgreSQL's own clock would end it too, seconds later.
    await expect(run).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('ask for less'),
    });
    const [busy] = await modules().database
      .sql`select count(*)::int as n from pg_stat_activity where query = ${slow} and state = 'active'`;
    expect(busy?.['n']).toBe(0);
    expect(await count('items')).toBeTypeOf('number');
  });

  test('an invocation that is killed takes its statement with it', async () => {
    const invocation = modules().invoke(installation);
    const slow = query(invocation.env, `select count(*) from generate_series(1, 1000000001) as g(n)`);
    const code = slow.then(
      () => 'OK',
      (error: unknown) => (error as { code: string }).code,
    );
    await sleep(50);
    await invocation.end(false);
    expect(await code).toBe('CANCELLED');
  });

  test('streams hand out rows that are large in small chunks', async () => {
    await modules().run(installation, {}, async (env) => {
      const { cursor } = await env.call('db', 'open', {
        sql: `select n, (select string_agg(md5((n * 1000 + m)::text), '') from generate_series(1, 3200) as h(m)) from generate_series(1, 60) as g(n)`,
        parameters: [],
      });
      const sizes: number[] = [];
      for (let done = false; !done;) {
        const chunk = await env.call('db', 'next', { cursor });
        done = chunk.done;
        sizes.push(chunk.rows.length);
      }
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(60);
      expect(Math.max(...sizes)).toBeLessThan(15);
    });
  });

  test('streams are counted, and one connection is left for statements', async () => {
    await modules().run(installation, {}, async (env) => {
      const open = () => env.call('db', 'open', { sql: 'select 1', parameters: [] });
      for (let index = 1; index < LIMITS.dbConnectionsPerInstallation; index++) await open();
      await expect(open()).rejects.toMatchObject({ code: 'LIMIT' });
      expect((await query(env, 'select 1')).rows).toEqual([[1]]);
    });
  });

  test('ending the invocation while transactions and streams open or run leaves no connection behind', async () => {
    const other = await modules().install();
    for (let round = 0; round < 20; round++) {
      const invocation = modules().invoke(other);
      const statement = { sql: 'select n from generate_series(1, 100000) as g(n)', parameters: [] };
      const calls = [
        invocation.env.call('db', 'open', statement),
        invocation.env
          .call('db', 'open', statement)
          .then(async ({ cursor }) => invocation.env.call('db', 'next', { cursor })),
        round % 2 === 0 ? query(invocation.env, 'select 1') : invocation.env.call('db', 'begin', {}),
      ];
      const settled = Promise.allSettled(calls);
      if (round > 5) await sleep(round / 5);
      await invocation.end(round % 3 === 0);
      await settled;
    }
    // All it may have can be had at once again.
    const lease = async () =>
      modules().pools.acquire(
        { role: other.names.login, schema: other.names.schema },
        { deadlineAt: performance.now() + 2_000 },
      );
    const leases = await Promise.all(Array.from({ length: LIMITS.dbConnectionsPerInstallation }, lease));
    for (const held of leases) {
      // No transaction was left open on it.
      const bounds = { stopAt: performance.now() + 2_000, maxBytes: 1_000 };
      await expect(held.connection.run('savepoint outside', [], bounds)).rejects.toMatchObject({
        code: '25P01',
      });
      held.release();
    }
  });

  test('only a plain SELECT is streamed', async () => {
    const run = modules().run(installation, {}, async (env) =>
      env.call('db', 'open', {
        sql: 'with gone as (delete from items returning id) select * from gone',
        parameters: [],
      }),
    );
    await expect(run).rejects.toMatchObject({ code: 'DB_REFUSED' });
  });
});

describe('transactions', () => {
  test('a statement outside the open transaction is refused with DB_USE_TRX', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await expect(query(env, 'select 1')).rejects.toMatchObject({ code: 'DB_USE_TRX' });
      await expect(env.call('db', 'begin', {})).rejects.toMatchObject({ code: 'DB_USE_TRX' });
      await expect(env.call('db', 'open', { sql: 'select 1', parameters: [] })).rejects.toMatchObject({
        code: 'DB_USE_TRX',
      });
      expect((await query(env, 'select 1', [], trx)).rows).toEqual([[1]]);
      await env.call('db', 'end', { trx, commit: true });
      expect((await query(env, 'select 2')).rows).toEqual([[2]]);
    });
  });

  test('only its own number opens it, and only while it lasts', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await expect(query(env, 'select 1', [], trx + 1)).rejects.toMatchObject({ code: 'CONFLICT' });
      await env.call('db', 'end', { trx, commit: true });
      await expect(query(env, 'select 1', [], trx)).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(env.call('db', 'end', { trx, commit: true })).rejects.toMatchObject({ code: 'CONFLICT' });
    });
  });

  test('one that nobody ends is rolled back with the invocation', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await query(env, 'insert into items values (1, $1)', ['left open'], trx);
    });
    expect(await count("items where text = 'left open'")).toBe(0);
  });

  test('a commit after a failed statement is an error and saves nothing', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await query(env, 'insert into items values (2, $1)', ['doomed'], trx);
      await expect(query(env, 'select no_such_column from items', [], trx)).rejects.toMatchObject({
        code: 'DB_ERROR',
      });
      await expect(query(env, 'select 1', [], trx)).rejects.toMatchObject({
        message: expect.stringContaining('earlier statement'),
      });
      await expect(env.call('db', 'end', { trx, commit: true })).rejects.toMatchObject({ code: 'DB_ERROR' });
      expect((await query(env, 'select 1')).rows).toEqual([[1]]);
    });
    expect(await count("items where text = 'doomed'")).toBe(0);
  });

  test('statements sent at once in one run one after the other', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          query(env, 'insert into items values ($1, $2)', [100 + index, 'at once'], trx),
        ),
      );
      await env.call('db', 'end', { trx, commit: true });
    });
    expect(await count("items where text = 'at once'")).toBe(20);
  });

  test('a stream inside one sees its rows and lets other statements through', async () => {
    await modules().run(installation, {}, async (env) => {
      const { trx } = await env.call('db', 'begin', {});
      await query(
        env,
        "insert into items select n, 'in trx' from generate_series(1000, 2999) as g(n)",
        [],
        trx,
      );
      const { cursor } = await env.call('db', 'open', {
        sql: "select id from items where text = 'in trx'",
        parameters: [],
        trx,
      });
      let rows = 0;
      for (let done = false; !done;) {
        const chunk = await env.call('db', 'next', { cursor });
        done = chunk.done;
        rows += chunk.rows.length;
        await query(env, "update items set text = 'seen' where id = $1", [chunk.rows[0]?.[0] ?? 0], trx);
      }
      expect(rows).toBe(2000);
      await env.call('db', 'end', { trx, commit: true });
    });
    expect(await count("items where text = 'seen'")).toBeGreaterThanOrEqual(4);
  });
});

describe('activate, update and deactivate', () => {
  test('happen wholly or not at all', async () => {
    const failed = modules().activate(installation, async (env) => {
      await query(env, 'create table half (id int)');
      await query(env, 'insert into half values (1)');
      throw new Error('the module failed');
    });
    await expect(failed).rejects.toThrow('the module failed');
    await expect(count('half')).rejects.toMatchObject({ code: 'DB_ERROR' });
  });

  test('let the module read and write afterwards what they made', async () => {
    const other = await modules().install();
    await modules().activate(other, async (env) => {
      await query(env, 'create table made (id bigserial primary key, n int)');
      await query(env, 'insert into made (n) values (1)');
    });
    const { rows } = await modules().run(other, {}, async (env) => {
      await query(env, 'insert into made (n) values (2)');
      await query(env, 'update made set n = n + 1');
      await query(env, 'delete from made where n = 2');
      return query(env, 'select n from made');
    });
    expect(rows).toEqual([[3]]);
  });

  test('may be run again on what is there', async () => {
    for (let round = 0; round < 2; round++) {
      await modules().activate(installation, async (env) =>
        query(env, 'create table if not exists again (id int)'),
      );
    }
    expect(await count('again')).toBe(0);
  });

  test('may catch the error of one statement and go on', async () => {
    await modules().activate(installation, async (env) => {
      await query(env, 'create table caught (id int primary key)');
      await expect(query(env, 'create table caught (id int)')).rejects.toMatchObject({ code: 'DB_ERROR' });
      await query(env, 'insert into caught values (1)');
    });
    expect(await count('caught')).toBe(1);
  });

  test('may undo a part of their own', async () => {
    await modules().activate(installation, async (env) => {
      const first = await env.call('db', 'begin', {});
      await query(env, 'create table part_undone (id int)', [], first.trx);
      await expect(query(env, 'select 1')).rejects.toMatchObject({ code: 'DB_USE_TRX' });
      await env.call('db', 'end', { trx: first.trx, commit: false });
      const second = await env.call('db', 'begin', {});
      await query(env, 'create table part_kept (id int)', [], second.trx);
      await env.call('db', 'end', { trx: second.trx, commit: true });
    });
    expect(await count('part_kept')).toBe(0);
    await expect(count('part_undone')).rejects.toMatchObject({ code: 'DB_ERROR' });
  });

  test('do not commit when a deferred constraint fails: ending them is the error', async () => {
    const invocation = modules().invoke(installation, { purpose: 'lifecycle', method: 'update' });
    await query(
      invocation.env,
      'create table late (id int primary key, other int references late (id) deferrable initially deferred)',
    );
    await query(invocation.env, 'insert into late values (1, 2)');
    await expect(invocation.end(true)).rejects.toMatchObject({ code: 'DB_ERROR' });
    await expect(count('late')).rejects.toMatchObject({ code: 'DB_ERROR' });
  });

  test('deactivate may not change tables, but may write rows', async () => {
    await modules().run(installation, { purpose: 'lifecycle', method: 'deactivate' }, async (env) => {
      await expect(query(env, 'drop table items')).rejects.toMatchObject({ code: 'DB_REFUSED' });
      await query(env, "insert into items values (500, 'goodbye')");
    });
    expect(await count("items where text = 'goodbye'")).toBe(1);
  });

  test('a page, a job and a webhook may not change tables', async () => {
    for (const purpose of ['request', 'job'] as const) {
      const run = modules().run(installation, { purpose, method: 'activate' }, async (env) =>
        query(env, 'create table no (id int)'),
      );
      await expect(run).rejects.toMatchObject({
        code: 'DB_REFUSED',
        message: expect.stringContaining('activate()'),
      });
    }
  });

  test('may make as many tables as are granted, and the one too many is undone', async () => {
    const other = await modules().install();
    await modules().activate(
      other,
      async (env) => {
        await query(env, 'create table t1 (id int)');
        await query(env, 'create table t2 (id int)');
        await expect(query(env, 'create table t3 (id int)')).rejects.toMatchObject({
          code: 'NOT_GRANTED',
          message: expect.stringContaining('permissions.db.tables'),
        });
        await query(env, 'drop table t2');
        await query(env, 'create table t4 (id int)');
      },
      { tables: 2 },
    );
  });
});

describe('storage', () => {
  async function overfilled(): Promise<Installation> {
    const full = await modules().install();
    await modules().activate(full, async (env) => query(env, 'create table blobs (id int, data text)'));
    await modules().run(full, { grant: { storage_mb: 1 } }, async (env) => {
      // Random enough not to be compressed away.
      await query(
        env,
        `insert into blobs select n, (select string_agg(md5((n * 1000 + m)::text), '') from generate_series(1, 100) as h(m)) from generate_series(1, 1000) as g(n)`,
      );
    });
    return full;
  }
  const small = { grant: { storage_mb: 1 } };

  test('over the grant nothing more is stored, reading and deleting go on, and then there is room again', async () => {
    const full = await overfilled();
    await modules().run(full, small, async (env) => {
      await expect(query(env, 'insert into blobs values (1)')).rejects.toMatchObject({
        code: 'DB_QUOTA',
        message: expect.stringContaining('storage_mb'),
      });
      await expect(query(env, 'update blobs set id = 2')).rejects.toMatchObject({ code: 'DB_QUOTA' });
      expect((await query(env, 'select count(*) from blobs')).rows).toEqual([[1000]]);
      expect((await query(env, 'delete from blobs where id > 10')).affected).toBe(990);
      expect((await query(env, 'insert into blobs values (1)')).affected).toBe(1);
    });
  });

  test('maintenance leaves no settings on a connection that activate() may get', async () => {
    const full = await overfilled();
    await modules().run(full, small, async (env) => {
      await query(env, 'delete from blobs');
      await query(env, 'insert into blobs values (1)');
    });
    const lease = await modules().pools.acquire(
      { role: full.names.owner, schema: full.names.schema },
      { deadlineAt: performance.now() + 2_000 },
    );
    const bounds = { stopAt: performance.now() + 2_000, maxBytes: 1_000 };
    const { rows } = await lease.connection.run("select current_setting('lock_timeout')", [], bounds);
    lease.release();
    expect(rows).toEqual([['0']]);
  });

  test('activate() may not overfill it, be it with rows or with an index, and may go on when it caught that', async () => {
    const other = await modules().install();
    await modules().activate(other, async (env) => query(env, 'create table blobs (id int)'));
    await modules().activate(
      other,
      async (env) => {
        // Held until the commit: a second connection that changed rights on the table would wait for it.
        await query(env, 'alter table blobs add column data text');
        await query(env, 'insert into blobs select n from generate_series(1, 20000) as g(n)');
        await expect(query(env, 'create index too_much on blobs (id)')).rejects.toMatchObject({
          code: 'DB_QUOTA',
        });
        const fill = 'insert into blobs select n, md5(n::text) from generate_series(1, 50000) as g(n)';
        await expect(query(env, fill)).rejects.toMatchObject({ code: 'DB_QUOTA' });
        await query(env, 'delete from blobs where id > 10');
      },
      { storage_mb: 1 },
    );
    const { rows } = await modules().run(other, {}, async (env) => query(env, 'select count(*) from blobs'));
    expect(rows).toEqual([[10]]);
  });

  test('another process finds the installation full too', async () => {
    const full = await overfilled();
    const elsewhere = createDbBroker({ pools: modules().pools, deploymentId: DEPLOYMENT });
    const run = modules().run(full, { ...small, broker: elsewhere }, async (env) =>
      query(env, 'insert into blobs values (1)'),
    );
    await expect(run).rejects.toMatchObject({ code: 'DB_QUOTA' });
  });

  test('a larger grant is noticed at once', async () => {
    const full = await overfilled();
    const { affected } = await modules().run(full, { grant: { storage_mb: 50 } }, async (env) =>
      query(env, 'insert into blobs values (1)'),
    );
    expect(affected).toBe(1);
  });

  test('a transaction that overfills it is undone', async () => {
    const other = await modules().install();
    await modules().activate(other, async (env) => query(env, 'create table blobs (id int, data text)'));
    const run = modules().run(other, small, async (env) =>
      createDb<Tables>(env)
        .transaction()
        .execute(async (trx) => {
          await sql`insert into blobs select n, (select string_agg(md5((n * 1000 + m)::text), '') from generate_series(1, 100) as h(m)) from generate_series(1, 1000) as g(n)`.execute(
            trx,
          );
        }),
    );
    await expect(run).rejects.toMatchObject({ code: 'DB_QUOTA' });
    const { rows } = await modules().run(other, {}, async (env) => query(env, 'select count(*) from blobs'));
    expect(rows).toEqual([[0]]);
  });
});

describe('errors', () => {
  async function failure(
    text: string,
    parameters: unknown[] = [],
  ): Promise<{ code: string; message: string }> {
    try {
      await modules().run(installation, {}, async (env) => query(env, text, parameters));
    } catch (error) {
      return error as { code: string; message: string };
    }
    throw new Error('it did not fail');
  }

  test.each([
    ['an unknown column', 'select nothing from items', 'DB_ERROR', 'column "nothing" does not exist'],
    ['an unknown table', 'select * from nowhere', 'DB_ERROR', 'there is no table "nowhere"'],
    [
      'a null that may not be',
      'insert into items (text) values (1)',
      'DB_ERROR',
      'null value in column "id"',
    ],
    ['a key to nothing', 'insert into child values (77)', 'DB_ERROR', 'foreign key'],
    ['a wrong type', "select 'x'::int", 'DB_ERROR', 'invalid input syntax for type integer'],
    ['a division by zero', 'select 1 / 0', 'DB_ERROR', 'division by zero'],
    [
      'a missing function',
      'select lower(1, 2)',
      'DB_ERROR',
      'function lower(integer, integer) does not exist',
    ],
  ])('%s is told to the author', async (_name, text, code, words) => {
    expect(await failure(text)).toMatchObject({ code, message: expect.stringContaining(words) });
  });

  test('a wrong parameter count, NUL and a wrong value are told', async () => {
    expect((await failure('select $1::int', ['x'])).message).toContain('invalid input syntax');
    expect((await failure('select $1::text', ['a\0b'])).code).toBe('DB_ERROR');
    expect((await failure('select $2::int', ['1'])).code).toBe('DB_ERROR');
  });

  test('no error names a schema or a role', async () => {
    for (const text of [
      'select * from nowhere',
      'insert into items (text) values (1)',
      'insert into child values (77)',
      'select nothing from items',
    ]) {
      const { message } = await failure(text);
      expect(message).not.toContain(installation.names.schema);
      expect(message).not.toContain('bh_');
    }
  });

  test('a lost connection is ours to explain, and the next statement has another one', async () => {
    const { env, end } = modules().invoke(installation);
    const { trx } = await env.call('db', 'begin', {});
    await query(env, 'select 1', [], trx);
    const { login } = installation.names;
    await modules().database.sql.begin(async (admin) => {
      await admin.unsafe(`set local role ${login}`);
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${login} and pid <> pg_backend_pid()`;
    });
    await expect(
      query(env, 'insert into items values ($1, $2)', [700, 'outside'], trx),
    ).rejects.toMatchObject({ code: expect.stringMatching(/INTERNAL|CONFLICT/) });
    await expect(
      query(env, 'insert into items values ($1, $2)', [700, 'outside'], trx),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await end(false);
    // Those that lay idle were ended too, and are noticed when their sockets close.
    await vi.waitFor(async () => expect(await count("items where text = 'outside'")).toBe(0));
  });
});

test('invocations do not see each other’s transactions', async () => {
  const one = modules().invoke(installation);
  const two = modules().invoke(installation);
  const { trx } = await one.env.call('db', 'begin', {});
  await query(one.env, 'insert into items values (800, $1)', ['of one'], trx);
  await expect(query(two.env, 'select 1', [], trx)).rejects.toMatchObject({ code: 'CONFLICT' });
  expect((await query(two.env, "select count(*) from items where text = 'of one'")).rows).toEqual([[0]]);
  await one.end();
  await two.end();
});
