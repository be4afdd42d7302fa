/**
 * The master keys inside a backup, under a passphrase: scrypt makes a key of it, AES-256-GCM seals them. Only when asked for: a backup
 * without them is of no use to a thief of the file alone, as far as secrets go.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { MASTER_KEY_BYTES } from '../secrets/keyring.ts';
import type { SealedKeysOfBackup } from './lines.ts';

export const PASSPHRASE_CHARACTERS = 12;

const ALGORITHM = 'aes-256-gcm';
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
/** A third of a second and 128 MB for one guess. */
const COST = Object.freeze({ N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 });

async function keyOf(passphrase: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, MASTER_KEY_BYTES, COST, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** @throws HostError BAD_INPUT for a passphrase that could be guessed */
export async function sealKeys(keys: readonly Uint8Array[], passphrase: string): Promise<SealedKeysOfBackup> {
  if (passphrase.length < PASSPHRASE_CHARACTERS)
    throw new HostError('BAD_INPUT', `A passphrase needs at least ${PASSPHRASE_CHARACTERS} characters.`);
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, await keyOf(passphrase, salt), nonce);
  const sealed = Buffer.concat([cipher.update(Buffer.concat(keys)), cipher.final()]);
  return {
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    sealed: sealed.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
  };
}

/** @throws HostError BAD_INPUT for another passphrase */
export async function openKeys(sealed: SealedKeysOfBackup, passphrase: string): Promise<Buffer[]> {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  const key = await keyOf(passphrase, bytes(sealed.salt));
  let plain: Buffer;
  try {
    const decipher = createDecipheriv(ALGORITHM, key, bytes(sealed.nonce));
    decipher.setAuthTag(bytes(sealed.tag));
    plain = Buffer.concat([decipher.update(bytes(sealed.sealed)), decipher.final()]);
  } catch (cause) {
    throw new HostError('BAD_INPUT', 'The passphrase does not open the master key of this backup.', {
      cause,
    });
  }
  const count = plain.length / MASTER_KEY_BYTES;
  return Array.from({ length: count }, (_, at) =>
    plain.subarray(at * MASTER_KEY_BYTES, (at + 1) * MASTER_KEY_BYTES),
  );
}
