/**
 * The data directory: its files' names, and how PostgreSQL's account gets into it. Root may keep it where that account
 * cannot follow (under /root). There PostgreSQL is started inside its folder and told to find everything from
 * /proc/self/cwd, which needs no right on the folders above.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Identity } from './identity.ts';

export interface DataDir {
  readonly path: string;
  /** False when PostgreSQL's account cannot reach it by its path. */
  readonly reachable: boolean;
  readonly cluster: string;
  readonly unfinishedCluster: string;
  readonly versionFile: string;
  readonly pidFile: string;
  readonly passwordFile: string;
  readonly socketDir: string;
  /** How a PostgreSQL process whose working directory is `folder` names `target` (by default the folder itself). */
  asSeenFrom(folder: string, target?: string): string;
}

const OTHERS_MAY_ENTER = 0o011;
const CLUSTER = 'pg';
const HERE = '/proc/self/cwd';

function mayEnter(path: string, identity: Identity): boolean {
  if (identity.uid === undefined) return true;
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', path], { ...identity, cwd: '/' }).status === 0;
}

/**
 * Who an existing cluster belongs to, for root: it goes on running as the account that made it, even when a better one
 * has come to the machine since. Undefined before the first start, and for everyone but root.
 */
export function clusterOwner(given: string): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const stat = statSync(join(given, CLUSTER), { throwIfNoEntry: false });
  return stat === undefined || stat.uid === 0 ? undefined : { uid: stat.uid, gid: stat.gid };
}

/**
 * Makes the directory if need be and describes it.
 * @throws HostError CONFLICT when PostgreSQL's account cannot enter it and there is no /proc to help
 */
export function openDataDir(given: string, identity: Identity): DataDir {
  mkdirSync(given, { recursive: true, mode: identity.uid === undefined ? 0o700 : 0o711 });
  const path = realpathSync(given);
  const { mode } = statSync(path);
  if (identity.uid !== undefined && (mode & OTHERS_MAY_ENTER) !== OTHERS_MAY_ENTER)
    chmodSync(path, mode | OTHERS_MAY_ENTER);
  const reachable = mayEnter(path, identity);
  if (!reachable && process.platform !== 'linux') {
    throw new HostError(
      'CONFLICT',
      `PostgreSQL runs as uid ${identity.uid}, which may not enter ${path}. Choose a data directory that it can reach, or run as another user.`,
    );
  }
  const cluster = join(path, CLUSTER);
  return {
    path,
    reachable,
    cluster,
    unfinishedCluster: join(path, 'pg.init'),
    versionFile: join(cluster, 'PG_VERSION'),
    pidFile: join(cluster, 'postmaster.pid'),
    passwordFile: join(path, 'superuser.password'),
    socketDir: join(path, 's'),
    asSeenFrom: (folder, target = folder) => {
      if (reachable) return target;
      // PostgreSQL takes `..` out of absolute paths by their text, which would be wrong behind a link such as HERE.
      return target === folder ? HERE : relative(folder, target);
    },
  };
}
