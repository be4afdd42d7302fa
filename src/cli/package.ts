/**
 * `npm run package`: the folder that is published as the npm package `bulkhead`. A checkout runs its TypeScript directly; Node does not under
 * node_modules, so the package holds JavaScript and declarations in the same places, and everything else as it is. Publish it with
 * `npm publish dist`; a test installs it and works with it.
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCAFFOLD = path.join('src', 'cli', 'scaffold');
/** Tools of a checkout. */
const NOT_PUBLISHED = ['src/cli/generate.ts', 'src/cli/package.ts'];
/** What outsiders import; the rest has no declarations of its own to keep. */
const ENTRIES = ['sandbox/guest/index.ts', 'src/kit/index.ts', 'src/host.ts'];
const COPIED = ['migrations', 'modules', 'docs/modules', 'docs/reference', 'README.md', 'CHANGELOG.md'];
const OURS = ['src', 'sandbox'];

const Manifest = v.looseObject({
  bin: v.record(v.string(), v.string()),
  exports: v.record(v.string(), v.union([v.string(), v.object({ types: v.string() })])),
});

interface Compiling {
  readonly out: string;
  readonly declarations: boolean;
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
}

/** Paths are the checkout's. @throws Error with what the compiler says */
async function compile({ out, declarations, include, exclude = [] }: Compiling): Promise<void> {
  const below = (name: string): string => path.join(ROOT, name);
  const project = path.join(ROOT, 'node_modules', '.package.tsconfig.json');
  const config = {
    extends: below('tsconfig.json'),
    include: include.map(below),
    exclude: exclude.map(below),
    compilerOptions: {
      noEmit: false,
      rewriteRelativeImportExtensions: true,
      rootDir: ROOT,
      outDir: out,
      ...(declarations ? { declaration: true, emitDeclarationOnly: true } : {}),
    },
  };
  await writeFile(project, JSON.stringify(config));
  const tsc = path.join(ROOT, 'node_modules', '.bin', 'tsc');
  const { status, stdout, stderr } = spawnSync(tsc, ['-p', project], { encoding: 'utf8' });
  await rm(project);
  if (status !== 0) throw new Error(`tsc: ${stdout}${stderr}`);
}

function isCopied(file: string): boolean {
  const name = path.relative(ROOT, file);
  if (name.split(path.sep).includes('node_modules')) return false;
  return (
    !name.endsWith('.ts') ||
    !OURS.some((folder) => name.startsWith(`${folder}${path.sep}`)) ||
    name.startsWith(SCAFFOLD)
  );
}

/** './src/host.ts' → its JavaScript and its declarations. */
function published(entry: string | { types: string }): object {
  const source = typeof entry === 'string' ? entry : entry.types;
  const types = source.replace(/\.ts$/, '.d.ts');
  return typeof entry === 'string' ? { types, default: source.replace(/\.ts$/, '.js') } : { types };
}

async function manifest(): Promise<string> {
  const own = v.parse(Manifest, JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')));
  const { private: _private, scripts: _scripts, devDependencies: _dev, allowScripts: _allow, ...rest } = own;
  const exports = Object.fromEntries(
    Object.entries(own.exports).map(([name, entry]) => [name, published(entry)]),
  );
  const bin = Object.fromEntries(
    Object.entries(own.bin).map(([name, file]) => [name, file.replace(/\.ts$/, '.js')]),
  );
  return `${JSON.stringify({ ...rest, bin, exports }, null, 2)}\n`;
}

/** Writes the package into `out`, which is emptied first. */
export async function buildPackage(out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await compile({ out, declarations: false, include: OURS, exclude: [SCAFFOLD, ...NOT_PUBLISHED] });
  await compile({ out, declarations: true, include: ENTRIES });
  for (const name of [...OURS, ...COPIED])
    await cp(path.join(ROOT, name), path.join(out, name), { recursive: true, filter: isCopied });
  await writeFile(path.join(out, 'package.json'), await manifest());
}

if (import.meta.main) {
  const out = path.resolve(process.argv[2] ?? path.join(ROOT, 'dist'));
  await buildPackage(out);
  console.log(`The package stands in ${out}. Publish it with: npm publish ${out}`);
}
