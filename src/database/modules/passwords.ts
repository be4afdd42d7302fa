/**
 * Passwords of the installations' roles. They are derived from the host's key, so that none is stored and every process of a
 * deployment knows them; and they reach PostgreSQL as SCRAM verifiers, so that none stands in a log of statements.
 */
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** The password of a role, by its name. */
export type RolePassword = (role: string) => string;

const SALT_BYTES = 16;
const ITERATIONS = 4096;
const KEY_BYTES = 32;
const CONTEXT = 'bulkhead modules role ';

const derive = promisify(pbkdf2);

/** @param key the host's master key, or one derived from it for this purpose */
export function derivedRolePassword(key: Uint8Array): RolePassword {
  return (role) =>
    createHmac('sha256', key)
      .update(CONTEXT + role)
      .digest('base64url');
}

/** RFC 5802 as PostgreSQL stores it: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. ASCII passwords only (no SASLprep). */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const salted = await derive(password, salt, ITERATIONS, KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
