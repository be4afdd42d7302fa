/**
 * Reads an answer's body to its end within its bounds. The bound counts after decompression, because a bomb is small before it; the
 * bytes on the wire are counted too, because compressed blocks can be empty without end.
 */
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

import { LIMITS } from '../../../sandbox/contract/limits.ts';
import { failed } from './failure.ts';
import type { HttpAnswer } from './journal.ts';

export interface BodyLimits {
  readonly responseBytes: number;
  readonly wireBytes: number;
}

const ZLIB_METHOD_DEFLATE = 8;
/** Room beside the body in an answer's message, for headers and the envelope. */
const BESIDE_BODY_BYTES = 256 * 1024;
/** A control character in JSON: \u0000. */
const LONGEST_ESCAPE = 6;

/** `deflate` means zlib's format, but some servers send the bare one: its first byte tells. */
function decompressorFor(encoding: string, first: Buffer): Transform | undefined {
  switch (encoding) {
    case '':
    case 'identity':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'deflate':
      return ((first[0] ?? 0) & 0x0f) === ZLIB_METHOD_DEFLATE ? createInflate() : createInflateRaw();
    default:
      // Several encodings on top of each other multiply what a bomb can do; nobody needs them.
      throw failed('encoding');
  }
}

/** Passes on what comes until there is a byte too many. */
async function* counted(source: AsyncIterable<Buffer>, limitBytes: number): AsyncGenerator<Buffer, void> {
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw failed('too_large');
    yield chunk;
  }
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  yield first;
  yield* rest;
}

async function collect(source: AsyncIterable<Buffer>, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of counted(source, limitBytes)) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * The whole body, decompressed.
 * @throws HostError HTTP_FAILED (too_large, encoding); the stream's own error if the connection ends
 */
export async function readBody(stream: Readable, encoding: string, limits: BodyLimits): Promise<Buffer> {
  const wire = counted(stream, limits.wireBytes);
  const first = await wire.next();
  if (first.done === true) return Buffer.alloc(0);
  const decompressor = decompressorFor(encoding.trim().toLowerCase(), first.value);
  const source = startingWith(first.value, wire);
  if (decompressor === undefined) return collect(source, limits.responseBytes);
  try {
    return await pipeline(source, decompressor, async (parts: AsyncIterable<Buffer>) =>
      collect(parts, limits.responseBytes),
    );
  } catch (error) {
    const isZlib = error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
    const isBrotli = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_');
    throw isZlib || isBrotli ? failed('encoding', error) : error;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function asUtf8(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * As text if the bytes are UTF-8, so that encoding the text gives the very bytes again whatever the content type claims; else as base64.
 * Text that JSON's escapes would blow up beyond an answer's bound goes as base64 too.
 */
export function answerBody(bytes: Buffer): HttpAnswer['body'] {
  const text = asUtf8(bytes);
  if (text === undefined) return { base64: bytes.toString('base64') };
  const limitBytes = LIMITS.resultBytes - BESIDE_BODY_BYTES;
  const isSmall = bytes.length * LONGEST_ESCAPE <= limitBytes;
  return isSmall || Buffer.byteLength(JSON.stringify(text)) <= limitBytes
    ? { text }
    : { base64: bytes.toString('base64') };
}
