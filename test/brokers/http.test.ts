import { describe, expect, it } from 'vitest';

import { createHttpBroker } from '../../src/brokers/http.ts';
import { HTTP_LIMITS } from '../../src/brokers/http/limits.ts';
import { TEST_CERTIFICATE } from './http-certificate.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpGrant,
  httpServer,
  httpsServer,
  noJournal,
  noRequests,
  openVault,
  outcomeOf,
  rawServer,
  tableResolver,
  testScope,
} from './http-support.ts';
import type { TestServer } from './http-support.ts';

function bodyText(answer: { body: { text: string } | { base64: string } }): string {
  return 'text' in answer.body
    ? answer.body.text
    : Buffer.from(answer.body.base64, 'base64').toString('latin1');
}

/** A granted host name that leads to the server. */
function reach(server: TestServer, host = 'api.example.test') {
  return {
    url: `http://${host}:${server.port}`,
    scope: testScope({ egressAllow: allowOnly(server) }),
    grant: { hosts: [`http://${host}:${server.port}`] },
    deps: { resolve: tableResolver({ [host]: [server.address] }).resolve },
  };
}

describe('http request', () => {
  it('reaches a granted host and answers with status, headers and body', async () => {
    await using server = await httpServer((_request, response) => {
      response.writeHead(201, 'Made', { 'X-One': '1', 'Set-Cookie': ['a=1', 'b=2'], Connection: 'close' });
      response.end('żółw');
    });
    const { url, ...call } = reach(server);
    const answer = await callHttp({ method: 'GET', url: `${url}/x?y=1#z` }, call);
    expect(answer).toMatchObject({
      status: 201,
      statusText: 'Made',
      body: { text: 'żółw' },
      redirected: false,
    });
    expect(answer.headers).toContainEqual(['x-one', '1']);
    expect(answer.headers.filter(([name]) => name === 'set-cookie')).toHaveLength(2);
    expect(answer.headers.map(([name]) => name)).not.toContain('connection');
    expect(server.requests[0]?.url).toBe('/x?y=1');
    expect(server.requests[0]?.headers).toMatchObject({
      host: `api.example.test:${server.port}`,
      connection: 'close',
    });
  });

  it('sends method, headers and a text or binary body', async () => {
    await using server = await httpServer(echo);
    const { url, ...call } = reach(server);
    const text = await callHttp({ method: 'POST', url, headers: [['X-A', '1']], body: { text: 'ż' } }, call);
    expect(JSON.parse(bodyText(text))).toMatchObject({ method: 'POST', body: 'ż', headers: { 'x-a': '1' } });
    const binary = await callHttp({ method: 'POST', url, body: { base64: 'AQID' } }, call);
    expect(JSON.parse(bodyText(binary))).toMatchObject({ body: '\u0001\u0002\u0003' });
  });

  it('gives bytes that are no UTF-8 as base64', async () => {
    await using server = await httpServer((_request, response) =>
      response.end(Buffer.from([0xff, 0xfe, 0x00])),
    );
    const { url, ...call } = reach(server);
    expect((await callHttp({ method: 'GET', url }, call)).body).toEqual({ base64: '//4A' });
  });

  it('records method, host and path without the query, and what it used', async () => {
    await using server = await httpServer(echo);
    const { url, ...call } = reach(server);
    await callHttp({ method: 'GET', url: `${url}/a/b?token=t` }, call);
    expect(call.scope.recorded).toEqual([
      { op: 'http.request', target: `GET ${url}/a/b`, status: 200, durationMs: expect.any(Number) },
    ]);
    expect(call.scope.uses).toEqual([`http.hosts:${call.grant.hosts[0]}`, 'http.methods:GET']);
  });

  it('verifies the certificate for the name that was asked for', async () => {
    await using server = await httpsServer(echo);
    const call = (host: string) => ({
      scope: testScope({ egressAllow: allowOnly(server) }),
      grant: { hosts: [`${host}:${server.port}`] },
      deps: { resolve: tableResolver({ [host]: ['127.0.0.1'] }).resolve, ca: [TEST_CERTIFICATE] },
    });
    const url = (host: string) => `https://${host}:${server.port}/`;
    const good = await callHttp({ method: 'GET', url: url('api.example.test') }, call('api.example.test'));
    expect(good.status).toBe(200);
    const literal = await callHttp({ method: 'GET', url: url('127.0.0.1') }, call('127.0.0.1'));
    expect(literal.status).toBe(200);
    const wrong = await outcomeOf(callHttp({ method: 'GET', url: url('other.test') }, call('other.test')));
    expect(wrong).toMatchObject({ code: 'HTTP_FAILED', reason: 'tls' });
    const untrusted = { ...call('api.example.test'), deps: { ...call('api.example.test').deps, ca: [] } };
    expect(
      await outcomeOf(callHttp({ method: 'GET', url: url('api.example.test') }, untrusted)),
    ).toMatchObject({
      reason: 'tls',
    });
  });

  it('tries the next address of a name when one does not answer', async () => {
    await using server = await httpServer(echo, { address: '127.0.0.2' });
    const { url, grant } = reach(server);
    const { resolve } = tableResolver({ 'api.example.test': ['127.0.0.1', '127.0.0.2'] });
    const scope = testScope({ egressAllow: [{ cidr: '127.0.0.0/30', port: server.port }] });
    expect((await callHttp({ method: 'GET', url }, { scope, grant, deps: { resolve } })).status).toBe(200);
  });
});

