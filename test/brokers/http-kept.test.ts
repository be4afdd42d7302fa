/** Connections that wait between requests: what takes one, what never does, and that nothing of one request reaches another's answer. */
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Connection } from '../../src/brokers/http/connection.ts';
import { KeptConnections } from '../../src/brokers/http/kept.ts';
import { HTTP_LIMITS } from '../../src/brokers/http/limits.ts';
import { until } from '../support/until.ts';
import { TEST_CERTIFICATE } from './http-certificate.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  httpsServer,
  outcomeOf,
  rawServer,
  testScope,
} from './http-support.ts';
import type { HttpCall, TestServer } from './http-support.ts';

let kept: KeptConnections;
beforeEach(() => {
  kept = new KeptConnections();
});
afterEach(() => kept.close());

type Method = 'GET' | 'HEAD' | 'POST';

/** What asks one server by the name one.test, over connections that are kept. */
function asking(server: TestServer, call: HttpCall = {}) {
  const url = `http://one.test:${server.port}/`;
  const setting = {
    scope: testScope({ egressAllow: allowOnly(server), ...call.scope }),
    grant: { hosts: [`http://one.test:${server.port}`], methods: ['GET', 'HEAD', 'POST'] as Method[] },
    deps: { kept, resolve: async () => ['127.0.0.1'], ...call.deps },
  };
  return async (method: Method = 'GET', changes: object = {}) =>
    callHttp({ method, url, ...changes }, setting);
}

const ok = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** A server that answers each request it reads with what `answer` makes of its number (from 0) on this socket. */
async function scripted(answer: (index: number, socket: Socket) => void) {
  return rawServer((socket) => {
    let index = 0;
    socket.on('data', () => answer(index++, socket));
  });
}

describe('a connection is kept', () => {
  it('for the next request that only reads', async () => {
    await using server = await httpServer(echo);
    const ask = asking(server);
    expect([await ask(), await ask('HEAD'), await ask()]).toMatchObject([{ status: 200 }, {}, {}]);
    expect(server.connections()).toBe(1);
    expect(kept.size).toBe(1);
  });

  it('over TLS, whose certificate was looked at when it was opened', async () => {
    await using server = await httpsServer(echo);
    const call = {
      scope: testScope({ egressAllow: allowOnly(server) }),
      grant: { hosts: [`api.example.test:${server.port}`] },
      deps: { kept, ca: [TEST_CERTIFICATE], resolve: async () => ['127.0.0.1'] },
    };
    const input = { method: 'GET', url: `https://api.example.test:${server.port}/` } as const;
    expect([await outcomeOf(callHttp(input, call)), await outcomeOf(callHttp(input, call))]).toEqual([
      { status: 200 },
      { status: 200 },
    ]);
    expect(server.connections()).toBe(1);
  });

  it('for one request at a time', async () => {
    await using server = await httpServer(echo);
    const ask = asking(server);
    await Promise.all([ask(), ask(), ask()]);
    expect(server.connections()).toBe(3);
  });

  it('and the request is sent once more when the other side had closed it', async () => {
    await using server = await scripted((index, socket) => {
      if (index === 0) socket.write(ok('first'));
      else socket.destroy();
    });
    const ask = asking(server);
    await ask();
    expect(await ask()).toMatchObject({ status: 200, body: { text: 'first' } });
    expect(server.connections()).toBe(2);
  });

  it('but what fails on a new one is not sent again', async () => {
    await using server = await scripted((_index, socket) => socket.destroy());
    expect(await outcomeOf(asking(server)())).toMatchObject({ reason: 'reset' });
    expect(server.connections()).toBe(1);
  });
});

