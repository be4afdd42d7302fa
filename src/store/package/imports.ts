/**
 * What a module may import, decided at packing time so that a mistake shows on the author's machine and not in a tenant's panel:
 * 'bulkhead' (given by the sandbox), its own files, and npm packages that run without Node. A relative import that leaves the
 * module's folder would put somebody else's file into the package, so it is an error wherever it points.
 */
import { isBuiltin } from 'node:module';
import path from 'node:path';
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild';

/** The name under which errors show the generated entry; it has no file. */
export const REGISTRY = '<registry>';

const CODE = /\.(?:[mc]?[jt]s|json)$/;
const RESOLVED_BY_US = Symbol('resolved by the import policy');

/** True for a file inside a folder, links already followed. */
export function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return (
    relative !== '' &&
    relative !== '..' &&
    !relative.startsWith(`..${path.sep}`) &&
    !path.isAbsolute(relative)
  );
}

function fromNpm(file: string): boolean {
  return file.split(path.sep).includes('node_modules');
}

function noNode(written: string): string {
  return `“${written}” is part of Node, which a sandboxed module does not have; use this.http, this.db, … or web standards`;
}

function fail(text: string): OnResolveResult {
  return { errors: [{ text }] };
}

function leaves(written: string): string {
  return `“${written}” leaves the module’s folder; copy the file into the module or import it from an npm package`;
}

/** True for an import that a module's own file writes as a path, and not as a package's name. */
function isOwnPath(root: string, { path: written, importer }: OnResolveArgs): boolean {
  return (
    (/^\.\.?(?:\/|$)/.test(written) || path.isAbsolute(written)) && !fromNpm(path.relative(root, importer))
  );
}

/** Why an import may not be followed at all, by what is written. */
function objectionToText(root: string, args: OnResolveArgs): string | undefined {
  const written = args.path;
  if (written.startsWith('bulkhead/')) {
    return `“${written}” does not exist in the sandbox; everything is exported by “bulkhead”`;
  }
  if (written.startsWith('node:')) return noNode(written);
  if (/^[a-z][a-z0-9+.-]+:/i.test(written)) {
    return `“${written}” is an address; install the package with npm and import it by name`;
  }
  const outside = isOwnPath(root, args) && !isInside(root, path.resolve(args.resolveDir, written));
  return outside ? leaves(written) : undefined;
}

/** Why the file that an import was resolved to, links followed, may not be bundled. */
function objectionToFile(root: string, args: OnResolveArgs, file: string): string | undefined {
  const allowed = isInside(root, file) || (fromNpm(file) && !isOwnPath(root, args));
  if (!allowed) return leaves(args.path);
  if (CODE.test(file)) return undefined;
  return `“${args.path}” is not code; only TypeScript, JavaScript and JSON can be imported (styles and images go to views/assets/)`;
}

async function resolve(
  build: PluginBuild,
  root: string,
  args: OnResolveArgs,
): Promise<OnResolveResult | undefined> {
  if (args.pluginData === RESOLVED_BY_US) return undefined;
  if (args.path === 'bulkhead') return { path: 'bulkhead', external: true };
  const before = objectionToText(root, args);
  if (before !== undefined) return fail(before);
  const { importer, namespace, resolveDir, kind } = args;
  const found = await build.resolve(args.path, {
    importer,
    namespace,
    resolveDir,
    kind,
    pluginData: RESOLVED_BY_US,
  });
  if (found.errors.length > 0)
    return isBuiltin(args.path) ? fail(noNode(args.path)) : { errors: found.errors };
  if (found.namespace !== 'file') return found;
  const after = objectionToFile(root, args, found.path);
  return after === undefined ? found : fail(after);
}

/** The esbuild plugin for a module whose folder (links followed) is `root`. */
export function importPolicy(root: string): Plugin {
  return {
    name: 'module imports',
    setup(build) {
      build.onResolve({ filter: /.*/ }, (args) =>
        args.kind === 'entry-point' ? undefined : resolve(build, root, args),
      );
    },
  };
}
