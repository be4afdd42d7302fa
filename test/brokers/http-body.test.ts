import { Readable } from 'node:stream';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { answerBody, readBody } from '../../src/brokers/http/body.ts';

const LIMIT = { responseBytes: 1_000, wireBytes: 2_000 };

async function reasonOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return 'read';
  } catch (error) {
    return error instanceof HostError ? error.data : error;
  }
}

describe('readBody', () => {
  it.each([
    ['', (text: string) => Buffer.from(text)],
    ['gzip', gzipSync],
    ['GZIP ', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
  ] as const)('reads encoding "%s" in chunks of one byte', async (encoding, compress) => {
    const bytes = [...compress('hello '.repeat(20))].map((byte) => Buffer.from([byte]));
    expect((await readBody(Readable.from(bytes), encoding, LIMIT)).toString()).toBe('hello '.repeat(20));
  });

  it('reads up to the bound and not a byte more', async () => {
    const read = async (size: number, compress: (bytes: Buffer) => Buffer, encoding: string) =>
      reasonOf(readBody(Readable.from([compress(Buffer.alloc(size))]), encoding, LIMIT));
    for (const [encoding, compress] of [
      ['', (b: Buffer) => b],
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
    ] as const) {
      expect(await read(1_000, compress, encoding)).toBe('read');
      expect(await read(1_001, compress, encoding)).toEqual({ reason: 'too_large' });
    }
  });

  it('stops reading a bomb at its bound', async () => {
    const megabyte = gzipSync(Buffer.alloc(1024 * 1024));
    let taken = 0;
    const endless = Readable.from(
      (function* () {
        for (;;) {
          taken += 1;
          yield megabyte;
        }
      })(),
      { highWaterMark: 1 },
    );
    const limits = { responseBytes: 100_000, wireBytes: 10_000_000 };
    expect(await reasonOf(readBody(endless, 'gzip', limits))).toEqual({ reason: 'too_large' });
    // What the decompressor buffers before it stops asking: 64 KB.
    expect(taken * megabyte.length).toBeLessThan(2 * 64 * 1024);
    expect(endless.destroyed).toBe(true);
  });

  it('stops at endless compressed emptiness', async () => {
    const empty = gzipSync('');
    const endless = Readable.from(
      (function* () {
        for (;;) yield empty;
      })(),
    );
    expect(await reasonOf(readBody(endless, 'gzip', LIMIT))).toEqual({ reason: 'too_large' });
  });

  it('refuses what it cannot decompress', async () => {
    expect(await reasonOf(readBody(Readable.from([Buffer.from('plain')]), 'gzip', LIMIT))).toEqual({
      reason: 'encoding',
    });
    expect(await reasonOf(readBody(Readable.from([Buffer.from('plain')]), 'br', LIMIT))).toEqual({
      reason: 'encoding',
    });
    expect(await reasonOf(readBody(Readable.from([Buffer.from('plain')]), 'zstd', LIMIT))).toEqual({
      reason: 'encoding',
    });
    expect(
      await reasonOf(readBody(Readable.from([gzipSync('cut off').subarray(0, 15)]), 'gzip', LIMIT)),
    ).toEqual({ reason: 'encoding' });
  });

  it('gives no bytes for an empty body of any encoding', async () => {
    expect(await readBody(Readable.from([]), 'gzip', LIMIT)).toHaveLength(0);
  });
});

describe('answerBody', () => {
  it('is text exactly if the text encodes to the same bytes', () => {
    expect(answerBody(Buffer.from('\uFEFFżółw\0'))).toEqual({ text: '\uFEFFżółw\0' });
    expect(answerBody(Buffer.from([0xc3, 0x28]))).toEqual({ base64: 'wyg=' });
  });

  it('stays within an answer’s bound for text that JSON makes six times as long', () => {
    const body = answerBody(Buffer.alloc(LIMITS.httpResponseBytes));
    expect(Object.keys(body)).toEqual(['base64']);
    expect(JSON.stringify(body).length).toBeLessThan(LIMITS.resultBytes);
    expect(Object.keys(answerBody(Buffer.alloc(LIMITS.httpResponseBytes, 'a')))).toEqual(['text']);
  });
});
