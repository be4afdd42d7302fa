/** Publisher keys: one key has one text, and only Ed25519 is a key. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  fingerprint,
  generateKeyPair,
  readPrivateKey,
  readPublicKey,
} from '../../../src/store/package/keys.ts';
import { respell } from './fixture.ts';
import { refused } from './refused.ts';

describe('a key pair', () => {
  it('is read back from its PEM', () => {
    const keys = generateKeyPair();
    expect(readPrivateKey(keys.privateKeyPem).publicKey).toBe(keys.publicKey);
    expect(createPrivateKey(keys.privateKeyPem).asymmetricKeyType).toBe('ed25519');
  });

  it.each(['x25519', 'ed448'] as const)('of %s is refused', async (type) => {
    // The two calls differ only in a literal type that generateKeyPairSync overloads on.
    const { privateKey } = type === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ed448');
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const { reason, message } = await refused((async () => readPrivateKey(pem))());
    expect({ reason, message }).toEqual({
      reason: 'BAD_KEY',
      message: expect.stringContaining('not an Ed25519 key'),
    });
  });
});

describe('a public key', () => {
  const { publicKey } = generateKeyPair();

  it.each([
    ['cut short', publicKey.slice(1)],
    ['with a character that decoders skip', `${publicKey}\n`],
    ['with padding', `${publicKey}=`],
    ['in a second spelling', respell(publicKey)],
    ['that is empty', ''],
  ])('%s is refused', async (_, text) => {
    expect((await refused((async () => readPublicKey(text))())).reason).toBe('BAD_KEY');
    expect((await refused((async () => fingerprint(text))())).reason).toBe('BAD_KEY');
  });

  it('has a fingerprint of its own', () => {
    expect(fingerprint(publicKey)).toBe(fingerprint(publicKey));
    expect(fingerprint(publicKey)).not.toBe(fingerprint(generateKeyPair().publicKey));
  });

  it('has the fingerprint that is written down', () => {
    // From RFC 8032, test 1; the fingerprint is `sha256sum` of the 32 bytes.
    const known = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
    expect(fingerprint(known.toString('base64url'))).toBe('21fe 31df a154 a261 626b f854 046f d227');
  });
});
