/** Headers, methods and URLs that would make a second request out of one. The server is allowed here: only these checks stand. */
import { describe, expect, it } from 'vitest';

import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  outcomeOf,
  rawServer,
  testScope,
} from '../brokers/http-support.ts';
import type { TestServer } from '../brokers/http-support.ts';
import { SMUGGLED_HEADERS } from './http-forms.ts';

function reach(server: TestServer) {
  return {
    scope: testScope({ egressAllow: allowOnly(server) }),
    grant: { hosts: [`http://api.example.test:${server.port}`] },
    deps: { resolve: async () => [server.address] },
  };
}

describe('a smuggled request', () => {
  it('in a header is refused before a socket opens', async () => {
    await using server = await httpServer(echo);
    const url = `http://api.example.test:${server.port}/`;
    const outcomes = [];
    for (const [name, value] of SMUGGLED_HEADERS) {
      const headers: [string, string][] = [
        ['X-First', '1'],
        [name, value],
      ];
      outcomes.push(
        await outcomeOf(callHttp({ method: 'POST', url, headers, body: { text: 'x' } }, reach(server))),
      );
    }
    expect(outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.status))).toEqual(
      SMUGGLED_HEADERS.map(() => 'BAD_INPUT'),
    );
    expect(server.connections()).toBe(0);
    expect(
      await outcomeOf(callHttp({ method: 'POST', url, headers: [['X-First', '1']] }, reach(server))),
    ).toEqual({ status: 200 });
  });

  it('in a URL that parsers read differently is refused, though its host is granted and allowed', async () => {
    await using server = await httpServer(echo);
    const place = `api.example.test:${server.port}`;
    const dotted = `http://api.example.test.:${server.port}/`;
    const forms = [
      [`http://user:pass@${place}/`, 'user or password'],
      [`http://user@${place}/`, 'user or password'],
      [`http://:pass@${place}/`, 'user or password'],
      [dotted, 'without a dot'],
      [`http://${place}\\x`, 'backslash'],
      [`http://${place}/a b`, 'space'],
      [` http://${place}/`, 'space'],
      [`http://${place}/\tx`, 'control character'],
      [`http://${place}/\r\nX: y`, 'control character'],
      [`ht\ntp://${place}/`, 'control character'],
      [`http://${place}/\x7f`, 'control character'],
      [`http://${place}/${'a'.repeat(8_192)}`, 'Invalid length'],
    ] as const;
    for (const [url, text] of forms) {
      const outcome = await outcomeOf(callHttp({ method: 'GET', url }, reach(server))).catch(
        (error: unknown) => ({ code: 'BAD_INPUT', message: String(error) }),
      );
      expect({ url, ...outcome }).toMatchObject({
        url,
        code: 'BAD_INPUT',
        message: expect.stringContaining(text),
      });
    }
    expect(server.connections()).toBe(0);
  });

  it('in too many or too large headers is refused', async () => {
    await using server = await httpServer(echo);
    const url = `http://api.example.test:${server.port}/`;
    const many = Array.from({ length: 101 }, (_, index): [string, string] => [`X-${index}`, '1']);
    expect(await outcomeOf(callHttp({ method: 'GET', url, headers: many }, reach(server)))).toMatchObject({
      code: 'BAD_INPUT',
    });
    const large: [string, string][] = [['X-A', 'a'.repeat(40_000)]];
    expect(await outcomeOf(callHttp({ method: 'GET', url, headers: large }, reach(server)))).toMatchObject({
      code: 'BAD_INPUT',
    });
    expect(server.connections()).toBe(0);
  });

  it('in path, query or body stays one request', async () => {
    await using server = await httpServer(echo);
    const base = `http://api.example.test:${server.port}`;
    for (const path of [
      '/%0d%0aHost:%20x',
      '/?a=%0D%0A%0D%0AGET%20/',
      '/%20HTTP/1.1%0d%0a',
      '/%00',
      '/é',
      '/?é=嘊嘍',
    ])
      expect(await outcomeOf(callHttp({ method: 'GET', url: base + path }, reach(server)))).toEqual({
        status: 200,
      });
    const body = { text: '0\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n' };
    expect(await outcomeOf(callHttp({ method: 'POST', url: base, body }, reach(server)))).toEqual({
      status: 200,
    });
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/%0d%0aHost:%20x',
      '/?a=%0D%0A%0D%0AGET%20/',
      '/%20HTTP/1.1%0d%0a',
      '/%00',
      '/%C3%A9',
      '/?%C3%A9=%E5%98%8A%E5%98%8D',
      '/',
    ]);
    expect(server.connections()).toBe(7);
  });

  it('waiting on a connection is never the answer to the next request', async () => {
    let sockets = 0;
    await using server = await rawServer((socket) => {
      sockets += 1;
      const own = sockets;
      socket.once('data', () => {
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${own}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale`,
        );
      });
    });
    const url = `http://api.example.test:${server.port}/`;
    const bodies = [];
    for (let round = 0; round < 3; round++) {
      const outcome = await callHttp({ method: 'GET', url }, reach(server)).then(
        (answer) => answer.body,
        () => 'failed',
      );
      bodies.push(outcome);
    }
    expect(JSON.stringify(bodies)).not.toContain('stale');
    expect(server.connections()).toBe(3);
  });
});
