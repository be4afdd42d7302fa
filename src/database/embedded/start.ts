/**
 * The PostgreSQL that comes with the host: no DATABASE_URL, no installation, a folder. It is a whole PostgreSQL, not a
 * small stand-in: the queue's locks, LISTEN, roles and timeouts, which everything here relies on, are the real ones.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { PgEndpoint } from '../endpoint.ts';
import { findBinaries, packagedNative, sharedCopyPlaces } from './binaries.ts';
import { SUPERUSER, clusterMajor, createCluster, giveTo, superuserPassword } from './cluster.ts';
import { clusterOwner, openDataDir } from './data-dir.ts';
import type { DataDir } from './data-dir.ts';
import { postgresIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { lockDataDir } from './lock.ts';
import { clearLeftovers } from './orphan.ts';
import { startPostmaster } from './postmaster.ts';
import type { Postmaster, PostmasterOptions } from './postmaster.ts';
import { DEFAULT_SETTINGS, MEMORY_LIMIT_MIB } from './settings.ts';
import type { Settings } from './settings.ts';

export interface EmbeddedOptions {
  /** A folder of its own, made if need be. */
  readonly dataDir: string;
  /** Progress of a first start, what was mended, and PostgreSQL's own log; a line at a time. */
  readonly log?: (line: string) => void;
  /** PostgreSQL settings over the defaults. */
  readonly settings?: Settings;
  /** Address space of each PostgreSQL process, Linux only. */
  readonly memoryLimitMib?: number;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  readonly pid: number;
  /** The Unix socket's directory, or 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** The superuser's. */
  readonly password: string;
  /** Resolves when PostgreSQL has ended, asked to or not. */
  readonly exited: Promise<number | string | null>;
  endpoint(options?: { user?: string; password?: string; database?: string }): PgEndpoint;
  url(user?: string, password?: string, database?: string): string;
  /** Stops PostgreSQL, waits for its end and gives the directory back; may be called again. */
  stop(): Promise<void>;
}

interface Listening {
  readonly host: string;
  readonly port: number;
  readonly settings: Settings;
}

const LOOPBACK = '127.0.0.1';
const SOCKET_PORT = 5432;
/** The size of sun_path, less its terminating zero. */
const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
const PORT_ATTEMPTS = 3;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, LOOPBACK, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return address.port;
}

async function listening(dir: DataDir, identity: Identity): Promise<Listening> {
  const socketBytes = Buffer.byteLength(join(dir.socketDir, `.s.PGSQL.${SOCKET_PORT}`));
  if (process.platform === 'win32') {
    const port = await freePort();
    return { host: LOOPBACK, port, settings: { port, listen_addresses: LOOPBACK } };
  }
  if (socketBytes > SOCKET_PATH_BYTES) {
    const port = await freePort();
    return {
      host: LOOPBACK,
      port,
      settings: { port, listen_addresses: LOOPBACK, unix_socket_directories: '' },
    };
  }
  mkdirSync(dir.socketDir, { recursive: true });
  chmodSync(dir.socketDir, 0o700);
  giveTo(identity, dir.socketDir);
  const socketDir = dir.asSeenFrom(dir.cluster, dir.socketDir);
  // The list of directories is separated by commas; quotes keep one with a comma whole.
  const quoted = `"${socketDir.replaceAll('"', '""')}"`;
  return {
    host: dir.socketDir,
    port: SOCKET_PORT,
    settings: { port: SOCKET_PORT, listen_addresses: '', unix_socket_directories: quoted },
  };
}

/** Another program may take the port between our look and PostgreSQL's start; then another port is tried. */
async function startListening(
  base: Omit<PostmasterOptions, 'settings'>,
  options: EmbeddedOptions,
): Promise<{ postmaster: Postmaster; at: Listening }> {
  for (let attempt = 1; ; attempt += 1) {
    const at = await listening(base.dir, base.identity);
    try {
      const settings = { ...DEFAULT_SETTINGS, ...options.settings, ...at.settings };
      return { postmaster: await startPostmaster({ ...base, settings }), at };
    } catch (error) {
      const portTaken = error instanceof HostError && error.message.includes('could not bind');
      if (!portTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function startIn(
  dir: DataDir,
  identity: Identity,
  options: EmbeddedOptions,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  await clearLeftovers(dir, log);
  const major = clusterMajor(dir);
  const copyTo = [...(dir.reachable ? [join(dir.path, 'native')] : []), ...sharedCopyPlaces()];
  const binaries = findBinaries({ identity, copyTo, major, native: packagedNative(), log });
  if (major === undefined) {
    log(`creating the database (first start) in ${dir.path}`);
    await createCluster(dir, binaries, identity);
  }
  const password = superuserPassword(dir);
  const memoryLimitMib = options.memoryLimitMib ?? MEMORY_LIMIT_MIB;
  const { postmaster, at } = await startListening({ dir, binaries, identity, memoryLimitMib, log }, options);
  const endpoint: EmbeddedPostgres['endpoint'] = (own = {}) => ({
    host: at.host,
    port: at.port,
    user: own.user ?? SUPERUSER,
    password: own.password ?? password,
    database: own.database ?? 'postgres',
  });
  return {
    pid: postmaster.pid,
    host: at.host,
    port: at.port,
    password,
    exited: postmaster.exited,
    endpoint,
    url: (user = SUPERUSER, own = password, database = 'postgres') =>
      formatEndpoint(endpoint({ user, password: own, database })),
    stop: postmaster.stop,
    [Symbol.asyncDispose]: postmaster.stop,
  };
}

/**
 * Starts the embedded PostgreSQL of a data directory, creating it at the first start (about a second).
 * @throws HostError CONFLICT when the directory is in use, no PostgreSQL can be run, or it ends at once; the text says why
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const identity = clusterOwner(options.dataDir) ?? postgresIdentity();
  const dir = openDataDir(options.dataDir, identity);
  const lock = lockDataDir(dir.path);
  try {
    const postgres = await startIn(dir, identity, options);
    // Given back only at the postmaster's end, so that nobody else starts a second one meanwhile.
    void postgres.exited.then(() => lock.release());
    return postgres;
  } catch (error) {
    lock.release();
    throw error;
  }
}
