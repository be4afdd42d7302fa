/**
 * A backup brought into an empty place: an embedded PostgreSQL that is not there yet, or databases without a host's rows. The tables come from
 * migrations/ as far as the backup's program had them, modules' schemas and roles from what the file says. The host's rows are one
 * transaction, the last to be written: before it nothing counts as restored, and what was begun is taken away again.
 */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { HostConnection } from '../database/connect.ts';
import { migrate, readMigrations } from '../database/migrate.ts';
import { MIGRATIONS, openDatabases, type OpenOptions } from '../database/open.ts';
import { migrateQueue } from '../jobs/graphile.ts';
import { requeueAll } from '../jobs/recovery.ts';
import { createKeyring, type Keyring } from '../secrets/keyring.ts';
import { masterKeysOf, placeMasterKeys } from '../secrets/master-key.ts';
import { openKeys } from './keys.ts';
import { type BackupHeader, isRow, type Read, readLines } from './lines.ts';
import { loadInto, type Loaded } from './load.ts';

export interface RestoreOptions extends Omit<OpenOptions, 'before' | 'lastMigration'> {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the master keys inside the backup. */
  readonly passphrase?: string;
}

export interface Restored extends Loaded {
  readonly made: string;
  /** Tasks that waited or ran when the backup was made. */
  readonly requeued: number;
}

function linesOf(file: string): AsyncGenerator<Read> {
  const packed = createReadStream(file);
  const plain = createGunzip();
  packed.on('error', (error) => plain.destroy(error));
  return readLines(packed.pipe(plain));
}

/** Reads the whole file and writes nothing. @throws HostError BAD_INPUT if it is not whole */
export async function checkBackup(file: string): Promise<{ header: BackupHeader; rows: number }> {
  const lines = linesOf(file);
  const header = await headerOf(lines);
  let rows = 0;
  for await (const line of lines) {
    if (isRow(line)) rows += 1;
    else if (line.is === 'end' && line.rows !== rows)
      throw new HostError('BAD_INPUT', `The backup says it has ${line.rows} rows and has ${rows}.`);
  }
  return { header, rows };
}

async function headerOf(lines: AsyncGenerator<Read>): Promise<BackupHeader> {
  const { value, done } = await lines.next();
  if (done === true || isRow(value) || value.is !== 'backup')
    throw new HostError('BAD_INPUT', 'This file is no backup of Bulkhead.');
  return value;
}

/** @throws HostError with what to mend; then nothing was restored */
export async function restore(options: RestoreOptions): Promise<Restored> {
  // Read once to its end before anything is made: a file that was cut off is the likeliest fault of all.
  const { header } = await checkBackup(options.file);
  await compareMigrations(header);
  const { keys, keyring } = await keysFor(header, options);
  const identity = openDeployment(keyring, header);
  const databases = await openDatabases({
    ...options,
    before: (host) => refuseUsed(host, header),
    lastMigration: header.migrations.length,
  });
  try {
    const lines = linesOf(options.file);
    await headerOf(lines);
    if (keys !== undefined) options.log(`master key: ${await placeMasterKeys(options.dataDir, keys)}`);
    const loaded = await loadInto(databases, lines, { id: header.deployment.id, key: identity });
    const { db, endpoint } = databases.host;
    await migrate(endpoint, MIGRATIONS);
    await migrateQueue(endpoint, () => undefined);
    return { ...loaded, made: header.made, requeued: await requeueAll(db) };
  } finally {
    await databases.close();
  }
}

/** @throws HostError CONFLICT if this program is older than the backup's, or not of its line */
async function compareMigrations({ migrations, program }: BackupHeader): Promise<void> {
  const own = await readMigrations(MIGRATIONS);
  const fits = migrations.every(
    ({ name, sha256 }, at) => own[at]?.name === name && own[at].sha256 === sha256,
  );
  if (!fits)
    throw new HostError(
      'CONFLICT',
      `The backup was made by Bulkhead ${program}, whose tables this program does not know. Restore it with that version or a newer one.`,
    );
}

async function refuseUsed({ sql }: HostConnection, header: BackupHeader): Promise<void> {
  const [at] = await sql<
    { has: boolean }[]
  >`select to_regclass('public.schema_migrations') is not null as has`;
  if (at?.has !== true) return;
  const [used] = await sql<{ migrations: number; hosts: number }[]>`
    select (select count(*)::int from schema_migrations) as migrations,
      (select count(*)::int from settings where key = 'deployment') as hosts`;
  if (used !== undefined && used.hosts === 0 && used.migrations <= header.migrations.length) return;
  throw new HostError(
    'CONFLICT',
    'A host has worked in this database already. Restore into an empty one: another --data folder, or a new database in DATABASE_URL.',
  );
}

/** This machine's own key if there is one, else the backup's. `keys`: those that are still to be put down. */
async function keysFor(
  header: BackupHeader,
  { dataDir, env, passphrase }: RestoreOptions,
): Promise<{ keyring: Keyring; keys?: Buffer[] }> {
  const own = await masterKeysOf({ dataDir, env });
  if (own !== undefined) return { keyring: createKeyring(own) };
  if (header.keys === undefined)
    throw new HostError(
      'CONFLICT',
      `The backup holds no master key, and there is none here. Put the old host's master.key into ${dataDir} (chmod 600), or set BULKHEAD_MASTER_KEY.`,
    );
  if (passphrase === undefined)
    throw new HostError(
      'BAD_INPUT',
      'The backup holds its master key under a passphrase: set BULKHEAD_BACKUP_PASSPHRASE, or give --passphrase-file.',
    );
  const keys = await openKeys(header.keys, passphrase);
  return { keyring: createKeyring(keys), keys };
}

function openDeployment(keyring: Keyring, { deployment }: BackupHeader): Buffer {
  try {
    return keyring.open('secret', 'deployment', Buffer.from(deployment.sealed, 'base64'));
  } catch (cause) {
    throw new HostError(
      'CONFLICT',
      'The master key here is not the one that this backup’s secrets are under. Put the old host’s in its place (or take it away, if the backup holds one).',
      { cause },
    );
  }
}
