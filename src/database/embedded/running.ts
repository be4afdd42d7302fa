/**
 * The embedded PostgreSQL of a data directory whose host may be running: a backup reads from the one that runs, and starts one only where
 * none does.
 */
import { existsSync, readFileSync } from 'node:fs';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { PgEndpoint } from '../endpoint.ts';
import { clusterMajor, SUPERUSER, superuserPassword } from './cluster.ts';
import { clusterOwner, type DataDir, openDataDir } from './data-dir.ts';
import { postgresIdentity } from './identity.ts';
import { lockDataDir } from './lock.ts';
import { startEmbedded } from './start.ts';

export interface ReachedPostgres extends AsyncDisposable {
  /** As the superuser. */
  endpoint(database: string): PgEndpoint;
}

/** PostgreSQL's manual, "postmaster.pid": pid, directory, start, port, socket's folder, address. */
const PORT_LINE = 3;
const SOCKET_LINE = 4;

/** @throws HostError NOT_FOUND if there is no database in the directory */
export async function reachEmbedded(
  dataDir: string,
  log: (line: string) => void = () => undefined,
): Promise<ReachedPostgres> {
  const identity = clusterOwner(dataDir) ?? postgresIdentity();
  const dir = existsSync(dataDir) ? openDataDir(dataDir, identity) : undefined;
  if (dir === undefined || clusterMajor(dir) === undefined)
    throw new HostError(
      'NOT_FOUND',
      `There is no database in ${dataDir}. Give --data if it lies elsewhere, or set DATABASE_URL.`,
    );
  if (isHeld(dir)) return running(dir);
  const postgres = await startEmbedded({ dataDir, log });
  return {
    endpoint: (database) => postgres.endpoint({ database }),
    [Symbol.asyncDispose]: async () => postgres.stop(),
  };
}

function isHeld(dir: DataDir): boolean {
  try {
    lockDataDir(dir.path).release();
    return false;
  } catch (error) {
    if (error instanceof HostError && error.message.includes('is in use')) return true;
    throw error;
  }
}

function running(dir: DataDir): ReachedPostgres {
  const lines = existsSync(dir.pidFile) ? readFileSync(dir.pidFile, 'utf8').split('\n') : [];
  const port = Number(lines[PORT_LINE]);
  if (!Number.isInteger(port) || port <= 0)
    throw new HostError(
      'CONFLICT',
      `The host of ${dir.path} is starting or stopping. Try again in a moment.`,
    );
  const host = (lines[SOCKET_LINE] ?? '') === '' ? '127.0.0.1' : dir.socketDir;
  const password = superuserPassword(dir);
  return {
    endpoint: (database) => ({ host, port, user: SUPERUSER, password, database }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
