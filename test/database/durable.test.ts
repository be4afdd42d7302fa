/** The host's client of PostgreSQL when connections are lost under it: what runs fails, what follows works, and the process lives. */
import { sql as fragment } from 'kysely';
import { expect, it } from 'vitest';
import { connectHost, type HostConnection } from '../../src/database/connect.ts';
import { asAdmin, useTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const database = useTestDatabase();
const ROUNDS = 10;
const LOST = /CONNECTION_|was lost|terminating connection/;

/** Ends a connection and waits until PostgreSQL has. */
async function terminate(pid: number): Promise<void> {
  await asAdmin(`select pg_terminate_backend(${pid})`);
  await using other = connectHost(database().admin, { max: 1 });
  await until('the connection to end', async () => {
    const left = await other.sql`select from pg_stat_activity where pid = ${pid}`;
    return left.length === 0;
  });
}

const pidOf = async (rows: Promise<readonly { pid: number }[]>): Promise<number> => (await rows)[0]?.pid ?? 0;

async function works({ sql, db }: HostConnection): Promise<void> {
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  expect(await sql.begin(async (trx) => trx`select 2 as two`)).toEqual([{ two: 2 }]);
  const { rows } = await db.transaction().execute(async (trx) => fragment`select 3 as three`.execute(trx));
  expect(rows).toEqual([{ three: 3 }]);
}

it('a transaction whose connection is lost between its statements fails, and all that follows works', async () => {
  await using host = connectHost(database().endpoint, { max: 3 });
  for (let round = 0; round < ROUNDS; round += 1) {
    const lost = host.db.transaction().execute(async (trx) => {
      const { rows } = await fragment<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
      await terminate(rows[0]?.pid ?? 0);
      await fragment`select 1`.execute(trx);
    });
    await expect(lost).rejects.toThrow(LOST);
    await works(host);
  }
});

it('a transaction of the client itself whose connection is lost while it does nothing is told', async () => {
  await using host = connectHost(database().endpoint, { max: 3 });
  for (let round = 0; round < ROUNDS; round += 1) {
    const lost = host.sql.begin(async (trx) => {
      await terminate(await pidOf(trx<{ pid: number }[]>`select pg_backend_pid() as pid`));
      await new Promise(() => undefined);
    });
    await expect(lost).rejects.toThrow(LOST);
    await works(host);
  }
});

it('a statement whose connection is lost fails, and what is asked of it again and again does too', async () => {
  await using host = connectHost(database().endpoint, { max: 2 });
  const reserved = await host.sql.reserve();
  const pid = await pidOf(reserved<{ pid: number }[]>`select pg_backend_pid() as pid`);
  const sleeping = reserved`select pg_sleep(60)`.then(
    () => 'slept',
    (error: unknown) => String(error),
  );
  await terminate(pid);
  expect(await sleeping).toMatch(LOST);
  for (let round = 0; round < ROUNDS; round += 1) await expect(reserved`select 1`).rejects.toThrow(LOST);
  await works(host);
});

it('a pool whose idle connections were all lost opens new ones', async () => {
  await using host = connectHost(database().endpoint, { max: 3 });
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = await Promise.all(
      Array.from({ length: 3 }, async () =>
        pidOf(host.sql<{ pid: number }[]>`select pg_backend_pid() as pid`),
      ),
    );
    await Promise.all([...new Set(pids)].map(terminate));
    await until('the loss to be noticed', async () =>
      works(host).then(
        () => true,
        () => false,
      ),
    );
  }
});

it('a server that is not there fails each query, more of them than the pool has places', async () => {
  await using host = connectHost({ ...database().endpoint, port: 1 }, { max: 2 });
  for (let round = 0; round < ROUNDS; round += 1)
    await expect(host.sql`select 1`).rejects.toThrow(/ECONNREFUSED|ENOENT/);
});

it('a client that was closed refuses what is asked of it, and is closed again without harm', async () => {
  const host = connectHost(database().endpoint, { max: 2 });
  await works(host);
  await host.close();
  await host.close();
  await expect(host.sql`select 1`).rejects.toThrow(/CONNECTION_ENDED/);
});
