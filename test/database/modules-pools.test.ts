import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test, vi } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import { createInstallationSchema } from '../../src/database/modules/installation-schema.ts';
import { installationNames } from '../../src/database/modules/names.ts';
import { derivedRolePassword } from '../../src/database/modules/passwords.ts';
import { ModulePools } from '../../src/database/modules/pools.ts';
import type { Identity, Lease, PoolLimits } from '../../src/database/modules/pools.ts';
import { useTestModulesDatabase } from '../support/database.ts';

const rolePassword = derivedRolePassword(new TextEncoder().encode('a key'));
const modules = useTestModulesDatabase();
const identities: Identity[] = [];

beforeAll(async () => {
  for (let index = 0; index < 3; index++) {
    const names = installationNames('test3', randomUUID());
    await createInstallationSchema(modules().sql, names, rolePassword);
    identities.push({ role: names.login, schema: names.schema });
  }
});

function identity(index: number): Identity {
  const found = identities[index];
  if (found === undefined) throw new Error('no such identity');
  return found;
}

async function withPools<T>(
  limits: Partial<PoolLimits>,
  work: (pools: ModulePools) => Promise<T>,
): Promise<T> {
  const pools = new ModulePools({ endpoint: modules().endpoint, rolePassword, limits });
  try {
    return await work(pools);
  } finally {
    await pools.close();
  }
}

async function soon(pools: ModulePools, who: number, ms = 2_000): Promise<Lease> {
  return pools.acquire(identity(who), { deadlineAt: performance.now() + ms });
}

async function ask(lease: Lease, sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await lease.connection.run(sql, parameters, {
    stopAt: performance.now() + 2_000,
    maxBytes: 1_000_000,
  });
  return rows[0]?.[0];
}

