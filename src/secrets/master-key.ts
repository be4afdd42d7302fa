/**
 * Where the master key lives: in BULKHEAD_MASTER_KEY, or in a file of the data folder that only its owner may read and that is made at
 * the first start. Several keys, one a line (or separated by commas), are a rotation in progress: the first is the one in use.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chown, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { whileLocked } from './key-file-lock.ts';
import { createKeyring, MASTER_KEY_BYTES, masterKeyId } from './keyring.ts';
import type { Keyring } from './keyring.ts';
import type { KeyNeed } from './needed-keys.ts';

const VARIABLE = 'BULKHEAD_MASTER_KEY';
const FILE = 'master.key';
const OTHERS = 0o077;
const HOW = 'Make one with: openssl rand -base64 32';

export interface MasterKeySource {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads 32-byte keys written as base64 or hex. @throws HostError BAD_INPUT that names `where`, never the key */
export function parseMasterKeys(text: string, where: string): Buffer[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  const keys = words.map((word) => Buffer.from(word, /^[0-9a-f]{64}$/i.test(word) ? 'hex' : 'base64'));
  if (keys.length === 0 || keys.some((key) => key.length !== MASTER_KEY_BYTES))
    throw new HostError('BAD_INPUT', `${where} must hold ${MASTER_KEY_BYTES} bytes as base64 or hex. ${HOW}`);
  return keys;
}

/**
 * Opens the keyring, making the key file at the first start.
 * @throws HostError BAD_INPUT if the key cannot be read or others may read its file
 */
export async function openKeyring(source: MasterKeySource): Promise<Keyring> {
  const given = source.env[VARIABLE];
  if (given !== undefined && given !== '') return createKeyring(parseMasterKeys(given, VARIABLE));
  const path = join(source.dataDir, FILE);
  const text = (await readKeyFile(path)) ?? (await makeKeyFile(path));
  const keys = parseMasterKeys(text, path);
  return createKeyring(keys, () => keysNow(path) ?? keys);
}

/** The keys as they are now, for a backup. Undefined before the first start. @throws HostError BAD_INPUT as openKeyring */
export async function masterKeysOf(source: MasterKeySource): Promise<Buffer[] | undefined> {
  const given = source.env[VARIABLE];
  if (given !== undefined && given !== '') return parseMasterKeys(given, VARIABLE);
  const path = join(source.dataDir, FILE);
  const text = await readKeyFile(path);
  return text === undefined ? undefined : parseMasterKeys(text, path);
}

/** Makes the file with these keys, where there is none. @returns its path. @throws HostError CONFLICT if there is another */
export async function placeMasterKeys(dataDir: string, keys: readonly Buffer[]): Promise<string> {
  const path = join(dataDir, FILE);
  const text = await makeKeyFile(path, keys);
  if (text !== fileText(keys))
    throw new HostError('CONFLICT', `There is a ${path} already, with another key: it is left as it is.`);
  return path;
}

/** Undefined while the file cannot be read: what is known goes on being used. */
function keysNow(path: string): Buffer[] | undefined {
  try {
    return parseMasterKeys(readFileSync(path, 'utf8'), path);
  } catch {
    return undefined;
  }
}

/**
 * Puts a new key in front of those in the file. A host that runs finds it there, seals with it from then on, and seals again what is under
 * the older ones, which stay: what modules encrypted themselves lies in their own tables and is opened with them.
 * @returns the file's path and how many keys it holds now
 * @throws HostError CONFLICT if the key comes from the environment, NOT_FOUND before the first start
 */
export async function addMasterKey(source: MasterKeySource): Promise<{ path: string; keys: number }> {
  const path = await keyFileOf(
    source,
    `Put a new one in front of it, with a comma between, and restart the processes one after the other. ${HOW}`,
  );
  return whileLocked(path, async (held) => {
    const older = await keysIn(path);
    await held();
    await replaceKeyFile(path, [randomBytes(MASTER_KEY_BYTES), ...older]);
    return { path, keys: older.length + 1 };
  });
}

/** So long after a key was added, each host that runs has taken it over: nothing is sealed with an older one any more. */
const SETTLED_MS = 60_000;

/**
 * Takes out of the file every key but the first that nothing needs.
 * @param needs what is under a key, by its id
 * @returns how many were taken out, and what keeps the others
 * @throws HostError CONFLICT if the key comes from the environment, or one was added just now; NOT_FOUND
 */
export async function retireMasterKeys(
  source: MasterKeySource,
  needs: (keyId: Buffer) => Promise<readonly KeyNeed[]>,
): Promise<{ path: string; retired: number; kept: readonly (readonly KeyNeed[])[] }> {
  const path = await keyFileOf(
    source,
    'Retire the older ones there yourself, once nothing is under them any more.',
  );
  return whileLocked(path, async (held) => {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs < SETTLED_MS)
      throw new HostError(
        'CONFLICT',
        `${path} was changed within the last ${SETTLED_MS / 1_000} seconds; hosts that run must take the new key over first. Try again in a minute.`,
      );
    const [first, ...older] = await keysIn(path);
    const looked = [];
    for (const key of older) looked.push({ key, needed: await needs(masterKeyId(key)) });
    const kept = looked.filter(({ needed }) => needed.length > 0);
    if (first !== undefined && kept.length < older.length) {
      await held();
      await replaceKeyFile(path, [first, ...kept.map(({ key }) => key)]);
    }
    return { path, retired: older.length - kept.length, kept: kept.map(({ needed }) => needed) };
  });
}

/** @throws HostError CONFLICT if there is no file because the key comes from the environment, NOT_FOUND before the first start */
async function keyFileOf(source: MasterKeySource, instead: string): Promise<string> {
  const given = source.env[VARIABLE];
  if (given !== undefined && given !== '')
    throw new HostError('CONFLICT', `The master key comes from ${VARIABLE}. ${instead}`);
  const path = join(source.dataDir, FILE);
  if ((await readKeyFile(path)) === undefined)
    throw new HostError(
      'NOT_FOUND',
      `There is no ${path}; the first start makes it. Give --data if it lies elsewhere.`,
    );
  return path;
}

async function keysIn(path: string): Promise<Buffer[]> {
  return parseMasterKeys((await readKeyFile(path)) ?? '', path);
}

function fileText(keys: readonly Buffer[]): string {
  return keys.map((key) => `${key.toString('base64')}\n`).join('');
}

/** Written whole beside it and renamed: there is no moment without a key, and a crash leaves the old file. */
async function replaceKeyFile(path: string, keys: readonly Buffer[]): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(fileText(keys));
    await file.sync();
    await file.close();
    const { uid, gid } = await stat(path);
    // Run by root for a server that is not: it must be able to go on reading it.
    if (process.getuid?.() === 0) await chown(draft, uid, gid);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function readKeyFile(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & OTHERS) !== 0)
      throw new HostError('BAD_INPUT', `Others may read the master key. Run: chmod 600 ${path}`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Written whole under another name and then linked, which fails if the file is there: of two processes that start at once one
 * makes the key and both read it, and a crash leaves no half of a key.
 */
async function makeKeyFile(
  path: string,
  keys: readonly Buffer[] = [randomBytes(MASTER_KEY_BYTES)],
): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(fileText(keys));
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(draft);
  }
  const text = await readKeyFile(path);
  if (text === undefined)
    throw new HostError('INTERNAL', `The master key ${path} vanished while it was made.`);
  return text;
}
