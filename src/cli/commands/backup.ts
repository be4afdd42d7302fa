/** `bulkhead backup` and `bulkhead restore`: everything a host keeps in one file, and out of it again. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { backUp, type BackupOptions } from '../../backup/backup.ts';
import { checkBackup, restore } from '../../backup/restore.ts';
import { reachEmbedded } from '../../database/embedded/running.ts';
import { parseEndpoint } from '../../database/endpoint.ts';
import { EMBEDDED_DATABASES, modulesEndpointOf } from '../../database/open.ts';
import { masterKeysOf } from '../../secrets/master-key.ts';
import { ownVersion } from '../version.ts';

interface Options {
  readonly data: string;
  readonly passphraseFile?: string;
}

interface BackupFlags extends Options {
  readonly withKey?: boolean;
}

interface RestoreFlags extends Options {
  readonly check?: boolean;
}

const PASSPHRASE_FILE = 'a file with the passphrase of the master key (or BULKHEAD_BACKUP_PASSPHRASE)';

function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<file>', 'the backup')
    .option('--data <folder>', 'the data folder', process.env['BULKHEAD_DATA'] ?? '.bulkhead')
    .option('--passphrase-file <file>', PASSPHRASE_FILE);
}

export function backupCommand(): Command {
  return command('backup', 'Write databases, packages and modules’ data into one file; the host may run')
    .option('--with-key', 'put the master key in as well, under a passphrase')
    .action((file: string, flags: BackupFlags) => runBackup(resolve(file), flags));
}

export function restoreCommand(): Command {
  return command('restore', 'Bring a backup into an empty data folder, or an empty DATABASE_URL')
    .option('--check', 'only read the file to its end')
    .action((file: string, flags: RestoreFlags) => runRestore(resolve(file), flags));
}

function passphraseOf({ passphraseFile }: Options): string | undefined {
  const given =
    passphraseFile === undefined
      ? process.env['BULKHEAD_BACKUP_PASSPHRASE']
      : readFileSync(passphraseFile, 'utf8').trim();
  return given === '' ? undefined : given;
}

async function keysFor(flags: BackupFlags): Promise<Pick<BackupOptions, 'keys'>> {
  if (flags.withKey !== true) return {};
  const passphrase = passphraseOf(flags);
  if (passphrase === undefined)
    throw new HostError(
      'BAD_INPUT',
      'The master key goes into a backup under a passphrase only: set BULKHEAD_BACKUP_PASSPHRASE, or give --passphrase-file.',
    );
  const masterKeys = await masterKeysOf({ dataDir: resolve(flags.data), env: process.env });
  if (masterKeys === undefined)
    throw new HostError('NOT_FOUND', `There is no master key in ${resolve(flags.data)}.`);
  return { keys: { masterKeys, passphrase } };
}

async function runBackup(file: string, flags: BackupFlags): Promise<void> {
  const common = { file, program: ownVersion(), ...(await keysFor(flags)) };
  const address = process.env['DATABASE_URL'];
  const done =
    address === undefined ? await ofEmbedded(resolve(flags.data), common) : await ofServer(address, common);
  const megabytes = (done.fileBytes / 1024 ** 2).toFixed(1);
  console.log(
    `${file}: ${done.rows} rows of ${done.tables} tables, ${done.installations} modules' schemas, ${megabytes} MB.`,
  );
  console.log(
    flags.withKey === true
      ? 'The master key is in it, under your passphrase.'
      : 'The master key is not in it: keep master.key elsewhere, or no secret can be opened after a restore.',
  );
}

type Common = Omit<BackupOptions, 'host' | 'modules'>;

async function ofEmbedded(dataDir: string, common: Common): ReturnType<typeof backUp> {
  await using postgres = await reachEmbedded(dataDir);
  const { host, modules } = EMBEDDED_DATABASES;
  return await backUp({ ...common, host: postgres.endpoint(host), modules: postgres.endpoint(modules) });
}

async function ofServer(address: string, common: Common): ReturnType<typeof backUp> {
  const host = parseEndpoint(address);
  return backUp({ ...common, host, modules: modulesEndpointOf(host, process.env['MODULES_DATABASE_URL']) });
}

async function runRestore(file: string, flags: RestoreFlags): Promise<void> {
  if (flags.check === true) {
    const { header, rows } = await checkBackup(file);
    const key = header.keys === undefined ? 'without' : 'with';
    console.log(`${file}: whole; made ${header.made} by ${header.program}, ${rows} rows, ${key} master key.`);
    return;
  }
  const passphrase = passphraseOf(flags);
  const restored = await restore({
    file,
    dataDir: resolve(flags.data),
    databaseUrl: process.env['DATABASE_URL'],
    modulesDatabaseUrl: process.env['MODULES_DATABASE_URL'],
    env: process.env,
    log: (line) => console.log(line),
    ...(passphrase === undefined ? {} : { passphrase }),
  });
  console.log(
    `Restored as of ${restored.made}: ${restored.rows} rows of ${restored.tables} tables, ${restored.installations} modules' schemas.`,
  );
  console.log(
    `${restored.requeued} tasks wait to be run. Stop the old host for good before you start this one.`,
  );
}
