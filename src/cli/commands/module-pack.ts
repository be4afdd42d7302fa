/** `bulkhead module pack`: one file from a module's folder, and signed at once when a key is given. */
import { Command } from 'commander';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fingerprint } from '../../store/package/keys.ts';
import { packModule } from '../../store/package/pack.ts';
import { readPackage } from '../../store/package/read.ts';
import { signPackage } from '../../store/package/sign.ts';

export interface PackCommandOptions {
  /** Where to write; `<folder>.tgz` in the present folder otherwise. */
  readonly out?: string;
  /** Path of the publisher's private key, PEM. */
  readonly key?: string;
  readonly publisher?: string;
}

/** Writes a file whole or not at all. */
async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${file}.${process.pid}.part`;
  try {
    await writeFile(unfinished, bytes);
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function sign(
  unsigned: Uint8Array,
  key: string,
  publisher: string,
  say: (text: string) => void,
): Promise<Uint8Array> {
  const signed = await signPackage(unsigned, { publisher, privateKey: await readFile(key, 'utf8') });
  const { name, version, publicKey } = await readPackage(signed);
  say(`${publisher}/${name} ${version}, signed with ${fingerprint(publicKey)}`);
  return signed;
}

/** Packs a folder, signs when a key is given, and writes the file. @returns its path. @throws HostError BAD_INPUT, or what the disk says */
export async function packToFile(
  folder: string,
  options: PackCommandOptions,
  say: (text: string) => void,
): Promise<string> {
  const { key, publisher } = options;
  if ((key === undefined) !== (publisher === undefined))
    throw new TypeError('give --key and --publisher together, or neither');
  const unsigned = await packModule(folder, { onWarning: (text) => say(`warning: ${text}`) });
  const bytes =
    key !== undefined && publisher !== undefined ? await sign(unsigned, key, publisher, say) : unsigned;
  const file = path.resolve(options.out ?? `${path.basename(path.resolve(folder))}.tgz`);
  await writeWhole(file, bytes);
  say(`${file}: ${bytes.length} bytes${key === undefined ? ', not signed' : ''}`);
  return file;
}

/** The subcommand, for `bulkhead module`. */
export function modulePackCommand(): Command {
  return new Command('pack')
    .description('Bundle a module’s folder into one file for a store')
    .argument('<folder>', 'the folder with module.json in it')
    .option('--out <file>', 'where to write it')
    .option('--key <file>', 'sign with this private key (PEM)')
    .option('--publisher <name>', 'the publisher’s name, such as acme-hosting')
    .action(async (folder: string, options: PackCommandOptions) => {
      await packToFile(folder, options, (text) => console.log(text));
    });
}
