import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import type { HostConnection } from '../../src/database/connect.ts';
import { MEMORY_LIMIT_MIB } from '../../src/database/embedded/settings.ts';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import type { EmbeddedPostgres } from '../../src/database/embedded/start.ts';
import { FAST, isAlive, temporaryFolder } from '../support/embedded.ts';
import type { TemporaryFolder } from '../support/embedded.ts';

const TEST_LIMIT_MIB = 600;

let folder: TemporaryFolder;
let postgres: EmbeddedPostgres;
let connection: HostConnection;

beforeAll(async () => {
  folder = temporaryFolder();
  const settings = { ...FAST, temp_file_limit: '1MB' };
  postgres = await startEmbedded({
    dataDir: join(folder.path, 'data'),
    settings,
    memoryLimitMib: TEST_LIMIT_MIB,
  });
  connection = connectHost(postgres.endpoint(), { max: 2 });
});
afterAll(async () => {
  await connection.close();
  await postgres.stop();
  folder[Symbol.dispose]();
});

test.runIf(process.platform === 'linux')('a memory bomb is refused and the server lives on', async () => {
  const { sql } = connection;
  const [before] = await sql`select pg_postmaster_start_time()::text as started, pg_backend_pid() as backend`;
  const bomb = sql`select cardinality(array_agg(repeat('x', 100000))) from generate_series(1, 8000)`;
  await expect(bomb).rejects.toMatchObject({ code: '53200' });
  const [after] = await sql`select pg_postmaster_start_time()::text as started, pg_backend_pid() as backend`;
  expect(after).toEqual(before);
  expect(isAlive(postgres.pid)).toBe(true);
});

test('a sort that would fill the disk is refused', async () => {
  const spill = connection.sql`select md5(n::text) as word from generate_series(1, 500000) n order by word offset 499999`;
  await expect(spill).rejects.toMatchObject({ code: '53400' });
});

test.runIf(process.platform === 'linux')(
  'the usual memory limit leaves room for the usual settings',
  async () => {
    using place = temporaryFolder();
    await using usual = await startEmbedded({ dataDir: join(place.path, 'data') });
    await using own = connectHost(usual.endpoint(), { max: 1 });
    const [row] = await own.sql`
    select cardinality(array_agg(repeat('x', 100000))) as rows, current_setting('temp_file_limit') as spill
    from generate_series(1, 1000)`;
    await own.close();
    await usual.stop();
    expect(row).toEqual({ rows: 1000, spill: '1GB' });
    expect(MEMORY_LIMIT_MIB).toBeGreaterThan(TEST_LIMIT_MIB);
  },
);
