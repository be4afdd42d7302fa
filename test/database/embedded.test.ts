import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import type { EmbeddedPostgres } from '../../src/database/embedded/start.ts';
import { forPg } from '../../src/database/endpoint.ts';
import { FAST, IS_ROOT, isAlive, temporaryFolder } from '../support/embedded.ts';
import type { TemporaryFolder } from '../support/embedded.ts';

async function ask(postgres: EmbeddedPostgres, question: string): Promise<unknown> {
  await using connection = connectHost(postgres.url(), { max: 1 });
  const [row] = await connection.sql.unsafe(question);
  return row?.['answer'];
}

describe('a data directory', () => {
  let folder: TemporaryFolder;
  let dataDir: string;
  beforeAll(() => {
    folder = temporaryFolder();
    dataDir = join(folder.path, 'new', 'data');
  });
  afterAll(() => folder[Symbol.dispose]());

  test('is created at the first start, which is announced, and kept by the next', async () => {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const first = await startEmbedded({ dataDir, settings: FAST, log });
    await ask(first, 'create table kept as select 7 as answer');
    await first.stop();
    expect(lines[0]).toContain('creating the database (first start)');

    lines.length = 0;
    const second = await startEmbedded({ dataDir, settings: FAST, log });
    const answer = await ask(second, 'select answer from kept');
    await second.stop();
    expect(answer).toBe(7);
    expect(lines).toEqual([]);
  });

  test('is open to nobody else', async () => {
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    await postgres.stop();
    const names = ['superuser.password', 'pg', 's'];
    expect(names.filter((name) => (statSync(join(dataDir, name)).mode & 0o077) !== 0)).toEqual([]);
  });

  test('sorts and folds letters alike on every machine, and keeps UTC', async () => {
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    const [folded, locale, zone] = [
      await ask(postgres, `select upper('äé') as answer`),
      await ask(
        postgres,
        `select datlocprovider::text || ':' || datlocale as answer from pg_database where datname = 'postgres'`,
      ),
      await ask(postgres, `select current_setting('TimeZone') as answer`),
    ];
    await postgres.stop();
    expect([folded, locale, zone]).toEqual(['ÄÉ', 'b:C.UTF-8', 'UTC']);
  });

  test('is reached by pg, which graphile-worker uses, through the same endpoint', async () => {
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    const client = new Client(forPg(postgres.endpoint()));
    await client.connect();
    const { rows } = await client.query('select 1 as answer');
    await client.end();
    const byUrl = new Client(postgres.url());
    await byUrl.connect();
    await byUrl.end();
    await postgres.stop();
    expect(rows).toEqual([{ answer: 1 }]);
  });

  test('refuses a wrong password', async () => {
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    await using connection = connectHost(postgres.endpoint({ password: 'guess' }), { max: 1 });
    await expect(connection.sql`select 1`).rejects.toMatchObject({ code: '28P01' });
    await postgres.stop();
  });

  test('is given back by stop(), which waits for the end and may be called again', async () => {
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    await Promise.all([postgres.stop(), postgres.stop()]);
    expect(isAlive(postgres.pid)).toBe(false);
    expect(existsSync(join(dataDir, 'pg', 'postmaster.pid'))).toBe(false);
    await postgres.stop();
    expect(await postgres.exited).toBe(0);
  });

  test('is given back when PostgreSQL does not start, and its own words are told', async () => {
    const wrong = startEmbedded({ dataDir, settings: { ...FAST, shared_buffers: 'plenty' } });
    await expect(wrong).rejects.toThrow(/did not start.*shared_buffers.*plenty/s);
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    await postgres.stop();
  });

  test('whose path is too long for a socket is served on loopback', async () => {
    using deep = temporaryFolder();
    await using postgres = await startEmbedded({ dataDir: join(deep.path, 'x'.repeat(90)), settings: FAST });
    const answer = await ask(postgres, 'select host(inet_server_addr()) as answer');
    await postgres.stop();
    expect([postgres.host, answer]).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  test('made half way is made anew', async () => {
    using half = temporaryFolder();
    mkdirSync(join(half.path, 'pg.init'));
    writeFileSync(join(half.path, 'pg.init', 'PG_VERSION'), '18\n');
    writeFileSync(join(half.path, 'superuser.password'), 'of the first try');
    await using postgres = await startEmbedded({ dataDir: half.path, settings: FAST });
    const answer = await ask(postgres, 'select 1 as answer');
    await postgres.stop();
    expect([answer, postgres.password === 'of the first try']).toEqual([1, false]);
  });

  test('of another major version is refused by number', async () => {
    using old = temporaryFolder();
    mkdirSync(join(old.path, 'pg'));
    writeFileSync(join(old.path, 'pg', 'PG_VERSION'), '9\n');
    await expect(startEmbedded({ dataDir: old.path })).rejects.toThrow('the data directory was made by 9');
  });

  test('that lost its password file says which', async () => {
    rmSync(join(dataDir, 'superuser.password'));
    await expect(startEmbedded({ dataDir })).rejects.toThrow('superuser.password is missing');
  });

  test.runIf(IS_ROOT)('keeps running as the account that made it', async () => {
    using place = temporaryFolder();
    await using first = await startEmbedded({ dataDir: place.path, settings: FAST });
    await first.stop();
    spawnSync('chown', ['-R', '65534:65534', join(place.path, 'pg')]);
    await using second = await startEmbedded({ dataDir: place.path, settings: FAST });
    expect(statSync(second.host)).toMatchObject({ uid: 65_534, gid: 65_534 });
  });

  test.runIf(IS_ROOT)('that this user may not write is refused with what to do', () => {
    using place = temporaryFolder();
    const script = `const { lockDataDir } = await import(${JSON.stringify(new URL('../../src/database/embedded/lock.ts', import.meta.url).href)});
process.setuid(65534);
try { lockDataDir(process.argv[1]); } catch (error) { process.stdout.write(error.message); }`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script, place.path], {
      encoding: 'utf8',
    });
    expect(run.stdout).toContain(`${place.path} cannot be used by this user`);
  });

  test.runIf(IS_ROOT)(
    'under a folder that PostgreSQL’s account may not enter is served all the same',
    async () => {
      using closed = temporaryFolder(0o700);
      const inside = join(closed.path, 'data');
      const first = await startEmbedded({ dataDir: inside, settings: FAST });
      await ask(first, 'create table kept as select 8 as answer');
      await first.stop();
      const second = await startEmbedded({ dataDir: inside, settings: FAST });
      const answer = await ask(second, 'select answer from kept');
      await second.stop();
      expect([answer, second.host]).toEqual([8, join(inside, 's')]);
    },
  );
});
