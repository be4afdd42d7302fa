/** `bulkhead keys …`: the master key that everything secret is under. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { addMasterKey } from '../../secrets/master-key.ts';

export function keysCommand(): Command {
  const rotate = new Command('rotate')
    .description('Put a new master key in use; a host that runs takes it over within seconds')
    .option('--data <folder>', 'the data folder', process.env['BULKHEAD_DATA'] ?? '.bulkhead')
    .action(async ({ data }: { readonly data: string }) => {
      const { path, keys } = await addMasterKey({ dataDir: resolve(data), env: process.env });
      console.log(`${path}: a new key stands first; ${keys - 1} older still open what they sealed.`);
      console.log('Copy the file to the other machines of this deployment, and to your backups, now.');
    });
  return new Command('keys').description('The master key').addCommand(rotate);
}
