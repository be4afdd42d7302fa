/**
 * A03: `super()` sets module_name, product_data and the rest, and a field of the same name in the subclass would set it back to
 * undefined right afterwards, silently. TypeScript accepts it, so the kit looks: esbuild is asked to write class fields the old
 * way, as calls after `super(…)`, where they can be told from everything else without a parser of ours.
 */
import { transform } from 'esbuild';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BuildMessage } from './build-message.ts';

/** The properties that the base classes set or answer. */
export const INHERITED: ReadonlySet<string> = new Set([
  'module_name',
  'module_type',
  'module_version',
  'module_data',
  'product_uuid',
  'product_data',
  'service_uuid',
  'service_data',
  'instance',
  'webhook_url',
  'tenant',
  'locale',
  'task_uuid',
  'auth',
  'config',
  'db',
  'http',
  'tasks',
  'events',
  'net',
  'schedule',
  'step',
  'view',
  'cache',
  'events',
  'crypt',
  'secret',
  'secrets',
  'service',
  'invoices',
  'clients',
  'products',
  'mail',
  'notify',
  'net',
  'smtp',
  'validate',
  'now',
  't',
  'measure',
]);

/** Fields that a derived class sets after super(), in esbuild's lowered text. */
function fieldsOfDerivedClasses(lowered: string): string[] {
  const names: string[] = [];
  let derived = false;
  for (const line of lowered.split('\n')) {
    if (/^\s*constructor\(/.test(line)) derived = false;
    if (/^\s*super\(/.test(line)) derived = true;
    const name = /^\s*__publicField\(this, "(\w+)"/.exec(line)?.[1];
    if (derived && name !== undefined) names.push(name);
  }
  return names;
}

/** The first line of the source that could be the field's declaration. */
function lineOf(source: string, name: string): number | undefined {
  const declaration = new RegExp(
    `^\\s*(?:(?:public|protected|private|readonly|override)\\s+)*${name}\\s*[?!:=;]`,
  );
  const index = source.split('\n').findIndex((line) => declaration.test(line));
  return index < 0 ? undefined : index + 1;
}

async function redeclaredIn(root: string, file: string): Promise<BuildMessage[]> {
  let source: string;
  try {
    source = await readFile(path.join(root, file), 'utf8');
  } catch {
    return [];
  }
  const tsconfigRaw = { compilerOptions: { useDefineForClassFields: true } };
  let code: string;
  try {
    ({ code } = await transform(source, { loader: 'ts', target: 'es2021', logLevel: 'silent', tsconfigRaw }));
  } catch {
    return [];
  }
  const text = (name: string) =>
    `the field “${name}” hides the one that the base class sets; write “declare ${name}: …” or remove it`;
  return fieldsOfDerivedClasses(code)
    .filter((name) => INHERITED.has(name))
    .map((name) => ({ file, line: lineOf(source, name), column: undefined, text: text(name) }));
}

/** Complaints about inherited properties that these files declare again. What cannot be read or parsed is left to the bundler to report. */
export async function redeclaredProperties(root: string, files: readonly string[]): Promise<BuildMessage[]> {
  return (await Promise.all(files.map((file) => redeclaredIn(root, file)))).flat();
}