describe('http refuses', () => {
  const refused = async (url: string, hosts: string[], settings: Record<string, unknown> = {}) =>
    outcomeOf(
      callHttp(
        { method: 'GET', url },
        { scope: testScope({ settings }), grant: { hosts }, deps: { resolve: tableResolver({}).resolve } },
      ),
    );

  it('a host that is not granted, naming what to add', async () => {
    expect(await refused('https://a.b/', ['api.example.test'])).toMatchObject({
      code: 'NOT_GRANTED',
      message: 'http: host a.b is not granted; add it to permissions.http.hosts',
    });
  });

  it.each([
    ['http://api.example.test/', 'another scheme'],
    ['https://api.example.test:8443/', 'another port'],
    ['https://evil.test/?.example.test/', 'a look-alike in the query'],
    ['https://api.example.test.evil.test/', 'a suffix'],
    ['https://evilapi.example.test/', 'a prefix within the label'],
  ])('%s (%s)', async (url) => {
    expect(await refused(url, ['api.example.test'])).toMatchObject({ code: 'NOT_GRANTED' });
  });

  it('a wildcard for the bare domain, an empty label or half a label', async () => {
    const hosts = ['*.example.test'];
    expect(await refused('https://a.b.example.test/', hosts)).toMatchObject({ reason: 'dns' });
    expect(await refused('https://example.test/', hosts)).toMatchObject({ code: 'NOT_GRANTED' });
    expect(await refused('https://evilexample.test/', hosts)).toMatchObject({ code: 'NOT_GRANTED' });
    expect(await refused('https://.example.test/', hosts)).toMatchObject({ code: 'BAD_INPUT' });
  });

  it('an unfilled or unreadable setting, and allows exactly the origin of a readable one', async () => {
    const hosts = ['{settings.server}'];
    const url = 'https://my.server.test:8006/api';
    expect(await refused(url, hosts, { server: 'https://my.server.test:8006/base' })).toMatchObject({
      reason: 'dns',
    });
    expect(await refused(url, hosts, { server: 'my.server.test:8006' })).toMatchObject({ reason: 'dns' });
    const unreadable = [
      undefined,
      '',
      7,
      'my.server.test',
      '*.server.test:8006',
      'https://u:p@my.server.test:8006',
      'http://my.server.test:8006',
    ];
    for (const server of unreadable) {
      const outcome = await refused(url, hosts, { server });
      expect({ server, ...outcome }).toMatchObject({ server, code: 'NOT_GRANTED' });
    }
    expect(await refused(url, ['{settings.constructor}'], {})).toMatchObject({ code: 'NOT_GRANTED' });
  });

  it('a method that is not granted', async () => {
    const work = callHttp({ method: 'DELETE', url: 'https://a.test/' }, { grant: { hosts: ['a.test'] } });
    expect(await outcomeOf(work)).toMatchObject({
      code: 'NOT_GRANTED',
      message: 'http: method DELETE is not granted; add it to permissions.http.methods',
    });
  });

  it('a body in a GET, and a step outside a job', async () => {
    const grant = { hosts: ['a.test'] };
    const get = callHttp({ method: 'GET', url: 'https://a.test/', body: { text: 'x' } }, { grant });
    expect(await outcomeOf(get)).toMatchObject({ code: 'BAD_INPUT' });
    const step = callHttp(
      { method: 'POST', url: 'https://a.test/', step: { name: 's', number: 0 } },
      { grant },
    );
    expect(await outcomeOf(step)).toMatchObject({
      code: 'BAD_INPUT',
      message: 'http: steps exist in jobs only.',
    });
  });

  it('records what it refused', async () => {
    const scope = testScope();
    await outcomeOf(callHttp({ method: 'GET', url: 'https://a.b/x' }, { scope }));
    expect(scope.recorded).toMatchObject([{ target: 'GET a.b/x', errorCode: 'NOT_GRANTED' }]);
  });
});