describe('pools', () => {
  test('connect as the role, with its schema in front and UTC', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      expect(await ask(lease, 'select current_user::text')).toBe(identity(0).role);
      expect(await ask(lease, 'select current_schema()::text')).toBe(identity(0).schema);
      expect(await ask(lease, 'show timezone')).toBe('UTC');
      lease.release();
    });
  });

  test('open a connection when it is needed and use it again', async () => {
    await withPools({}, async (pools) => {
      expect(pools.size).toBe(0);
      const pids = new Set<unknown>();
      for (let round = 0; round < 5; round++) {
        const lease = await soon(pools, 0);
        pids.add(await ask(lease, 'select pg_backend_pid()'));
        lease.release();
      }
      expect(pids.size).toBe(1);
      expect(pools.size).toBe(1);
    });
  });

  test('give one role no more than its part, and the rest waits in order', async () => {
    await withPools({ connectionsPerRole: 2 }, async (pools) => {
      const held = [await soon(pools, 0), await soon(pools, 0)];
      const order: number[] = [];
      const waiting = [1, 2].map(async (number) => {
        const lease = await soon(pools, 0);
        order.push(number);
        lease.release();
      });
      (await soon(pools, 1)).release();
      expect(order).toEqual([]);
      for (const lease of held) lease.release();
      await Promise.all(waiting);
      expect(order).toEqual([1, 2]);
    });
  });

  test('close the longest unused connection when another role needs the place', async () => {
    await withPools({ connections: 2 }, async (pools) => {
      for (const who of [0, 1]) {
        const lease = await soon(pools, who);
        await ask(lease, 'select 1');
        lease.release();
      }
      (await soon(pools, 2)).release();
      expect(pools.size).toBe(2);
      await vi.waitFor(async () => {
        const [row] = await modules()
          .sql`select count(*)::int as n from pg_stat_activity where usename = ${identity(0).role}`;
        expect(row?.['n']).toBe(0);
      });
    });
  });

  test('let nobody wait beyond the deadline or the end of the invocation, and lose no connection to those who left', async () => {
    await withPools({ connections: 1 }, async (pools) => {
      const held = await soon(pools, 0);
      await expect(soon(pools, 1, 30)).rejects.toMatchObject({ code: 'TIMEOUT' });
      const ended = new AbortController();
      const waiting = pools.acquire(identity(1), {
        deadlineAt: performance.now() + 5_000,
        signal: ended.signal,
      });
      ended.abort();
      // In the same turn: whoever left must not be handed what is released now.
      held.release();
      await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
      const lease = await soon(pools, 1);
      expect(await ask(lease, 'select 1')).toBe(1);
      lease.release();
      expect(pools.size).toBe(1);
    });
  });

  test('serve a role that can be served past one that has its part', async () => {
    await withPools({ connections: 2, connectionsPerRole: 1 }, async (pools) => {
      const zero = await soon(pools, 0);
      const one = await soon(pools, 1);
      const again = soon(pools, 0);
      const two = soon(pools, 2);
      one.release();
      const lease = await two;
      expect(await ask(lease, 'select current_user::text')).toBe(identity(2).role);
      lease.release();
      zero.release();
      (await again).release();
    });
  });

  test('replace a connection that was lost, held or idle', async () => {
    await withPools({ connectionsPerRole: 1 }, async (pools) => {
      const lost = await soon(pools, 0);
      lost.connection.abandon();
      await expect(ask(lost, 'select 1')).rejects.toMatchObject({ code: 'CONFLICT' });
      lost.release();
      const idle = await soon(pools, 0);
      expect(await ask(idle, 'select 1')).toBe(1);
      idle.release();
      idle.connection.abandon();
      const fresh = await soon(pools, 0);
      expect(await ask(fresh, 'select 1')).toBe(1);
      fresh.release();
    });
  });

  test('take a second release for nothing', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      lease.release();
      lease.release();
      const [one, two] = [await soon(pools, 0), await soon(pools, 0)];
      expect(one.connection).not.toBe(two.connection);
      one.release();
      two.release();
    });
  });

  test('close what lies idle for long, and all of one role on demand', async () => {
    await withPools({ idleMs: 20 }, async (pools) => {
      (await soon(pools, 0)).release();
      await vi.waitFor(() => expect(pools.size).toBe(0));
    });
    await withPools({}, async (pools) => {
      (await soon(pools, 0)).release();
      (await soon(pools, 1)).release();
      await pools.drain(identity(0).role);
      expect(pools.size).toBe(1);
    });
  });

  test('are closed for good', async () => {
    const pools = new ModulePools({ endpoint: modules().endpoint, rolePassword });
    const lease = await soon(pools, 0);
    await pools.close();
    lease.release();
    expect(pools.size).toBe(0);
    await expect(soon(pools, 0)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('a connection', () => {
  test('reports an unreachable server as ours', async () => {
    const pools = new ModulePools({
      endpoint: { ...modules().endpoint, host: '127.0.0.1', port: 1 },
      rolePassword,
    });
    const lease = await soon(pools, 0);
    await expect(ask(lease, 'select 1')).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(lease.connection.alive).toBe(false);
    lease.release();
    await pools.close();
  });

  test('runs one statement at a time, whatever the text', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      await expect(ask(lease, 'select 1; select 2')).rejects.toMatchObject({ code: '42601' });
      lease.release();
    });
  });

  test('prepares what comes again, and no more than a bounded number of texts', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      const prepared = (): Promise<unknown> =>
        ask(lease, "select count(*)::int4 from pg_prepared_statements where statement like '%as mine'");
      await ask(lease, 'select $1::int4 as mine', [1]);
      expect(await prepared()).toBe(0);
      expect(await ask(lease, 'select $1::int4 as mine', [2])).toBe(2);
      expect(await prepared()).toBe(1);
      for (let text = 0; text < 300; text++) {
        await ask(lease, `select ${text} as mine`);
        await ask(lease, `select ${text} as mine`);
      }
      expect(await prepared()).toBeGreaterThan(10);
      expect(await prepared()).toBeLessThanOrEqual(64);
      lease.release();
    });
  });

  test('goes on with a prepared text after its table was changed', async () => {
    const { schema } = identity(1);
    await using admin = connectHost(modules().admin, { max: 1 });
    const { sql } = admin;
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 1);
      await sql.unsafe(`create table ${schema}.changing (a int)`);
      await sql.unsafe(`insert into ${schema}.changing values (1)`);
      await sql.unsafe(
        `grant usage on schema ${schema} to public; grant select on ${schema}.changing to public`,
      );
      const all = async (): Promise<number> => {
        const { columns } = await lease.connection.run('select * from changing where a = $1', [1], {
          stopAt: performance.now() + 2_000,
          maxBytes: 1_000_000,
        });
        return columns.length;
      };
      expect([await all(), await all(), await all()]).toEqual([1, 1, 1]);
      await sql.unsafe(`alter table ${schema}.changing add column b int`);
      expect(await all()).toBe(2);
      lease.release();
    });
  });

  test('goes on within the transaction that changed the table of a prepared text', async () => {
    const { role, schema } = identity(2);
    const owner = { role: role.replace(/_use$/, '_own'), schema };
    await withPools({}, async (pools) => {
      const soonOwner = async () => pools.acquire(owner, { deadlineAt: performance.now() + 5_000 });
      const run = async (lease: Lease, text: string) =>
        lease.connection.run(text, [], { stopAt: performance.now() + 2_000, maxBytes: 1_000_000 });
      const [made, changing] = [await soonOwner(), await soonOwner()];
      await run(made, 'create table altered (a int)');
      const all = async () => (await run(changing, 'select * from altered')).columns.length;
      await run(changing, 'begin');
      expect([await all(), await all(), await all()]).toEqual([1, 1, 1]);
      await run(changing, 'alter table altered add column b int');
      expect(await all()).toBe(2);
      await run(changing, 'commit');
      made.release();
      changing.release();
    });
  });

  test('has its clock here and on the server: turning off the server’s does not help', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      await ask(lease, 'set statement_timeout = 0');
      const run = lease.connection.run('select pg_sleep(30)', [], {
        stopAt: performance.now() + 50,
        maxBytes: 1_000,
      });
      await expect(run).rejects.toMatchObject({ code: 'TIMEOUT' });
      expect(lease.connection.alive).toBe(false);
      lease.release();
    });
  });

  test('stops one huge cell before it is all here', async () => {
    await withPools({}, async (pools) => {
      const lease = await soon(pools, 0);
      const before = lease.connection.receivedBytes;
      const run = lease.connection.run("select repeat('x', 100000000)", [], {
        stopAt: performance.now() + 20_000,
        maxBytes: 1_000_000,
      });
      await expect(run).rejects.toMatchObject({ code: 'LIMIT' });
      expect(lease.connection.receivedBytes - before).toBeLessThan(5_000_000);
      lease.release();
    });
  });
});
