/**
 * One host per data directory. The lock is a SQLite file held in exclusive mode, because the kernel gives such a lock
 * back when its process dies, however it dies: a file with a pid would have to be judged (is that pid still the same
 * process? is it in another container?) and taken over, and both can be got wrong.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { HostError } from '../../../sandbox/contract/envelope.ts';

const SQLITE_BUSY = 5;
const LOCK_FILE = 'host.lock';
const HOLDER_FILE = 'host.pid';

export interface DataDirLock {
  /** Gives the directory back; may be called again. */
  release(): void;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

function holder(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, HOLDER_FILE), 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

function open(dataDir: string): DatabaseSync {
  const database = new DatabaseSync(join(dataDir, LOCK_FILE), { timeout: 0 });
  try {
    database.exec('begin exclusive');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Takes the directory, or fails at once.
 * @throws HostError CONFLICT `… is in use by pid N` while another host (or another call in this one) holds it, or when
 *   this user may not write there
 */
export function lockDataDir(dataDir: string): DataDirLock {
  let database: DatabaseSync;
  try {
    database = open(dataDir);
    writeFileSync(join(dataDir, HOLDER_FILE), `${process.pid}\n`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HostError(
      'CONFLICT',
      isBusy(cause)
        ? `${dataDir} is in use by pid ${holder(dataDir)}. Stop that process, or give this one another data directory.`
        : `${dataDir} cannot be used by this user (${reason}). Run as the user who made it, or give another data directory.`,
      { cause },
    );
  }
  return {
    release() {
      if (database.isOpen) database.close();
    },
  };
}
