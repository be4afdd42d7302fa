/**
 * A lock file (the project's, the bench's) must name every optional platform package, or `npm ci` refuses the whole install. A registry
 * that lacks some of them makes npm leave them out without a word. Run as a program (`node test/support/lockfile.ts`) it adds what is
 * missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Package {
  readonly version?: string;
  readonly dev?: boolean;
  readonly license?: string;
  readonly engines?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly cpu?: readonly string[];
  readonly os?: readonly string[];
  readonly libc?: readonly string[];
  readonly optional?: boolean;
}
interface Lock {
  packages: Record<string, Package>;
}

/** By the folder they are of, from the project's root. */
export const LOCKS = ['.', 'test/bench'] as const;
export type LockFolder = (typeof LOCKS)[number];
const LIBC: Readonly<Record<string, string>> = {
  musl: 'musl',
  glibc: 'glibc',
  gnu: 'glibc',
  gnueabihf: 'glibc',
  musleabihf: 'musl',
};

function pathOf(folder: LockFolder): string {
  return fileURLToPath(new URL(`../../${folder}/package-lock.json`, import.meta.url));
}

export function readLock(folder: LockFolder): Lock {
  return JSON.parse(readFileSync(pathOf(folder), 'utf8')) as Lock;
}

export interface Missing {
  readonly name: string;
  readonly version: string;
  readonly wantedBy: Package;
}

export function missingOptional({ packages }: Lock): Missing[] {
  return Object.values(packages).flatMap((wantedBy) =>
    Object.entries(wantedBy.optionalDependencies ?? {})
      .filter(([name]) => packages[`node_modules/${name}`] === undefined)
      .map(([name, version]) => ({ name, version, wantedBy })),
  );
}

/** Names that some packages have for what npm calls otherwise. */
const SAME: Readonly<Record<string, string>> = { windows: 'win32', '64': 'x64' };

/** What the name says of the platform: '@scope/binding-linux-x64-musl'. */
function entryOf({ name, version, wantedBy }: Missing): Package {
  const [os = '', cpu = '', abi = ''] = (name.split('/')[1] ?? '')
    .replace(/^(?:binding|workerd)-/, '')
    .split('-')
    .map((part) => SAME[part] ?? part);
  const libc = LIBC[abi];
  return {
    version,
    cpu: [cpu],
    ...(wantedBy.dev === true ? { dev: true } : {}),
    ...(libc === undefined ? {} : { libc: [libc] }),
    ...(wantedBy.license === undefined ? {} : { license: wantedBy.license }),
    optional: true,
    os: [os],
    ...(wantedBy.engines === undefined ? {} : { engines: wantedBy.engines }),
  };
}

function complete(folder: LockFolder): void {
  const lock = readLock(folder);
  const missing = missingOptional(lock);
  for (const entry of missing) lock.packages[`node_modules/${entry.name}`] = entryOf(entry);
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(pathOf(folder), `${JSON.stringify(lock, null, 2)}\n`);
  process.stdout.write(`${folder}: ${missing.length} platform packages added\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const folder of LOCKS) complete(folder);
