import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { executable, findBinaries, packagedNative } from '../../src/database/embedded/binaries.ts';
import { ENVIRONMENT } from '../../src/database/embedded/environment.ts';
import { postgresIdentity } from '../../src/database/embedded/identity.ts';
import { lockDataDir } from '../../src/database/embedded/lock.ts';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import { FAST, isAlive, otherHost, temporaryFolder, until } from '../support/embedded.ts';
import type { TemporaryFolder } from '../support/embedded.ts';

let folder: TemporaryFolder;
let dataDir: string;

beforeAll(async () => {
  folder = temporaryFolder();
  dataDir = join(folder.path, 'data');
  await using postgres = await startEmbedded({ dataDir, settings: FAST });
  await postgres.stop();
});
afterAll(() => folder[Symbol.dispose]());

test('a second host on the same directory is told who has it', async () => {
  await using other = await otherHost(dataDir);
  await expect(startEmbedded({ dataDir, settings: FAST })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining(`${dataDir} is in use by pid ${other.pid}`),
  });
  expect(isAlive(other.postgresPid)).toBe(true);
});

test('a second host inside one process is refused as well', () => {
  using place = temporaryFolder();
  const lock = lockDataDir(place.path);
  expect(() => lockDataDir(place.path)).toThrow(`in use by pid ${process.pid}`);
  lock.release();
  lockDataDir(place.path).release();
});

test('a host killed with -9 takes PostgreSQL along, and the directory is free', async () => {
  await using other = await otherHost(dataDir);
  await other.kill();
  await until('PostgreSQL has stopped', () => !isAlive(other.postgresPid));
  await using postgres = await startEmbedded({ dataDir, settings: FAST });
  expect(postgres.pid).not.toBe(other.postgresPid);
});

test('a host that ends without stop() may end, and takes PostgreSQL along', async () => {
  await using other = await otherHost(dataDir, 'leave');
  await other.exited;
  await until('PostgreSQL has stopped', () => !isAlive(other.postgresPid));
  expect(pidFile(join(dataDir, 'pg'))).toBe('');
});

test('a lock left by a host whose pid is another living process by now does not block', async () => {
  writeFileSync(join(dataDir, 'host.pid'), `${process.ppid}\n`);
  await using postgres = await startEmbedded({ dataDir, settings: FAST });
  expect(isAlive(postgres.pid)).toBe(true);
});

test('PostgreSQL is out of reach of a Ctrl-C in the host’s terminal', async () => {
  await using postgres = await startEmbedded({ dataDir, settings: FAST });
  const group = spawn('ps', ['-o', 'pgid=', '-p', String(postgres.pid)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  group.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(group, 'close');
  await postgres.stop();
  expect(Number(output)).toBe(postgres.pid);
});

test('an orphan that still serves the directory is stopped first', async () => {
  const identity = postgresIdentity();
  const binaries = findBinaries({ identity, copyTo: [], native: packagedNative(), log: () => undefined });
  const cluster = join(dataDir, 'pg');
  const orphan = spawn(
    executable(binaries, 'postgres'),
    ['-D', cluster, '-c', 'listen_addresses=', '-k', join(dataDir, 's')],
    {
      ...identity,
      cwd: '/',
      env: ENVIRONMENT,
      stdio: 'ignore',
    },
  );
  const gone = once(orphan, 'exit');
  await until('the orphan serves', () => pidFile(cluster).includes('ready'));
  const lines: string[] = [];
  await using postgres = await startEmbedded({
    dataDir,
    settings: FAST,
    log: (line) => void lines.push(line),
  });
  await gone;
  await postgres.stop();
  expect(lines.join('\n')).toContain(`an earlier host left running (pid ${orphan.pid})`);
});

function pidFile(cluster: string): string {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8');
  } catch {
    return '';
  }
}

test('a stale pid file naming another living program is removed, and the program left alone even if it works in the folder', async () => {
  const file = join(dataDir, 'pg', 'postmaster.pid');
  const program = spawn('sleep', ['60'], {
    ...postgresIdentity(),
    cwd: join(dataDir, 'pg'),
    stdio: 'ignore',
  });
  const gone = once(program, 'exit');
  try {
    writeFileSync(file, `${program.pid}\n${join(dataDir, 'pg')}\n1\n5432\n\n\n\nready   \n`);
    await using postgres = await startEmbedded({ dataDir, settings: FAST });
    await postgres.stop();
    expect(program.exitCode ?? program.signalCode).toBe(null);
  } finally {
    rmSync(file, { force: true });
    program.kill('SIGKILL');
    await gone;
  }
});
