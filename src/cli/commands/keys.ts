/** `bulkhead keys …`: the master key that everything secret is under. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { openDatabases } from '../../database/open.ts';
import { addMasterKey, retireMasterKeys } from '../../secrets/master-key.ts';
import { neededFor } from '../../secrets/needed-keys.ts';

export function keysCommand(): Command {
  const rotate = new Command('rotate')
    .description('Put a new master key in use; a host that runs takes it over within seconds')
    .option('--data <folder>', 'the data folder', process.env['BULKHEAD_DATA'] ?? '.bulkhead')
    .action(async ({ data }: { readonly data: string }) => {
      const { path, keys } = await addMasterKey({ dataDir: resolve(data), env: process.env });
      console.log(`${path}: a new key stands first; ${keys - 1} older still open what they sealed.`);
      console.log('Copy the file to the other machines of this deployment, and to your backups, now.');
    });
  const retire = new Command('retire')
    .description('Take older master keys out of the file that nothing needs any more')
    .option('--data <folder>', 'the data folder', process.env['BULKHEAD_DATA'] ?? '.bulkhead')
    .action(({ data }: { readonly data: string }) => retireKeys(resolve(data)));
  return new Command('keys').description('The master key').addCommand(rotate).addCommand(retire);
}

/** With an embedded database the host must not run: there is one of it. */
async function retireKeys(dataDir: string): Promise<void> {
  const databases = await openDatabases({
    dataDir,
    databaseUrl: process.env['DATABASE_URL'],
    modulesDatabaseUrl: process.env['MODULES_DATABASE_URL'],
    log: (line) => console.log(line),
  });
  try {
    const deps = { db: databases.host.db, modulesSql: databases.modules.sql };
    const { path, retired, kept } = await retireMasterKeys({ dataDir, env: process.env }, (keyId) =>
      neededFor(deps, keyId),
    );
    console.log(`${path}: ${retired} older taken out, ${kept.length} kept.`);
    for (const needs of kept)
      for (const { what, count } of needs) console.log(`  still needed: ${what} (${count})`);
    if (kept.length === 0) return;
    console.log('What the host keeps is sealed again within seconds while it runs.');
    console.log('What a module encrypted, the module decrypts and encrypts again, for example in update().');
    process.exitCode = 1;
  } finally {
    await databases.close();
  }
}
