/**
 * The keys everything else is encrypted under. One 32-byte master key makes a key of its own for each purpose and each context
 * (HKDF-SHA256), and both are authenticated, so that a blob moved to another installation or another use does not open. A blob
 * names the master key it was sealed with: a new key goes first in the list, the old ones stay until nothing needs them.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { createDraw } from './draw.ts';

export const MASTER_KEY_BYTES = 32;

const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES;
const ALGORITHM = 'aes-256-gcm';
/** An unknown key is looked for so often. */
const LOOK_MS = 1_000;
const SALT = 'bulkhead keyring v1';
/** Derived keys that are kept of one master key: deriving one costs several times what encrypting a line does. */
const KEYS_KEPT = 1_000;

const newNonce = createDraw(NONCE_BYTES);

/** What a blob is for. Closed, so that two uses never come to share a key by chance. */
export type SealPurpose = 'secret' | 'crypt' | 'session';

export interface Keyring {
  /** Encrypts (AES-256-GCM) under the current master key. */
  seal(purpose: SealPurpose, context: string, plain: Uint8Array): Buffer;
  /** @throws HostError BAD_INPUT for anything that `seal` did not make for this purpose and context */
  open(purpose: SealPurpose, context: string, sealed: Uint8Array): Buffer;
  /** False for a blob under an older master key: it should be sealed again. */
  isCurrent(sealed: Uint8Array): boolean;
  /** Looks whether there are other master keys by now. @returns whether another one seals from here on */
  refresh(): boolean;
}

interface MasterKey {
  readonly id: Buffer;
  readonly bytes: Uint8Array;
  /** By purpose and context. */
  readonly derived: Map<string, KeyObject>;
}

function masterKey(bytes: Uint8Array): MasterKey {
  if (bytes.length !== MASTER_KEY_BYTES)
    throw new HostError(
      'BAD_INPUT',
      `A master key has ${MASTER_KEY_BYTES} bytes, this one has ${bytes.length}.`,
    );
  return { id: masterKeyId(bytes), bytes, derived: new Map() };
}

/** What blobs call the master key that they are under. */
export function masterKeyId(bytes: Uint8Array): Buffer {
  const id = createHash('sha256').update('bulkhead key id\0').update(bytes).digest();
  return id.subarray(0, KEY_ID_BYTES);
}

/** How each blob under a master key begins. */
export function blobHead(keyId: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([VERSION]), keyId]);
}

function firstOf(keys: readonly MasterKey[]): MasterKey {
  const [first] = keys;
  if (first === undefined) throw new HostError('BAD_INPUT', 'A keyring needs at least one master key.');
  return first;
}

function derive({ bytes, derived }: MasterKey, info: string): KeyObject {
  const known = derived.get(info);
  if (known !== undefined) return known;
  const made = createSecretKey(Buffer.from(hkdfSync('sha256', bytes, SALT, info, MASTER_KEY_BYTES)));
  const [oldest] = derived.keys();
  if (oldest !== undefined && derived.size >= KEYS_KEPT) derived.delete(oldest);
  derived.set(info, made);
  return made;
}

function keyIdOf(sealed: Uint8Array): Uint8Array {
  return sealed.subarray(1, 1 + KEY_ID_BYTES);
}

function unreadable(cause?: unknown): HostError {
  return new HostError('BAD_INPUT', 'This is no text that was encrypted here, or it belongs to another.', {
    cause,
  });
}

/**
 * @param masterKeys 32 bytes each; the first seals, all of them open
 * @param again gives the keys as they are now: another process may have sealed with one that was added since
 * @throws HostError BAD_INPUT for a key of another length, or none
 */
export function createKeyring(
  masterKeys: readonly Uint8Array[],
  again: () => readonly Uint8Array[] = () => masterKeys,
): Keyring {
  let keys = masterKeys.map(masterKey);
  let current = firstOf(keys);
  let lookAt = 0;

  function refresh(): boolean {
    const before = current.id;
    const found = again().map(masterKey);
    current = firstOf(found);
    keys = found;
    return !current.id.equals(before);
  }

  /** Asked for by whoever shows a blob, a module included: not more often than the file is worth reading. */
  function find(id: Uint8Array): MasterKey | undefined {
    const known = keys.find((candidate) => candidate.id.equals(id));
    if (known !== undefined || performance.now() < lookAt) return known;
    lookAt = performance.now() + LOOK_MS;
    refresh();
    return keys.find((candidate) => candidate.id.equals(id));
  }

  return {
    seal(purpose, context, plain) {
      const info = `${purpose}\0${context}`;
      const nonce = newNonce();
      const cipher = createCipheriv(ALGORITHM, derive(current, info), nonce);
      cipher.setAAD(Buffer.from(info));
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([blobHead(current.id), nonce, body, cipher.getAuthTag()]);
    },

    open(purpose, context, sealed) {
      if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw unreadable();
      const key = find(keyIdOf(sealed));
      if (key === undefined) throw unreadable();
      const info = `${purpose}\0${context}`;
      const nonce = sealed.subarray(1 + KEY_ID_BYTES, HEADER_BYTES);
      const decipher = createDecipheriv(ALGORITHM, derive(key, info), nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(info));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      try {
        const body = sealed.subarray(HEADER_BYTES, sealed.length - TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]);
      } catch (cause) {
        throw unreadable(cause);
      }
    },

    isCurrent: (sealed) => current.id.equals(keyIdOf(sealed)),
    refresh,
  };
}
