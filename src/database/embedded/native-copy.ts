/**
 * The mending of npm's PostgreSQL folder: the links that a tarball cannot carry, and a copy in a place the account may
 * enter. Root runs what is in that copy's place at every start, so a folder that somebody else could have prepared or
 * can still change is refused.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { array, object, parse, string } from 'valibot';

import { errorCode } from './errors.ts';

const LinksSchema = array(object({ source: string(), target: string() }));
const NOT_WRITABLE = new Set(['EACCES', 'EPERM', 'EROFS']);
/** Group or others may write. */
const WRITABLE_BY_OTHERS = 0o022;
const OWNER_MAY_RUN = 0o100;
const TRAVERSABLE = 0o755;
const READABLE = 0o644;

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the links that the package's install script would have made; does nothing where the folder is not ours to write. */
export function linkLibraries(native: string): void {
  const list = readIfThere(join(native, 'pg-symlinks.json'));
  if (list === undefined) return;
  for (const { source, target } of parse(LinksSchema, JSON.parse(list))) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      const code = errorCode(error);
      if (code !== undefined && NOT_WRITABLE.has(code)) return;
      if (code !== 'EEXIST') throw error;
    }
  }
}

/** Says why a folder is not to be trusted; undefined when only we (or root) can have filled it. */
export function distrust(folder: string): string | undefined {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return 'is not there';
  if (!stat.isDirectory()) return 'is not a folder';
  const self = process.getuid?.();
  if (self === undefined) return undefined;
  if (stat.uid !== self) return `belongs to uid ${stat.uid}`;
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) return 'can be changed by others';
  return undefined;
}

/** One name for each version of the source, so that an upgraded package is copied anew. */
function copyName(native: string): string {
  const packageFile = readIfThere(join(native, '..', 'package.json')) ?? '';
  return `postgres-${createHash('sha256').update(`${native}\0${packageFile}`).digest('hex').slice(0, 16)}`;
}

/** Lets everyone read and run the copy, which a strict umask at `npm ci` would not. */
function openToAll(folder: string): void {
  chmodSync(folder, TRAVERSABLE);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const isProgram = entry.isDirectory() || (lstatSync(path).mode & OWNER_MAY_RUN) !== 0;
    chmodSync(path, isProgram ? TRAVERSABLE : READABLE);
  }
}

function fill(native: string, place: string, folder: string): void {
  const fresh = mkdtempSync(join(place, 'copying-'));
  try {
    // The static libraries (.a) are for compilers.
    const filter = (source: string): boolean => !source.endsWith('.a');
    cpSync(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true, filter });
    linkLibraries(join(fresh, 'native'));
    openToAll(fresh);
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another host finished the same copy first.
    if (!existsSync(folder)) throw error;
  }
}

/** Copies npm's PostgreSQL folder under `place`, once for each version; a finished copy is used again. */
export function copyNative(
  native: string,
  place: string,
  log: (line: string) => void,
): { readonly native: string } | { readonly failure: string } {
  try {
    if (mkdirSync(place, { recursive: true }) !== undefined) chmodSync(place, TRAVERSABLE);
    const placeFault = distrust(place);
    if (placeFault !== undefined)
      return { failure: `${place}: ${placeFault}, so PostgreSQL is not copied there` };
    const folder = join(place, copyName(native));
    if (!existsSync(folder)) {
      log(`copying PostgreSQL to ${folder}, where its user may run it`);
      fill(native, place, folder);
    }
    const fault = distrust(folder);
    return fault === undefined ? { native: join(folder, 'native') } : { failure: `${folder}: ${fault}` };
  } catch (error) {
    return { failure: `${place}: ${error instanceof Error ? error.message : String(error)}` };
  }
}
