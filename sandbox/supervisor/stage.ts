/**
 * The staging folder: all that a runner process may read. The runner and the guest are bundled into one script each, the addon is
 * copied beside them, and, when runners get a uid of their own, the folder lies where that uid can enter. Read-only, new for
 * each start, removed at close; one whose host was killed, by the next start.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdtempSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { removeStage, stagePrefix, sweepStages } from './leftovers.ts';

const SNAPSHOT_BYTES = 64 * 1024 * 1024;
const SNAPSHOT_TIMEOUT_MS = 10_000;
const SANDBOX = fileURLToPath(new URL('..', import.meta.url));
/** '.ts' in a checkout, '.js' in the published package. */
const EXTENSION = extname(import.meta.filename);

export interface Stage {
  readonly folder: string;
  /** The Node binary that runners are started with. */
  readonly node: string;
  /** Hash of the guest script: part of what a measurement or a cache is keyed by. */
  readonly guestSha256: string;
  remove(): void;
}

/** Builds the staging folder. @param otherUid true if runners will not have this process's uid */
export async function createStage(otherUid: boolean): Promise<Stage> {
  sweepStages(tmpdir());
  const folder = mkdtempSync(join(tmpdir(), stagePrefix()));
  try {
    const [runner, guest] = await Promise.all([bundleRunner(), bundleGuest()]);
    writeFileSync(join(folder, 'runner.mjs'), runner, { mode: 0o444 });
    writeFileSync(join(folder, 'guest.js'), guest, { mode: 0o444 });
    copyFileSync(addonPath(), join(folder, 'isolated_vm.node'));
    chmodSync(join(folder, 'isolated_vm.node'), 0o555);
    const node = otherUid ? enterableNode(folder) : process.execPath;
    writeSnapshot(folder);
    chmodSync(folder, 0o555);
    const guestSha256 = createHash('sha256').update(guest).digest('hex');
    return { folder, node, guestSha256, remove: () => removeStage(folder) };
  } catch (error) {
    removeStage(folder);
    throw error;
  }
}

/**
 * The heap of an isolate in which the guest has run: each isolate begins as a copy of it instead of running the guest's half a megabyte again.
 * Empty if this V8 cannot make one; isolates then run the script. Whether it holds is tried in a process of its own, since V8 ends
 * a process over a bad one, and a seed that only the process that made it has would hide that.
 */
function writeSnapshot(folder: string): void {
  const path = join(folder, 'guest.snapshot');
  const made = runnerAs('snapshot', folder);
  writeFileSync(path, made.status === 0 ? made.stdout : '', { mode: 0o644 });
  if (runnerAs('try', folder).status !== 0) writeFileSync(path, '');
  chmodSync(path, 0o444);
}

function runnerAs(what: 'snapshot' | 'try', folder: string) {
  return spawnSync(
    process.execPath,
    ['--no-node-snapshot', '--no-warnings', join(folder, 'runner.mjs'), what],
    { cwd: folder, env: {}, maxBuffer: SNAPSHOT_BYTES, timeout: SNAPSHOT_TIMEOUT_MS },
  );
}

async function bundleRunner(): Promise<string> {
  const result = await build({
    entryPoints: [join(SANDBOX, `runner/main${EXTENSION}`)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'silent',
  });
  return textOf(result.outputFiles);
}

/** The guest as one script. Its last act is to seal the world, for which it names each of its own top-level values. */
export async function bundleGuest(): Promise<string> {
  const result = await build({
    entryPoints: [join(SANDBOX, `guest/boot${EXTENSION}`)],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    // Its Node build reads files; the isolate has none.
    alias: { liquidjs: join(packageRoot('liquidjs'), 'dist/liquid.browser.mjs') },
    target: 'es2024',
    logLevel: 'silent',
    legalComments: 'none',
  });
  const sealed = withSeal(textOf(result.outputFiles));
  // Half of it is comments of libraries, which each isolate would have to read.
  const { code } = await transform(sealed, {
    minifyWhitespace: true,
    target: 'es2024',
    legalComments: 'none',
  });
  return asciiOnly(code);
}

/** One letter beyond Latin-1 would have every isolate keep the whole text with two bytes a letter. What is left of them stands in literals. */
function asciiOnly(code: string): string {
  return code.replace(/[^ -~\n]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function textOf(files: readonly { readonly text: string }[]): string {
  const text = files[0]?.text;
  if (text === undefined) throw new Error('esbuild wrote nothing');
  return text;
}

/**
 * Adds a call of `seal` with every top-level name of the bundle, so that nothing shared can be forgotten, whichever
 * library class a module gets hold of. esbuild indents a bundle's top level by two spaces.
 */
function withSeal(bundle: string): string {
  const names = new Set(
    [...bundle.matchAll(/^ {2}(?:var|let|const|class|function\*?|async function\*?) ([\w$]+)/gm)].map(
      (match) => match[1],
    ),
  );
  const end = bundle.lastIndexOf('})();');
  if (end < 0 || names.size === 0) throw new Error('the guest bundle does not have the expected form');
  return `${bundle.slice(0, end)}  globalThis.__bulkhead.seal([${[...names].join(', ')}]);\n})();\n`;
}

/** The folder of an installed package; found by its entry, since not every package shows its package.json. */
function packageRoot(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const marker = join('node_modules', name);
  return entry.slice(0, entry.lastIndexOf(marker) + marker.length);
}

/** The prebuilt addon for this Node and C library. */
function addonPath(): string {
  const root = packageRoot('isolated-vm');
  const prebuilt = createRequire(join(root, 'package.json'))('node-gyp-build') as {
    path(root: string): string;
  };
  return prebuilt.path(root);
}

/** A Node binary that any uid can run: ours if every folder above it may be entered, else a copy in the staging folder. */
function enterableNode(folder: string): string {
  if (othersMayRun(process.execPath)) return process.execPath;
  const copy = join(folder, 'node');
  copyFileSync(process.execPath, copy, constants.COPYFILE_FICLONE);
  chmodSync(copy, 0o555);
  return copy;
}

function othersMayRun(path: string): boolean {
  const OTHERS_EXECUTE = 0o001;
  accessSync(path, constants.X_OK);
  for (let current = path; ; current = dirname(current)) {
    if ((statSync(current).mode & OTHERS_EXECUTE) === 0) return false;
    if (current === dirname(current)) return true;
  }
}
