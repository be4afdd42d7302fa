/** A granted host that is hostile, or a module's own accomplice: bombs, drips, endless headers. The host's memory and time are bounded. */
import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { allowOnly, callHttp, httpServer, outcomeOf, rawServer, testScope } from '../brokers/http-support.ts';
import type { TestServer } from '../brokers/http-support.ts';

const LIMITS = { responseBytes: 64 * 1024, wireBytes: 128 * 1024, totalMs: 400, firstByteMs: 200 };
const DRIP_MS = 10;

async function attempt(server: TestServer) {
  return outcomeOf(
    callHttp(
      { method: 'GET', url: `http://api.example.test:${server.port}/` },
      {
        scope: testScope({ egressAllow: allowOnly(server) }),
        grant: { hosts: [`http://api.example.test:${server.port}`] },
        deps: { resolve: async () => [server.address], limits: LIMITS },
      },
    ),
  );
}

/** Sends a head, then one part after another until the other side goes away. */
async function dripping(head: string, part: string | Buffer) {
  return rawServer((socket) => {
    socket.once('data', () => {
      socket.write(head);
      const timer = setInterval(() => socket.write(part), DRIP_MS);
      socket.once('close', () => clearInterval(timer));
    });
  });
}

describe('a hostile server', () => {
  const zeros = Buffer.alloc(32 * 1024 * 1024);
  const bombs = {
    gzip: gzipSync(zeros),
    deflate: deflateSync(zeros),
    br: brotliCompressSync(zeros),
    'gzip, gzip': gzipSync(gzipSync(zeros)),
  };

  it.each(Object.entries(bombs))('with a %s bomb is cut off', async (encoding, bomb) => {
    await using server = await httpServer((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': encoding });
      response.end(bomb);
    });
    const reason = encoding.includes(',') ? 'encoding' : 'too_large';
    expect(await attempt(server)).toMatchObject({ code: 'HTTP_FAILED', reason });
  });

  it('with an endless plain body is cut off, whatever length it claims', async () => {
    for (const head of [
      'HTTP/1.1 200 OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n',
    ]) {
      await using server = await rawServer((socket) => {
        const flood = (): void => {
          while (socket.writable && socket.write(randomBytes(16 * 1024)));
        };
        socket.once('data', () => {
          socket.write(head);
          socket.on('drain', flood);
          flood();
        });
      });
      expect(await attempt(server)).toMatchObject({ reason: 'too_large' });
    }
  });

  it.each([
    ['drips its body', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n', 'x'],
    ['drips its chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
    ['drips empty gzip members', 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n', gzipSync('')],
    ['drips its headers', 'HTTP/1.1 200 OK\r\n', 'X-A: b\r\n'],
    ['drips its first line', 'HTT', ''],
    ['drips 103s before its answer', 'HTTP/1.1 103 Early Hints\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['drips 100s before its answer', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ])('that %s is given up', async (_name, head, part) => {
    await using server = await dripping(head, part);
    expect(await attempt(server)).toMatchObject({
      code: 'HTTP_FAILED',
      reason: expect.stringMatching(/^(timeout|protocol|reset)$/),
    });
  });

  it('with endless headers is cut off', async () => {
    await using server = await rawServer((socket) => {
      socket.once('data', () =>
        socket.write(`HTTP/1.1 200 OK\r\n${`X-A: ${'b'.repeat(1_000)}\r\n`.repeat(200)}`),
      );
    });
    expect(await attempt(server)).toMatchObject({ reason: 'too_large' });
  });

  it('that upgrades the connection gets nothing more', async () => {
    await using server = await rawServer((socket) => {
      socket.once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      );
    });
    expect(await attempt(server)).toMatchObject({ code: 'HTTP_FAILED' });
  });
});
