/**
 * The outer layer: one gzip member and nothing else. Node's own gunzip follows several members, skips what comes after them and
 * ignores header fields, so two different files could hold the same package and one file two packages; here the ten header bytes
 * are fixed and every byte of the file is accounted for. Inflating runs off the event loop and stops at the limit.
 */
import { crc32, deflateRawSync, inflateRaw } from 'node:zlib';
import { refusal } from './refusal.ts';
import type { PackageLimits } from './limits.ts';

/** Magic, deflate, no flags, no time, no level hint, unknown system: the same on every machine. */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
const TRAILER_BYTES = 8;

/** Compresses bytes to one gzip member. The same on one build of zlib; other builds may pack tighter, with equal contents. */
export function gzipOne(bytes: Uint8Array): Uint8Array {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([HEADER, deflateRawSync(bytes, { level: 9 }), trailer]);
}

interface Inflated {
  readonly bytes: Uint8Array;
  readonly consumedBytes: number;
}

/** Narrows what zlib answers with `info: true`, which its types leave out. */
function isInflatedInfo(value: unknown): value is { buffer: Uint8Array; engine: { bytesWritten: number } } {
  return typeof value === 'object' && value !== null && 'buffer' in value && 'engine' in value;
}

function inflateRefusal(error: Error & { code?: string }, limits: PackageLimits): Error {
  if (error.code === 'ERR_BUFFER_TOO_LARGE') {
    return refusal('TOO_LARGE', `the package unpacks to more than ${limits.unpackedBytes} bytes`, {
      limitBytes: limits.unpackedBytes,
    });
  }
  if (error.code === 'Z_BUF_ERROR')
    return refusal('TRUNCATED', 'the package ends too early; download it again');
  return refusal('CORRUPT', `the package is damaged: ${error.message}`);
}

function inflate(bytes: Uint8Array, limits: PackageLimits): Promise<Inflated> {
  return new Promise((resolve, reject) => {
    inflateRaw(
      bytes,
      { info: true, maxOutputLength: limits.unpackedBytes, chunkSize: 64 * 1024 },
      (error, result: unknown) => {
        if (error) reject(inflateRefusal(error, limits));
        else if (isInflatedInfo(result))
          resolve({ bytes: result.buffer, consumedBytes: result.engine.bytesWritten });
        else reject(new TypeError('zlib answered without info'));
      },
    );
  });
}

/** Decompresses exactly one gzip member written by gzipOne. @throws HostError BAD_INPUT */
export async function gunzipOne(bytes: Uint8Array, limits: PackageLimits): Promise<Uint8Array> {
  if (bytes.length > limits.compressedBytes) {
    throw refusal('TOO_LARGE', `the package is larger than ${limits.compressedBytes} bytes`, {
      limitBytes: limits.compressedBytes,
    });
  }
  if (bytes[0] !== HEADER[0] || bytes[1] !== HEADER[1])
    throw refusal('NOT_GZIP', 'this is not a package: it does not start like a gzip file');
  if (bytes.length < HEADER.length + TRAILER_BYTES)
    throw refusal('TRUNCATED', 'the package ends too early; download it again');
  if (Buffer.compare(bytes.subarray(0, HEADER.length), HEADER) !== 0) {
    throw refusal(
      'NOT_CANONICAL',
      'the package was compressed by another tool; make it with “bulkhead module pack”',
    );
  }
  const inflated = await inflate(bytes.subarray(HEADER.length), limits);
  const rest = Buffer.from(bytes.subarray(HEADER.length + inflated.consumedBytes));
  if (rest.length < TRAILER_BYTES)
    throw refusal('TRUNCATED', 'the package ends too early; download it again');
  if (rest.readUInt32LE(0) !== crc32(inflated.bytes) || rest.readUInt32LE(4) !== inflated.bytes.length) {
    throw refusal('CORRUPT', 'the package is damaged: its checksum does not fit; download it again');
  }
  if (rest.length > TRAILER_BYTES) {
    if (rest[TRAILER_BYTES] === HEADER[0] && rest[TRAILER_BYTES + 1] === HEADER[1]) {
      throw refusal('SEVERAL_MEMBERS', 'the package holds a second gzip member');
    }
    throw refusal('TRAILING_DATA', `${rest.length - TRAILER_BYTES} bytes follow the end of the package`);
  }
  return inflated.bytes;
}
