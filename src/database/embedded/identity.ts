/**
 * Who PostgreSQL runs as. It refuses to run as root, so a host started by root (a container, often) hands it to an
 * existing account without rights: `postgres`, else `nobody`. Creating users is not ours to do.
 */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

import { HostError } from '../../../sandbox/contract/envelope.ts';

/** Spread into spawn(): empty when PostgreSQL runs as the host's own user. */
export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

const ACCOUNTS = ['postgres', '_postgres', 'nobody'];
const GIVE_URL = 'Set DATABASE_URL to a PostgreSQL of your own, or run as another user.';

/** Finds `postgres`, else `nobody`, in the text of /etc/passwd; undefined when there is neither with a positive uid. */
export function accountIn(passwd: string): { uid: number; gid: number } | undefined {
  const lines = passwd.split('\n').map((line) => line.split(':'));
  for (const account of ACCOUNTS) {
    const line = lines.find((fields) => fields[0] === account);
    const uid = Number(line?.[2]);
    const gid = Number(line?.[3]);
    // macOS gives nobody the uid -2, which neither chown nor spawn takes.
    if (uid > 0 && gid > 0) return { uid, gid };
  }
  return undefined;
}

/**
 * The account for this process's PostgreSQL.
 * @throws HostError CONFLICT when PostgreSQL could not run under any (root without `nobody`, or a uid without a name)
 */
export function postgresIdentity(): Identity {
  const uid = process.getuid?.();
  if (uid === undefined) return {};
  if (uid !== 0) {
    try {
      userInfo();
    } catch (cause) {
      throw new HostError(
        'CONFLICT',
        `The embedded PostgreSQL needs a user name, and uid ${uid} has no entry in /etc/passwd. ${GIVE_URL}`,
        { cause },
      );
    }
    return {};
  }
  const account = accountIn(readFileSync('/etc/passwd', 'utf8'));
  if (account === undefined) {
    throw new HostError(
      'CONFLICT',
      `PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody" to run it as. ${GIVE_URL}`,
    );
  }
  return account;
}
