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

/**
 * Takes the directory, or fails at once.
 * @throws HostError CONFLICT `… is in use by pid N` while another host (or another call in this one) holds it
 */
export function lockDataDir(dataDir: string): DataDirLock {
  const database = new DatabaseSync(join(dataDir, LOCK_FILE), { timeout: 0 });
  try {
    database.exec('begin exclusive');
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) throw cause;
    throw new HostError(
      'CONFLICT',
      `${dataDir} is in use by pid ${holder(dataDir)}. Stop that process, or give this one another data directory.`,
      { cause },
    );
  }
  writeFileSync(join(dataDir, HOLDER_FILE), `${process.pid}\n`);
  return {
    release() {
      if (database.isOpen) database.close();
    },
  };
}
