/**
 * crypto for one invocation. An isolate has no source of randomness; the host gives each invocation a seed of 32 random bytes, and what
 * is drawn from it is SHA-256 over seed and counter. Digests and HMAC are computed here, so that no secret has to be passed around for
 * them; secrets the host keeps are used through `secrets.hmac`.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { md5 as md5Bytes, sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';

import type { Env } from '../env.ts';
import { decodeBase64, encodeHex } from './base64.ts';
import { DOMException } from './dom-exception.ts';
import { bytesOf, encodeUtf8 } from './encoding.ts';
import { perInvocation } from './per-invocation.ts';

const HASHES = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-384': sha384, 'SHA-512': sha512 };
type HashName = keyof typeof HASHES;
type Source = ArrayBuffer | ArrayBufferView;
type AlgorithmName = string | { readonly name: string };

const DRAWN_BYTES = 65_536;
const BLOCK_BYTES = 32;

export interface HmacAlgorithm {
  readonly name: string;
  readonly hash?: AlgorithmName;
}

function unsupported(what: string): DOMException {
  return new DOMException(
    `${what} is not supported here; there are SHA-1, SHA-256, SHA-384, SHA-512 and HMAC.`,
    'NotSupportedError',
  );
}

function nameOf(algorithm: AlgorithmName): string {
  return (typeof algorithm === 'string' ? algorithm : algorithm.name).toUpperCase();
}

function hashNamed(algorithm: AlgorithmName): HashName {
  const name = nameOf(algorithm);
  const found = (Object.keys(HASHES) as HashName[]).find((candidate) => candidate === name);
  if (found === undefined) throw unsupported(name);
  return found;
}

function checkHmac(algorithm: AlgorithmName): void {
  if (nameOf(algorithm) !== 'HMAC') throw unsupported(nameOf(algorithm));
}

/** An HMAC key; its bytes cannot be read from outside. */
export class CryptoKey {
  readonly type = 'secret';
  readonly extractable = false;
  readonly algorithm: { readonly name: 'HMAC'; readonly hash: { readonly name: HashName } };
  readonly usages: readonly string[];
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, hash: HashName, usages: readonly string[]) {
    this.#bytes = bytes;
    this.algorithm = { name: 'HMAC', hash: { name: hash } };
    this.usages = [...usages];
  }

  static mac(key: CryptoKey, usage: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
    if (!key.usages.includes(usage))
      throw new DOMException(`This key is not for "${usage}".`, 'InvalidAccessError');
    return Uint8Array.from(hmac(HASHES[key.algorithm.hash.name], key.#bytes, data));
  }
}

/** The part of SubtleCrypto that needs no key of anybody. It holds no state. */
const subtle = Object.freeze({
  async digest(algorithm: AlgorithmName, data: Source): Promise<ArrayBuffer> {
    return Uint8Array.from(HASHES[hashNamed(algorithm)](bytesOf(data))).buffer;
  },

  async importKey(
    format: string,
    data: Source,
    algorithm: HmacAlgorithm,
    _extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey> {
    checkHmac(algorithm);
    if (format !== 'raw') throw unsupported(`The key format ${format}`);
    return new CryptoKey(bytesOf(data).slice(), hashNamed(algorithm.hash ?? 'SHA-256'), usages);
  },

  async sign(algorithm: AlgorithmName, key: CryptoKey, data: Source): Promise<ArrayBuffer> {
    checkHmac(algorithm);
    return CryptoKey.mac(key, 'sign', bytesOf(data)).buffer;
  },

  /** In constant time. */
  async verify(algorithm: AlgorithmName, key: CryptoKey, signature: Source, data: Source): Promise<boolean> {
    checkHmac(algorithm);
    const expected = CryptoKey.mac(key, 'verify', bytesOf(data));
    const given = bytesOf(signature);
    let difference = given.length ^ expected.length;
    for (const [index, byte] of expected.entries()) difference |= byte ^ (given[index] ?? 0);
    return difference === 0;
  },
});

export interface Crypto {
  /** Fills an integer typed array of at most 65,536 bytes and returns it. */
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
  readonly subtle: typeof subtle;
}

/** Bytes from seed and counter. Each block is used once; what is left of one is given first. */
function generator(seed: () => Uint8Array): (target: Uint8Array) => void {
  let input: Uint8Array | undefined;
  let counter = 0;
  let block: Uint8Array = new Uint8Array(0);
  let used = 0;
  const nextBlock = (): void => {
    if (input === undefined) {
      const bytes = seed();
      if (bytes.length < BLOCK_BYTES) throw new Error('this invocation has no seed');
      input = new Uint8Array(bytes.length + 8);
      input.set(bytes);
    }
    new DataView(input.buffer).setFloat64(input.length - 8, counter++);
    block = sha256(input);
    used = 0;
  };
  return (target) => {
    for (let at = 0; at < target.length;) {
      if (used === block.length) nextBlock();
      const part = block.subarray(used, used + target.length - at);
      target.set(part, at);
      used += part.length;
      at += part.length;
    }
  };
}

/** Each invocation draws from its own seed, 32 random bytes from the host; it is read when something is first drawn. */
export function createCrypto(env: Pick<Env, 'context'>): Crypto {
  const own = perInvocation(env, () => generator(() => decodeBase64(env.context.seed)));
  const fill = (target: Uint8Array): void => own()(target);
  return Object.freeze({
    subtle,
    getRandomValues<T extends ArrayBufferView>(array: T): T {
      if (!ArrayBuffer.isView(array) || /Float|DataView/.test(Object.prototype.toString.call(array)))
        throw new DOMException('An integer typed array is expected.', 'TypeMismatchError');
      if (array.byteLength > DRAWN_BYTES)
        throw new DOMException(`At most ${DRAWN_BYTES} bytes are drawn at once.`, 'QuotaExceededError');
      fill(bytesOf(array));
      return array;
    },
    randomUUID(): string {
      const bytes = new Uint8Array(16);
      fill(bytes);
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
      const hex = encodeHex(bytes);
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      );
    },
  });
}

/** For old services that ask for it; no protection of anything. */
export function md5(text: string): string {
  return encodeHex(md5Bytes(encodeUtf8(text)));
}
