/**
 * Publisher keys: Ed25519, because a key fits one line and there are no parameters to choose wrongly. The private half is a
 * PKCS#8 PEM file on the author's machine; the public half travels as 43 characters of base64url.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { bytesOfBase64url } from './base64url.ts';
import { refusal } from './refusal.ts';
import type { KeyObject } from 'node:crypto';

const PUBLIC_KEY_BYTES = 32;
const FINGERPRINT_CHARACTERS = 32;

export interface PublisherKeys {
  /** base64url of the 32 bytes. */
  readonly publicKey: string;
  /** PKCS#8 PEM; write it with mode 0600 and keep it out of the module's folder. */
  readonly privateKeyPem: string;
}

/** The public key's text form, from either half. */
function publicText(key: KeyObject): string {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  if (typeof x !== 'string') throw refusal('BAD_KEY', 'this is not an Ed25519 key');
  return x;
}

/** A new key pair. */
export function generateKeyPair(): PublisherKeys {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: publicText(privateKey),
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/** Reads a private key from PEM text. @throws HostError BAD_KEY */
export function readPrivateKey(pem: string): { readonly key: KeyObject; readonly publicKey: string } {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw refusal(
      'BAD_KEY',
      `this is not a private key in PEM: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw refusal('BAD_KEY', 'this is not an Ed25519 key; make one with generateKeyPair');
  return { key, publicKey: publicText(key) };
}

/** Reads a public key from its text form; one key has exactly one. @throws HostError BAD_KEY */
export function readPublicKey(text: string): KeyObject {
  if (bytesOfBase64url(text, PUBLIC_KEY_BYTES) === undefined) {
    throw refusal('BAD_KEY', 'a public key is 43 characters of base64url');
  }
  try {
    return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } });
  } catch (cause) {
    throw refusal(
      'BAD_KEY',
      `this is not a public key: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}

/** A short text for people to compare: 128 bits of the key's SHA-256, in eight groups. @throws HostError BAD_KEY */
export function fingerprint(publicKey: string): string {
  readPublicKey(publicKey);
  const digest = createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex');
  return digest.slice(0, FINGERPRINT_CHARACTERS).match(/.{4}/g)?.join(' ') ?? digest;
}
