import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { findBinaries, packagedNative } from '../../src/database/embedded/binaries.ts';
import { accountIn, postgresIdentity } from '../../src/database/embedded/identity.ts';
import { copyNative } from '../../src/database/embedded/native-copy.ts';
import { IS_ROOT, temporaryFolder } from '../support/embedded.ts';

const silent = (): void => undefined;
const identity = postgresIdentity();

/** As npm unpacks it when no install scripts may run: without the links. */
function unpackWithoutLinks(into: string): string {
  const native = join(into, 'native');
  cpSync(packagedNative() ?? '', native, { recursive: true, verbatimSymlinks: true });
  const lib = join(native, 'lib');
  for (const name of readdirSync(lib)) {
    if (lstatSync(join(lib, name)).isSymbolicLink()) rmSync(join(lib, name));
  }
  return native;
}

/** A stand-in for a system's PostgreSQL of any version; only its --version is asked for here. */
function systemPostgres(into: string, version: string): string {
  for (const name of ['postgres', 'initdb']) {
    writeFileSync(join(into, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`, { mode: 0o755 });
  }
  return into;
}

test.runIf(process.platform === 'linux')(
  'the library links are made where npm ran no install scripts',
  () => {
    using folder = temporaryFolder();
    const native = unpackWithoutLinks(folder.path);
    const found = findBinaries({ identity, copyTo: [], native, systemDirs: [], log: silent });
    expect(found).toEqual({ binDir: join(native, 'bin'), major: 18 });
  },
);

test.runIf(IS_ROOT)(
  'binaries in a folder closed to PostgreSQL’s account are copied once to one that is open',
  () => {
    using closed = temporaryFolder(0o700);
    using open = temporaryFolder();
    const native = unpackWithoutLinks(closed.path);
    chmodSync(native, 0o700);
    const lines: string[] = [];
    const options = {
      identity,
      copyTo: [open.path],
      native,
      systemDirs: [],
      log: (line: string) => void lines.push(line),
    };
    const first = findBinaries(options);
    const second = findBinaries(options);
    expect(first.binDir.startsWith(open.path)).toBe(true);
    expect(second).toEqual(first);
    expect(lines).toHaveLength(1);
    expect(readdirSync(open.path)).toHaveLength(1);
  },
);

test('a copy unpacked under a strict umask is opened to all and changed by none', () => {
  using source = temporaryFolder();
  using place = temporaryFolder();
  const native = join(source.path, 'native');
  mkdirSync(join(native, 'bin'), { recursive: true, mode: 0o700 });
  writeFileSync(join(native, 'bin', 'postgres'), '', { mode: 0o700 });
  writeFileSync(join(native, 'bin', 'data'), '', { mode: 0o666 });
  const copy = copyNative(native, place.path, silent);
  if ('failure' in copy) throw new Error(copy.failure);
  const modes = ['bin', 'bin/postgres', 'bin/data'].map(
    (name) => statSync(join(copy.native, name)).mode & 0o777,
  );
  expect(modes).toEqual([0o755, 0o755, 0o644]);
});

test('a place that others may write is not copied to', () => {
  using place = temporaryFolder(0o777);
  expect(copyNative(packagedNative() ?? '', place.path, silent)).toMatchObject({
    failure: expect.stringContaining('can be changed by others'),
  });
  expect(readdirSync(place.path)).toEqual([]);
});

test('a finished copy that others may write is not run', () => {
  using source = temporaryFolder();
  using place = temporaryFolder();
  const native = join(source.path, 'native');
  mkdirSync(join(native, 'bin'), { recursive: true });
  copyNative(native, place.path, silent);
  for (const name of readdirSync(place.path)) chmodSync(join(place.path, name), 0o777);
  expect(copyNative(native, place.path, silent)).toMatchObject({
    failure: expect.stringContaining('can be changed by others'),
  });
});

test.runIf(IS_ROOT)('a place that another account prepared is not used', () => {
  using place = temporaryFolder();
  chownSync(place.path, 1, 1);
  expect(copyNative(packagedNative() ?? '', place.path, silent)).toMatchObject({
    failure: expect.stringContaining('belongs to uid 1'),
  });
});

test('a system’s PostgreSQL is taken where npm installed none', () => {
  using folder = temporaryFolder();
  const binDir = systemPostgres(folder.path, '17.4 (Debian 17.4-1)');
  const found = findBinaries({ identity, copyTo: [], systemDirs: [binDir], log: silent });
  expect(found).toEqual({ binDir, major: 17 });
});

test('an old system’s PostgreSQL is named and refused, with what to do', () => {
  using folder = temporaryFolder();
  const binDir = systemPostgres(folder.path, '15.9');
  const find = (): unknown => findBinaries({ identity, copyTo: [], systemDirs: [binDir], log: silent });
  expect(find).toThrow(/Set DATABASE_URL.*is PostgreSQL 15; 17 or newer is needed/s);
});

test('the account is postgres, else nobody, never one without a positive uid', () => {
  const nobody = 'nobody:x:65534:65533::/:/bin/false';
  expect(accountIn(`root:x:0:0::/root:/bin/sh\n${nobody}\npostgres:x:101:104::/:/bin/sh`)).toEqual({
    uid: 101,
    gid: 104,
  });
  expect(accountIn(`root:x:0:0::/root:/bin/sh\n${nobody}\n`)).toEqual({ uid: 65_534, gid: 65_533 });
  expect(accountIn('nobody:*:-2:-2::/:/bin/false')).toBeUndefined();
});

test.runIf(IS_ROOT)('a uid without a name is told to set DATABASE_URL', () => {
  const script = `const { postgresIdentity } = await import(${JSON.stringify(new URL('../../src/database/embedded/identity.ts', import.meta.url).href)});
process.setuid(54321);
try { postgresIdentity(); } catch (error) { process.stdout.write(error.message); }`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(run.stdout).toMatch(/uid 54321 has no entry in \/etc\/passwd.*DATABASE_URL/);
});
