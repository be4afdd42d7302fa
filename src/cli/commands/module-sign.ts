/** `bulkhead module sign`: signs what `pack` made. The key never leaves the machine it was made on. */
import { Command } from 'commander';
import path from 'node:path';
import { fingerprint } from '../../store/package/keys.ts';
import { readPackage } from '../../store/package/read.ts';
import { signPackage } from '../../store/package/sign.ts';
import { readInput, writeWhole, type Say } from './module-files.ts';

export interface SignCommandOptions {
  /** Path of the publisher's private key, PEM. */
  readonly key: string;
  readonly publisher: string;
  /** Where to write; `<file>` with `.signed.tgz` otherwise. */
  readonly out?: string;
}

/** Signs a package with the key in a file. @throws HostError BAD_INPUT, NOT_FOUND */
export async function signWithKey(
  unsigned: Uint8Array,
  { key, publisher }: Pick<SignCommandOptions, 'key' | 'publisher'>,
  say: Say,
): Promise<Uint8Array> {
  const privateKey = Buffer.from(await readInput(key)).toString('utf8');
  const signed = await signPackage(unsigned, { publisher, privateKey });
  const { name, version, publicKey } = await readPackage(signed);
  say(`${publisher}/${name} ${version}, signed with ${fingerprint(publicKey)}`);
  return signed;
}

/** Signs a file and writes another. @returns its path. @throws HostError, or what the disk says */
export async function signFile(file: string, options: SignCommandOptions, say: Say): Promise<string> {
  const signed = await signWithKey(await readInput(file), options, say);
  const out = path.resolve(options.out ?? `${file.replace(/\.tgz$/, '')}.signed.tgz`);
  await writeWhole(out, signed);
  say(`${out}: ${signed.length} bytes`);
  return out;
}

/** The subcommand, for `bulkhead module`. */
export function moduleSignCommand(): Command {
  return new Command('sign')
    .description('Sign a packed module')
    .argument('<file>', 'what pack wrote')
    .requiredOption('--key <file>', 'the publisher’s private key (PEM)')
    .requiredOption('--publisher <name>', 'the publisher’s name, such as acme-hosting')
    .option('--out <file>', 'where to write the signed package')
    .action(async (file: string, options: SignCommandOptions) => {
      await signFile(file, options, (text) => console.log(text));
    });
}
