/**
 * Which of the author's files go into a package. The list says what is taken and not what is left out, so that a forgotten .env,
 * a key or a dump in the folder never travels; in views/ and lang/, where every file is meant, an odd one is an error.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { MODULE_JSON } from './identity.ts';
import { placeOf, README, SOURCE_FOLDER } from './layout.ts';
import { refusal, shown } from './refusal.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

const NOT_SOURCE: ReadonlySet<string> = new Set(['views', 'lang', 'test', 'node_modules']);

/**
 * Reads one file of the module, unless it is too large. A link anywhere on the way is refused, since it could carry any file
 * of the author's disk into the package.
 * @param root the module's folder with its own links followed
 * @throws HostError MISSING_FILE, NOT_A_FILE, FILE_TOO_LARGE
 */
export async function readModuleFile(
  root: string,
  name: string,
  limits: PackageLimits,
): Promise<PackageFile> {
  const file = path.join(root, name);
  const real = await realpath(file).catch(() => undefined);
  if (real === undefined) throw refusal('MISSING_FILE', `the module has no ${shown(name)}`, { path: name });
  if (real !== file)
    throw refusal('NOT_A_FILE', `${shown(name)} is reached through a link; put the file itself there`, {
      path: name,
    });
  const stats = await stat(file);
  if (!stats.isFile()) throw refusal('NOT_A_FILE', `${shown(name)} is not a file`, { path: name });
  if (stats.size > limits.fileBytes) {
    throw refusal('FILE_TOO_LARGE', `the file ${shown(name)} is larger than ${limits.fileBytes} bytes`, {
      path: name,
      limitBytes: limits.fileBytes,
    });
  }
  return { path: name, bytes: await readFile(file) };
}

interface Walk {
  readonly root: string;
  /** Enter this folder? Names are relative to the root, with `/`. */
  readonly enters: (folder: string) => boolean;
  /** Take this file? */
  readonly takes: (file: string) => boolean;
}

/** Names of what is not a folder under a folder, which may be missing; readModuleFile refuses what is not a file either. */
async function walk({ root, enters, takes }: Walk, folder: string): Promise<string[]> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (enters(name)) names.push(...(await walk({ root, enters, takes }, name)));
    } else if (takes(name)) {
      names.push(name);
    }
  }
  return names;
}

function placed(name: string): string {
  if (placeOf(name) !== undefined) return name;
  const where = name.startsWith('views/')
    ? 'views/ holds .liquid templates, views/assets/ styles, scripts, images and fonts'
    : 'lang/ holds en.json, pl.json, …';
  throw refusal('UNKNOWN_FILE', `the file ${shown(name)} has no place in a module: ${where}`, { path: name });
}

/** The author's source: all TypeScript, and whatever else was bundled. */
async function sourceNames(root: string, bundled: readonly string[]): Promise<string[]> {
  const names = await walk(
    {
      root,
      enters: (folder) => !NOT_SOURCE.has(folder) && !folder.endsWith('/node_modules'),
      takes: (file) => /\.[mc]?ts$/.test(file) && !/\.test\.[mc]?ts$/.test(file),
    },
    '',
  );
  return [...new Set([...names, ...bundled])];
}

/** All files of a module's package but the bundled script and map. `bundled` are the own files that went into the script. @throws HostError */
export async function collectFiles(
  root: string,
  bundled: readonly string[],
  logo: string | undefined,
  limits: PackageLimits,
): Promise<PackageFile[]> {
  const everything: Omit<Walk, 'root'> = { enters: () => true, takes: () => true };
  const shipped = [
    ...(await walk({ root, ...everything }, 'views')),
    ...(await walk({ root, ...everything }, 'lang')),
  ].map(placed);
  const sources = await sourceNames(root, bundled);
  if (shipped.length + sources.length > limits.files) {
    throw refusal('TOO_MANY_FILES', `the module has more than ${limits.files} files`, {
      limit: limits.files,
    });
  }
  const readme = (await readdir(root)).includes(README) ? [README] : [];
  const names = new Set([MODULE_JSON, ...shipped, ...readme, ...(logo === undefined ? [] : [logo])]);
  const files: PackageFile[] = [];
  if (logo !== undefined && !existsSync(path.join(root, logo)))
    throw refusal('MISSING_FILE', `module.json: logo: there is no file ${shown(logo)} in the module`, {
      path: logo,
    });
  for (const name of names) files.push(await readModuleFile(root, name, limits));
  for (const name of sources)
    files.push({ ...(await readModuleFile(root, name, limits)), path: SOURCE_FOLDER + name });
  return files;
}
