/** `bulkhead module keygen`: a publisher's key. Whoever has the file is the publisher, so it is readable by its owner only and never replaced. */
import { Command } from 'commander';
import path from 'node:path';
import { fingerprint, generateKeyPair } from '../../store/package/keys.ts';
import { writeWhole, type Say } from './module-files.ts';

const OWNER_ONLY = 0o600;
const DEFAULT_FILE = 'publisher-key.pem';

/** Writes a new private key and says the public half. @returns the file's path. @throws HostError CONFLICT if the file exists */
export async function keygenToFile(file: string, say: Say): Promise<string> {
  const out = path.resolve(file);
  const { publicKey, privateKeyPem } = generateKeyPair();
  await writeWhole(out, privateKeyPem, { mode: OWNER_ONLY, fresh: true });
  say(`${out}: the private key. Keep a copy of it in a safe place, and keep it out of the module’s folder.`);
  say(`public key   ${publicKey}`);
  say(`fingerprint  ${fingerprint(publicKey)}`);
  return out;
}

/** The subcommand, for `bulkhead module`. */
export function moduleKeygenCommand(): Command {
  return new Command('keygen')
    .description('Make a key to sign packages with')
    .argument('[file]', 'where to write the private key', DEFAULT_FILE)
    .action(async (file: string) => {
      await keygenToFile(file, (text) => console.log(text));
    });
}
