/**
 * Makes the database cluster, once. It is made beside its place and renamed, so that a start that was interrupted half
 * way leaves nothing that looks finished.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { text } from 'node:stream/consumers';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { executable } from './binaries.ts';
import type { Binaries } from './binaries.ts';
import { ENVIRONMENT } from './environment.ts';
import type { DataDir } from './data-dir.ts';
import type { Identity } from './identity.ts';

const PASSWORD_BYTES = 24;
export const SUPERUSER = 'postgres';

/** The major version that made the cluster in this directory; undefined before the first start. */
export function clusterMajor(dir: DataDir): number | undefined {
  return existsSync(dir.versionFile) ? Number(readFileSync(dir.versionFile, 'utf8').trim()) : undefined;
}

/**
 * The superuser's password, as made with the cluster.
 * @throws HostError CONFLICT when the file was lost
 */
export function superuserPassword(dir: DataDir): string {
  try {
    return readFileSync(dir.passwordFile, 'utf8').trim();
  } catch (cause) {
    throw new HostError(
      'CONFLICT',
      `${dir.passwordFile} is missing: restore it from a backup of ${dir.path}.`,
      {
        cause,
      },
    );
  }
}

export function giveTo(identity: Identity, path: string): void {
  if (identity.uid !== undefined && identity.gid !== undefined) chownSync(path, identity.uid, identity.gid);
}

function writePassword(dir: DataDir, identity: Identity): void {
  rmSync(dir.passwordFile, { force: true });
  writeFileSync(dir.passwordFile, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`, {
    mode: 0o600,
    flag: 'wx',
  });
  giveTo(identity, dir.passwordFile);
}

function initdbArguments(dir: DataDir): string[] {
  return [
    '--no-instructions',
    `--pgdata=${dir.asSeenFrom(dir.unfinishedCluster)}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${dir.asSeenFrom(dir.unfinishedCluster, dir.passwordFile)}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ];
}

/** Runs initdb and renames its work into place. Call it only while clusterMajor() is undefined. */
export async function createCluster(dir: DataDir, binaries: Binaries, identity: Identity): Promise<void> {
  rmSync(dir.unfinishedCluster, { recursive: true, force: true, maxRetries: 3 });
  writePassword(dir, identity);
  mkdirSync(dir.unfinishedCluster);
  chmodSync(dir.unfinishedCluster, 0o700);
  giveTo(identity, dir.unfinishedCluster);
  const initdb = spawn(executable(binaries, 'initdb'), initdbArguments(dir), {
    ...identity,
    cwd: dir.unfinishedCluster,
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<number | string | null>((resolve) => {
    initdb.once('error', (error) => resolve(error.message));
    initdb.once('close', (code, signal) => resolve(code ?? signal));
  });
  const [complaints, code] = await Promise.all([text(initdb.stderr), exited]);
  if (code !== 0) {
    rmSync(dir.unfinishedCluster, { recursive: true, force: true });
    throw new HostError(
      'CONFLICT',
      `The database could not be created in ${dir.path} (initdb: ${code}): ${complaints.trim()}`,
    );
  }
  renameSync(dir.unfinishedCluster, dir.cluster);
}
