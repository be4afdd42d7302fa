/**
 * A module's code as one script. The author's machine does this and never the host: a bundler follows imports, reads files and
 * obeys package.json fields, all things that a stranger's source must not make a server do. Settings that an outer tsconfig.json
 * could change are fixed here, so that a module gives the same script wherever it is packed.
 */
import { build } from 'esbuild';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { aboutFile, buildRefusal } from './build-message.ts';
import { importPolicy, isInside, REGISTRY } from './imports.ts';
import { SCRIPT, SOURCE_MAP } from './layout.ts';
import { redeclaredProperties } from './redeclared.ts';
import type { BuildFailure, Message, Metafile } from 'esbuild';
import type { BuildMessage } from './build-message.ts';

export interface Bundle {
  readonly script: Uint8Array;
  readonly sourceMap: Uint8Array;
  /** The module's own files that went into the script, relative to its folder, with `/`. */
  readonly inputs: readonly string[];
  readonly warnings: readonly BuildMessage[];
}

const HOOKS = 'hooks.ts';
const CONTROLLER_FILE = /^[A-Z][A-Za-z0-9]*Controller\.ts$/;

/** esbuild speaks of the generated entry when an author's file lacks something; say it of the author's file. */
function translate({ text, location }: Message): BuildMessage {
  if (location?.file === REGISTRY) {
    const missing = /^Could not resolve "\.\/(.*)"$/.exec(text)?.[1];
    if (missing !== undefined)
      return aboutFile(missing, 'is missing; the entry file is named exactly like the module, with .ts');
    const lacking = /^No matching export in "(.*)" for import "default"$/.exec(text)?.[1];
    if (lacking !== undefined)
      return aboutFile(lacking, `has no default export; write “export default class …”`);
  }
  return {
    text: advised(text),
    file: location?.file,
    line: location?.line,
    column: location ? location.column + 1 : undefined,
  };
}

/** The bundler's words, and what an author does about them. */
function advised(text: string): string {
  const missing = /^Could not resolve "(.*)"$/.exec(text)?.[1];
  if (missing?.startsWith('.') === true)
    return `there is no file “${missing}”; write its path as it is, with .ts`;
  if (missing !== undefined && !/^(?:@[\w-]+\/)?[\w-][\w.-]*(?:\/|$)/.test(missing))
    return `“${missing}” is no package’s name; write the file’s path, like ./services/x.ts (a tsconfig.json’s aliases are not followed)`;
  if (missing !== undefined)
    return `“${missing}” is not installed; run npm install ${missing} beside the module, or leave it out`;
  if (text.startsWith('Top-level await'))
    return 'a module has no top-level await; move it into a method, such as activate()';
  return text;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** The controllers' class names, which are their file names. */
async function controllersOf(root: string): Promise<string[]> {
  const names = (await namesIn(path.join(root, 'controllers'))).filter(
    (name) => /\.[mc]?[jt]sx?$/.test(name) && !/\.(?:test|d)\.ts$/.test(name),
  );
  const wrong = names.filter((name) => !CONTROLLER_FILE.test(name));
  if (wrong.length > 0) {
    const text =
      'is not a controller: name it after its class, like ServerController.ts, or move it to services/';
    throw buildRefusal(wrong.map((name) => aboutFile(`controllers/${name}`, text)));
  }
  return names.map((name) => name.slice(0, -'.ts'.length));
}

/**
 * The generated entry: imports everything the host looks for and hands it over under the names that the sandbox reads. As an assignment,
 * since it runs anew for each invocation and what esbuild makes of `export` defines a getter for each name and copies them.
 */
function registrySource(entryName: string, controllers: readonly string[], hasHooks: boolean): string {
  return [
    `import Entry from './${entryName}.ts';`,
    ...controllers.map((name) => `import ${name} from './controllers/${name}.ts';`),
    // For what it does at its top level: on(…).
    ...(hasHooks ? [`import './${HOOKS}';`] : []),
    `const controllers = { ${controllers.join(', ')} };`,
    'module.exports = { default: Entry, controllers };',
  ].join('\n');
}

/** npm packages may lie anywhere above the module; their place on the author's disk is nobody's business. */
function portableSource(source: string): string {
  const at = source.lastIndexOf('node_modules/');
  return at < 0 ? source : source.slice(at);
}

function portableSourceMap(text: string): Uint8Array {
  const map: unknown = JSON.parse(text);
  if (typeof map !== 'object' || map === null || !('sources' in map) || !Array.isArray(map.sources))
    throw new TypeError('esbuild wrote no sources');
  return Buffer.from(
    JSON.stringify({ ...map, sources: map.sources.map((source: unknown) => portableSource(String(source))) }),
    'utf8',
  );
}

function ownInputs(root: string, metafile: Metafile): string[] {
  return Object.keys(metafile.inputs)
    .filter(
      (input) =>
        input !== REGISTRY &&
        isInside(root, path.resolve(root, input)) &&
        !input.split('/').includes('node_modules'),
    )
    .sort();
}

async function runEsbuild(root: string, contents: string) {
  try {
    return await build({
      stdin: { contents, resolveDir: root, sourcefile: REGISTRY, loader: 'js' },
      absWorkingDir: root,
      outfile: path.join(root, SCRIPT),
      write: false,
      bundle: true,
      format: 'cjs',
      platform: 'browser',
      target: 'es2024',
      charset: 'utf8',
      define: { 'process.env.NODE_ENV': '"production"' },
      sourcemap: 'external',
      sourcesContent: false,
      metafile: true,
      logLevel: 'silent',
      tsconfigRaw: { compilerOptions: { useDefineForClassFields: true } },
      plugins: [importPolicy(root)],
    });
  } catch (error) {
    throw isBuildFailure(error) ? buildRefusal(error.errors.map(translate)) : error;
  }
}

/**
 * Bundles the entry, hooks.ts and all controllers of a module.
 * @param root the module's folder, absolute and with links followed
 * @throws HostError BAD_INPUT with reason BUILD_FAILED and `data.errors`
 */
export async function bundleModule(root: string, entryName: string): Promise<Bundle> {
  const controllers = await controllersOf(root);
  const hasHooks = (await namesIn(root)).includes(HOOKS);
  const redeclared = await redeclaredProperties(root, [
    `${entryName}.ts`,
    ...controllers.map((name) => `controllers/${name}.ts`),
  ]);
  if (redeclared.length > 0) throw buildRefusal(redeclared);
  const result = await runEsbuild(root, registrySource(entryName, controllers, hasHooks));
  const output = (name: string) => result.outputFiles.find((file) => path.basename(file.path) === name);
  const script = output(SCRIPT);
  const sourceMap = output(SOURCE_MAP);
  if (script === undefined || sourceMap === undefined) throw new TypeError('esbuild wrote no script');
  return {
    script: script.contents,
    sourceMap: portableSourceMap(sourceMap.text),
    inputs: ownInputs(root, result.metafile),
    warnings: result.warnings.map(translate),
  };
}
