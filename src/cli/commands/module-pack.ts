/** `bulkhead module pack`: one file from a module's folder, and signed at once when a key is given. */
import { Command } from 'commander';
import path from 'node:path';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { parseManifest } from '../../../sandbox/contract/manifest.ts';
import { MODULE_JSON } from '../../store/package/identity.ts';
import { packModule } from '../../store/package/pack.ts';
import { readInput, writeWhole, type Say } from './module-files.ts';
import { checkPackage, doubtsOf } from '../check.ts';
import { signWithKey } from './module-sign.ts';

export interface PackCommandOptions {
  /** Where to write; `<folder>.tgz` in the present folder otherwise. */
  readonly out?: string;
  /** Path of the publisher's private key, PEM. */
  readonly key?: string;
  readonly publisher?: string;
  /** False: the module is not run, as on a system without a sandbox. */
  readonly check?: boolean;
}

/** A panel would refuse a bad manifest at install; its author is told before anything is packed. */
export async function checkManifest(folder: string): Promise<void> {
  const text = Buffer.from(await readInput(path.join(folder, MODULE_JSON))).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new HostError('BAD_INPUT', `${MODULE_JSON} is not JSON: ${String(error)}`);
  }
  parseManifest(json);
}

/** Packs a folder, signs when a key is given, and writes the file. @returns its path. @throws HostError, or what the disk says */
export async function packToFile(folder: string, options: PackCommandOptions, say: Say): Promise<string> {
  const { key, publisher } = options;
  if ((key === undefined) !== (publisher === undefined))
    throw new HostError('BAD_INPUT', 'give --key and --publisher together, or neither');
  await checkManifest(folder);
  const unsigned = await packModule(folder, { onWarning: (text) => say(`warning: ${text}`) });
  if (options.check !== false)
    for (const doubt of await doubtsOf(path.resolve(folder), await checkPackage(unsigned)))
      say(`warning: ${doubt}`);
  const bytes =
    key !== undefined && publisher !== undefined
      ? await signWithKey(unsigned, { key, publisher }, say)
      : unsigned;
  const file = path.resolve(options.out ?? `${path.basename(path.resolve(folder))}.tgz`);
  await writeWhole(file, bytes);
  say(`${file}: ${bytes.length} bytes${key === undefined ? ', not signed' : ''}`);
  return file;
}

/** The subcommand, for `bulkhead module`. */
export function modulePackCommand(): Command {
  return new Command('pack')
    .description('Bundle a module’s folder into one file for a store')
    .argument('[folder]', 'the folder with module.json in it', '.')
    .option('--out <file>', 'where to write it')
    .option('--key <file>', 'sign with this private key (PEM)')
    .option('--publisher <name>', 'the publisher’s name, such as acme-hosting')
    .option('--no-check', 'do not run it in a sandbox first, as a store will')
    .action(async (folder: string, options: PackCommandOptions) => {
      await packToFile(folder, options, (text) => console.log(text));
    });
}
