/**
 * `bulkhead module test`: runs a module's own test/ with Node's test runner and the kit, in a real host with a database of its own. Nothing
 * has to be installed beside the module: 'bulkhead' and 'bulkhead/kit' are this program.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { moduleNamed } from '../../kit/folder.ts';
import { linkForEditor } from '../editor.ts';

const RESOLVE = fileURLToPath(
  new URL(`../../kit/resolve${path.extname(import.meta.filename)}`, import.meta.url),
);

async function testFiles(folder: string): Promise<string[]> {
  const entries = await readdir(path.join(folder, 'test'), { recursive: true, encoding: 'utf8' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  return entries
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join('test', name))
    .sort();
}

/** @returns the runner's exit code. @throws HostError NOT_FOUND for a folder that is no module, or has no tests */
export async function testModule(dir: string, options: { readonly only?: string } = {}): Promise<number> {
  const folder = path.resolve(dir);
  if (moduleNamed(folder) === undefined)
    throw new HostError('NOT_FOUND', `${folder} is no module: it has no module.json with a type and a name.`);
  const files = await testFiles(folder);
  if (files.length === 0) throw new HostError('NOT_FOUND', `There is no test/*.test.ts in ${folder}.`);
  await linkForEditor(folder);
  const only = options.only === undefined ? [] : [`--test-name-pattern=${options.only}`];
  const child = spawn(process.execPath, ['--test', '--import', RESOLVE, ...only, ...files], {
    cwd: folder,
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** The subcommand, for `bulkhead module`. */
export function moduleTestCommand(): Command {
  return new Command('test')
    .description('Run a module’s own tests in a real host')
    .argument('[folder]', 'the folder with module.json in it', '.')
    .option('--only <pattern>', 'only tests whose name matches')
    .action(async (folder: string, options: { readonly only?: string }) => {
      process.exitCode = await testModule(folder, options);
    });
}
