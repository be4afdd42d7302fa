/**
 * What an editor and `tsc --noEmit` need in a module's folder, wherever it stands: a tsconfig.json, and 'bulkhead' to be found. A module
 * installs nothing, so links in its node_modules lead to this very program; pack follows neither. A real install above the folder is left alone.
 */
import { existsSync } from 'node:fs';
import { lstat, mkdir, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const TSCONFIG = 'tsconfig.json';

/** Loose where an author may choose, strict where the sandbox is: no DOM, no Node in the module's own code but in test/. */
const CONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable', 'esnext.iterator'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: ['node'],
    noEmit: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitOverride: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    skipLibCheck: true,
  },
  exclude: ['node_modules'],
};

export const TSCONFIG_TEXT = `${JSON.stringify(CONFIG, null, 2)}\n`;

const OWN = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');

/** True if a package is installed in the folder or above it; a link that leads nowhere is none. */
function isFound(folder: string, name: string): boolean {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, 'node_modules', name))) return true;
    if (at === path.dirname(at)) return false;
  }
}

function nodeTypes(): string | undefined {
  try {
    return path.dirname(createRequire(import.meta.url).resolve('@types/node/package.json'));
  } catch {
    return undefined;
  }
}

/** Makes 'bulkhead' and Node's types resolve in the folder. A disk without links is no reason to stop: only the editor misses them. */
export async function linkForEditor(folder: string): Promise<void> {
  const links = [
    ['bulkhead', OWN],
    ['@types/node', nodeTypes()],
  ] as const;
  for (const [name, target] of links) {
    if (target === undefined || folder.startsWith(`${OWN}${path.sep}`) || isFound(folder, name)) continue;
    const link = path.join(folder, 'node_modules', name);
    try {
      await mkdir(path.dirname(link), { recursive: true });
      // A program that was moved leaves a link that leads nowhere.
      if (
        await lstat(link).then(
          (found) => found.isSymbolicLink(),
          () => false,
        )
      )
        await rm(link);
      await symlink(target, link, 'junction');
    } catch {
      return;
    }
  }
}
