/**
 * One file of everything: the host's database, the modules' schemas with their rows, the packages, and the master key if asked for. The
 * host may go on running: each database is read as it stood at one moment. The modules' moment is a little after the host's, so that the two
 * together are what a crash leaves: work of a module that the host does not know to be done, which is done again, and never the reverse.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { connectHost } from '../database/connect.ts';
import type { PgEndpoint } from '../database/endpoint.ts';
import { installationNames } from '../database/modules/names.ts';
import { createKeyring } from '../secrets/keyring.ts';
import { sealKeys } from './keys.ts';
import { BACKUP_VERSION, type BackupHeader, type TableOfBackup, writeLine } from './lines.ts';
import { describeSchema, type Trx } from './module-schema.ts';
import { rowsOf, sequencesOf, tablesOf, usePlainTexts } from './rows.ts';

export interface BackupOptions {
  readonly host: PgEndpoint;
  readonly modules: PgEndpoint;
  /** Made, never written over. */
  readonly file: string;
  readonly program: string;
  /** The master keys to put in, and what they are sealed with. */
  readonly keys?: { readonly masterKeys: readonly Uint8Array[]; readonly passphrase: string };
}

export interface BackupDone {
  readonly tables: number;
  readonly rows: number;
  readonly installations: number;
  readonly fileBytes: number;
}

/**
 * Left empty by a restore: who is signed in or holds a mailed link (what was revoked since must not come back), workers that no longer
 * live, and which migrations there were (the header says it).
 */
const LEFT_OUT = ['sessions', 'account_links', 'workers', 'schema_migrations'];
const MODE = 'isolation level repeatable read read only';
const OWNER_ONLY = 0o600;

/** @throws HostError CONFLICT if the file is there, the database is none of a host, or the key does not open it */
export async function backUp(options: BackupOptions): Promise<BackupDone> {
  await using host = connectHost(options.host, { max: 1, applicationName: 'bulkhead backup' });
  await using modules = connectHost(options.modules, { max: 1, applicationName: 'bulkhead backup' });
  const count = { tables: 0, rows: 0, installations: 0 };
  const fileBytes = await writeWhole(options.file, async (draft) => {
    await host.sql.begin(MODE, async (h) => {
      await usePlainTexts(h);
      const header = await headerOf(h, options);
      await modules.sql.begin(MODE, async (m) => {
        await usePlainTexts(m);
        // The moment of this database is that of its first question.
        await m`select 1`;
        const file = createWriteStream(draft, { flags: 'wx', mode: OWNER_ONLY });
        await pipeline(Readable.from(linesOf(h, m, header, count)), createGzip(), file);
      });
    });
  });
  return { ...count, fileBytes };
}

/** Under another name until it is whole and on the disk. @returns its bytes */
async function writeWhole(file: string, write: (draft: string) => Promise<void>): Promise<number> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await write(draft);
    const handle = await open(draft, 'r+');
    await handle.sync();
    await handle.close();
    await link(draft, file);
    return (await stat(file)).size;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')
      throw new HostError('CONFLICT', `${file} is there already; a backup writes over nothing.`, { cause });
    throw cause;
  } finally {
    await rm(draft, { force: true });
  }
}

async function headerOf(h: Trx, options: BackupOptions): Promise<BackupHeader> {
  const [made] = await h<
    { has: boolean }[]
  >`select to_regclass('public.schema_migrations') is not null as has`;
  const [row] =
    made?.has === true
      ? await h<{ value: BackupHeader['deployment'] }[]>`
          select value from settings where key = 'deployment'`
      : [];
  if (row === undefined)
    throw new HostError('CONFLICT', 'No host has worked in this database yet: there is nothing to back up.');
  const migrations = await h<BackupHeader['migrations']>`
    select name, sha256 from schema_migrations order by number`;
  const { id, sealed } = row.value;
  const header: BackupHeader = {
    is: 'backup',
    version: BACKUP_VERSION,
    made: new Date().toISOString(),
    program: options.program,
    migrations: migrations.map(({ name, sha256 }) => ({ name, sha256 })),
    deployment: { id, sealed },
  };
  if (options.keys === undefined) return header;
  const { masterKeys, passphrase } = options.keys;
  // A key that does not fit is found now, and not on the day it is needed.
  createKeyring(masterKeys).open('secret', 'deployment', Buffer.from(sealed, 'base64'));
  return { ...header, keys: await sealKeys(masterKeys, passphrase) };
}

type Count = { -readonly [Key in 'tables' | 'rows' | 'installations']: number };

async function* linesOf(h: Trx, m: Trx, header: BackupHeader, count: Count): AsyncGenerator<string> {
  yield writeLine(header);
  for (const table of await tablesOf(h, 'host', 'public', LEFT_OUT)) yield* linesOfTable(h, table, count);
  for (const sequence of await sequencesOf(h, 'host', 'public')) yield writeLine(sequence);
  for (const { id } of await h<{ id: string }[]>`select id::text from installations order by id`)
    yield* linesOfInstallation(m, header.deployment.id, id, count);
  yield writeLine({ is: 'end', rows: count.rows });
}

async function* linesOfTable(trx: Trx, table: TableOfBackup, count: Count): AsyncGenerator<string> {
  yield writeLine(table);
  count.tables += 1;
  for await (const rows of rowsOf(trx, table)) {
    count.rows += rows.length;
    yield `${rows.join('\n')}\n`;
  }
}

/** As its owner: the host itself has no right on a module's tables. */
async function* linesOfInstallation(
  m: Trx,
  deploymentId: string,
  installationId: string,
  count: Count,
): AsyncGenerator<string> {
  const { schema, owner } = installationNames(deploymentId, installationId);
  const [found] = await m`select 1 from pg_namespace where nspname = ${schema}`;
  if (found === undefined) return;
  await m.unsafe(`set local role ${owner}`);
  yield writeLine({ is: 'schema', installationId, ...(await describeSchema(m, schema)) });
  for (const table of await tablesOf(m, 'modules', schema)) yield* linesOfTable(m, table, count);
  for (const sequence of await sequencesOf(m, 'modules', schema)) yield writeLine(sequence);
  await m.unsafe('reset role');
  count.installations += 1;
}
