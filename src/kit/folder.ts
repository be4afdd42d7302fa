/** Where a module's folder is, from the name an author uses for it: 'Product/MyCloudService'. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';

const Names = v.looseObject({ type: v.string(), name: v.string() });

/** Type and name as a folder's module.json has them; undefined for a folder that is no module. */
export function moduleNamed(folder: string): string | undefined {
  const file = path.join(folder, 'module.json');
  if (!existsSync(file)) return undefined;
  try {
    const parsed = v.safeParse(Names, JSON.parse(readFileSync(file, 'utf8')));
    return parsed.success ? `${parsed.output.type}/${parsed.output.name}` : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Looks in the present folder and in each above it: for the module itself, and for modules/{Type}/{Name}.
 * @throws HostError NOT_FOUND
 */
export function findModule(name: string, from: string = process.cwd()): string {
  for (let folder = path.resolve(from); ; folder = path.dirname(folder)) {
    if (moduleNamed(folder) === name) return folder;
    const below = path.join(folder, 'modules', name);
    if (moduleNamed(below) === name) return below;
    if (folder === path.dirname(folder)) break;
  }
  throw new HostError(
    'NOT_FOUND',
    `There is no module ${name} here: neither a folder modules/${name} nor a module.json of that type and name, in ${path.resolve(from)} or above it.`,
  );
}