describe('http limits', () => {
  it('more than per_minute requests, until the minute has passed', async () => {
    let now = 1_000_000 * 60_000;
    const broker = createHttpBroker({
      vault: openVault(),
      journal: noJournal,
      requests: noRequests,
      now: () => now,
      resolve: tableResolver({}).resolve,
    });
    const ask = async (installationId: string) =>
      outcomeOf(
        broker.request(
          testScope({ installationId, deadlineAt: now + 5_000 }),
          { method: 'GET', url: 'https://a.test/', headers: [], redirect: 'follow' },
          httpGrant({ hosts: ['a.test'], per_minute: 2 }),
        ),
      );
    expect([await ask('one'), await ask('one'), await ask('one')]).toMatchObject([
      { reason: 'dns' },
      { reason: 'dns' },
      { code: 'LIMIT' },
    ]);
    expect(await ask('two')).toMatchObject({ reason: 'dns' });
    now += 60_000;
    expect(await ask('one')).toMatchObject({ code: 'LIMIT' });
    now += 59_000;
    expect(await ask('one')).toMatchObject({ reason: 'dns' });
  });

  it('a request body beyond its bytes', async () => {
    const text = 'x'.repeat(HTTP_LIMITS.requestBytes + 1);
    const work = callHttp(
      { method: 'POST', url: 'https://a.test/', body: { text } },
      { grant: { hosts: ['a.test'] } },
    );
    expect(await outcomeOf(work)).toMatchObject({ code: 'LIMIT' });
  });

  it('the whole time, the time to the first byte, and the invocation itself', async () => {
    await using server = await rawServer(() => undefined);
    const { url, deps, ...call } = reach(server);
    const whole = callHttp({ method: 'GET', url, timeoutMs: 50 }, { ...call, deps });
    expect(await outcomeOf(whole)).toMatchObject({ code: 'HTTP_FAILED', reason: 'timeout' });
    const first = callHttp(
      { method: 'GET', url },
      { ...call, deps: { ...deps, limits: { firstByteMs: 50 } } },
    );
    expect(await outcomeOf(first)).toMatchObject({ reason: 'timeout' });
    const due = testScope({ egressAllow: allowOnly(server), deadlineAt: performance.now() + 50 });
    expect(await outcomeOf(callHttp({ method: 'GET', url }, { ...call, deps, scope: due }))).toMatchObject({
      reason: 'timeout',
    });
    const ended = testScope({ egressAllow: allowOnly(server), signal: AbortSignal.timeout(50) });
    expect(await outcomeOf(callHttp({ method: 'GET', url }, { ...call, deps, scope: ended }))).toMatchObject({
      code: 'ENDED',
    });
    expect(server.connections()).toBe(4);
  });

  it('a connection that never stands, as soon as the module says', { timeout: 5_000 }, async () => {
    // It takes the connection and never answers the handshake of TLS; the host's own bound is ten seconds.
    await using server = await rawServer(() => undefined);
    const { deps, scope } = reach(server);
    const host = `api.example.test:${server.port}`;
    const work = callHttp(
      { method: 'GET', url: `https://${host}/`, connectTimeoutMs: 50 },
      { grant: { hosts: [host] }, deps, scope },
    );
    expect(await outcomeOf(work)).toMatchObject({ code: 'HTTP_FAILED' });
  });

  it('a resolver that never answers', async () => {
    const work = callHttp(
      { method: 'GET', url: 'https://a.test/', timeoutMs: 50 },
      { grant: { hosts: ['a.test'] }, deps: { resolve: async () => new Promise(() => undefined) } },
    );
    expect(await outcomeOf(work)).toMatchObject({ reason: 'timeout' });
  });
});

describe('http failures', () => {
  it('name their reason and no address', async () => {
    const free = await httpServer(echo);
    const { url, ...call } = reach(free);
    await free[Symbol.asyncDispose]();
    const refused = await outcomeOf(callHttp({ method: 'GET', url }, call));
    expect(refused).toMatchObject({ code: 'HTTP_FAILED', reason: 'refused' });
    expect(JSON.stringify(refused)).not.toContain('127.0.0.1');
  });

  it.each([
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', 'reset'],
    ['SSH-2.0-OpenSSH_9.0\r\n', 'protocol'],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 'too_large'],
    ['HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip', 'encoding'],
    ['HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\nabc', 'encoding'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nab', 'protocol'],
  ])('%# of a server that breaks off or speaks nonsense: %s', async (bytes, reason) => {
    await using server = await rawServer((socket) => {
      socket.once('data', () => socket.end(bytes));
    });
    const { url, ...call } = reach(server);
    expect(await outcomeOf(callHttp({ method: 'GET', url }, call))).toMatchObject({
      code: 'HTTP_FAILED',
      reason,
    });
  });
});