describe('a kept connection never serves', () => {
  it('another installation', async () => {
    await using server = await httpServer(echo);
    await asking(server)();
    await asking(server, { scope: testScope({ installationId: 'inst2', egressAllow: allowOnly(server) }) })();
    expect(server.connections()).toBe(2);
  });

  it('a request that may change something, nor does that leave one', async () => {
    await using server = await httpServer(echo);
    const ask = asking(server);
    await ask();
    await ask('POST', { body: { text: 'x' } });
    expect(server.connections()).toBe(2);
    expect(server.requests.map(({ headers }) => headers.connection)).toEqual(['keep-alive', 'close']);
  });

  it('a step of a job', async () => {
    await using server = await httpServer(echo);
    const journal = {
      before: async () => ({ send: { idempotencyKey: 'k' } }),
      answered: async () => undefined,
      unsent: async () => undefined,
    };
    const scope = testScope({ taskId: 'task1', egressAllow: allowOnly(server) });
    const ask = asking(server, { scope, deps: { journal } });
    await ask();
    await ask('GET', { step: { name: 'read', number: 0 } });
    expect(server.connections()).toBe(2);
  });

  it('a name that has moved to another address', async () => {
    await using first = await httpServer(echo);
    await using second = await httpServer(echo, { address: '127.0.0.2', port: first.port });
    let address = '127.0.0.1';
    const scope = testScope({ egressAllow: [...allowOnly(first), ...allowOnly(second)] });
    const ask = asking(first, { scope, deps: { resolve: async () => [address] } });
    await ask();
    address = '127.0.0.2';
    await ask();
    expect([first.requests.length, second.requests.length]).toEqual([1, 1]);
  });

  it('an address that is no longer allowed', async () => {
    await using server = await httpServer(echo);
    await asking(server)();
    const refused = asking(server, { scope: testScope({ egressAllow: [] }) })();
    expect(await outcomeOf(refused)).toMatchObject({ code: 'NOT_GRANTED' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('what comes unasked', () => {
  it('behind an answer ends the connection, and is no answer of the next request', async () => {
    await using server = await scripted((_index, socket) => socket.write(ok('asked') + ok('smuggled')));
    const ask = asking(server);
    expect(await ask()).toMatchObject({ body: { text: 'asked' } });
    expect(await ask()).toMatchObject({ body: { text: 'asked' } });
    expect(server.connections()).toBe(2);
  });

  it('while the connection waits ends it, too', async () => {
    const sockets: Socket[] = [];
    await using server = await scripted((_index, socket) => {
      sockets.push(socket);
      socket.write(ok('asked'));
    });
    const ask = asking(server);
    await ask();
    expect(kept.size).toBe(1);
    sockets[0]?.write(ok('smuggled'));
    await until('the end of the connection', async () => kept.size === 0);
    expect(await ask()).toMatchObject({ body: { text: 'asked' } });
    expect(server.connections()).toBe(2);
  });
});

describe('a connection', () => {
  it('connects once: another one would go to addresses that were checked for an earlier request', async () => {
    await using server = await httpServer((_request, response) => {
      response.setHeader('connection', 'close').end('x');
    });
    const connection = new Connection({
      origin: `http://one.test:${server.port}`,
      addresses: ['127.0.0.1'],
      port: server.port,
      allow: allowOnly(server),
      connectMs: 5_000,
      responseHeaderBytes: HTTP_LIMITS.responseHeaderBytes,
    });
    const ask = async () => (await connection.client.request({ method: 'GET', path: '/' })).body.text();
    expect(await ask()).toBe('x');
    await expect(ask()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(server.connections()).toBe(1);
    await connection.end();
  });
});

describe('kept connections are bounded', () => {
  it('for each installation', async () => {
    await using server = await httpServer(echo);
    const ask = asking(server);
    await Promise.all(Array.from({ length: HTTP_LIMITS.keptPerInstallation + 3 }, () => ask()));
    expect(kept.size).toBe(HTTP_LIMITS.keptPerInstallation);
  });

  it('and all end when the host does', async () => {
    const sockets: Socket[] = [];
    await using server = await scripted((_index, socket) => {
      sockets.push(socket);
      socket.write(ok('x'));
    });
    await asking(server)();
    kept.close();
    await until('the end of the connection', async () => sockets[0]?.destroyed === true);
    await asking(server)();
    expect(kept.size).toBe(0);
  });
});
