/** The last look: should a check further up be forgotten one day, the connector itself opens no socket to what it must not. */
import { describe, expect, it } from 'vitest';

import { exchange, ExchangeError } from '../../src/brokers/http/exchange.ts';
import { HTTP_LIMITS } from '../../src/brokers/http/limits.ts';
import { openPinned } from '../../src/brokers/smtp/connect.ts';
import { parseTarget } from '../../src/brokers/http/target.ts';
import { echo, httpServer } from '../brokers/http-support.ts';
import type { TestServer } from '../brokers/http-support.ts';

async function connect(
  server: TestServer,
  host: string,
  addresses: readonly string[],
  port = server.port,
): Promise<unknown> {
  const target = parseTarget(`http://${host}:${server.port}/`);
  try {
    const answer = await exchange(
      { target, method: 'GET', headers: [], body: undefined, addresses },
      { allow: [{ cidr: '127.0.0.9/32', port }], limits: HTTP_LIMITS, signal: new AbortController().signal },
    );
    return answer.status;
  } catch (error) {
    return error instanceof ExchangeError ? error.cause : error;
  }
}

describe('the socket of a mail conversation', () => {
  it('is opened to no address that is not allowed, whatever it was handed', async () => {
    await using server = await httpServer(echo);
    for (const address of ['127.0.0.1', 'localhost', '0x7f.1', '::ffff:127.0.0.1']) {
      const { signal } = new AbortController();
      const opening = openPinned({
        addresses: [address],
        port: server.port,
        allow: [{ cidr: '127.0.0.9/32', port: server.port }],
        connectMs: 1_000,
        signal,
      });
      await expect(opening).rejects.toMatchObject({ code: 'NOT_GRANTED' });
    }
    expect(server.connections()).toBe(0);
  });
});

describe('the connector', () => {
  it('opens no socket to an address that is not allowed, whatever it was handed', async () => {
    await using server = await httpServer(echo);
    for (const [host, addresses] of [
      ['api.example.test', ['127.0.0.1']],
      ['127.0.0.1', ['127.0.0.1']],
      ['localhost', ['localhost']],
      ['api.example.test', ['0x7f.1']],
      ['api.example.test', ['::ffff:127.0.0.1']],
    ] as const)
      expect(await connect(server, host, addresses)).toMatchObject({ code: 'NOT_GRANTED' });
    expect(await connect(server, 'localhost', [])).toMatchObject({ code: 'HTTP_FAILED' });
    expect(server.connections()).toBe(0);
  });

  it('goes on to the next address only after a failed connection, never after a refusal', async () => {
    await using server = await httpServer(echo, { address: '127.0.0.9' });
    expect(await connect(server, 'api.example.test', ['127.0.0.1', '127.0.0.9'])).toMatchObject({
      code: 'NOT_GRANTED',
    });
    expect(server.connections()).toBe(0);
    expect(await connect(server, 'api.example.test', ['127.0.0.9'])).toBe(200);
  });
});
