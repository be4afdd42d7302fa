import { describe, expect, it } from 'vitest';

import type { OpInput } from '../../sandbox/contract/capabilities.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  outcomeOf,
  tableResolver,
  testScope,
} from './http-support.ts';

const HOSTS = { 'one.test': ['127.0.0.1'], 'two.test': ['127.0.0.1'] };

/** A server that redirects by its path (`/301?to=…`) and echoes everything else. */
async function redirecting() {
  return httpServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const status = Number(url.pathname.slice(1));
    if (!(status >= 300 && status < 400)) return echo(request, response);
    const to = url.searchParams.has('loop') ? request.url : url.searchParams.get('to');
    request.resume();
    response.writeHead(status, typeof to === 'string' ? { Location: to } : {}).end();
  });
}

type Input = OpInput<'http', 'request'>;

async function run(input: (port: number) => Input, hosts = ['one.test', 'two.test']) {
  await using server = await redirecting();
  const { port } = server;
  const scope = testScope({ egressAllow: allowOnly(server) });
  const outcome = await callHttp(input(port), {
    scope,
    grant: { hosts: hosts.map((host) => `http://${host}:${port}`) },
    deps: { resolve: tableResolver(HOSTS).resolve },
  }).then(
    (answer) => ({
      answer,
      seen: 'text' in answer.body && answer.body.text !== '' ? JSON.parse(answer.body.text) : undefined,
    }),
    async (error: unknown) => ({ failure: await outcomeOf(Promise.reject(error)) }),
  );
  return { ...outcome, requests: server.requests.map(({ method, url }) => `${method} ${url}`) };
}

describe('http redirect', () => {
  it.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [307, 'POST', 'POST', 'hello'],
    [308, 'POST', 'POST', 'hello'],
  ] as const)('%i turns %s into %s', async (status, method, after, body) => {
    const result = await run((port) => ({
      method,
      url: `http://one.test:${port}/${status}?to=/end`,
      headers: [
        ['Content-Type', 'text/plain'],
        ['X-Mine', '1'],
      ],
      body: { text: 'hello' },
    }));
    expect(result).toMatchObject({ seen: { method: after, body, url: '/end', headers: { 'x-mine': '1' } } });
    expect('seen' in result && 'content-type' in result.seen.headers).toBe(body !== '');
    expect(result).toMatchObject({ answer: { redirected: true, url: expect.stringMatching(/\/end$/) } });
  });

  it('leaves everything but harmless headers behind when the host changes', async () => {
    const result = await run((port) => ({
      method: 'GET',
      url: `http://one.test:${port}/302?to=http://two.test:${port}/end`,
      headers: [
        ['Authorization', 'Bearer t'],
        ['Cookie', 'a=1'],
        ['X-Api-Key', 'k'],
        ['Accept', 'text/html'],
      ],
    }));
    const headers = 'seen' in result ? result.seen.headers : {};
    expect(headers).toMatchObject({ accept: 'text/html', 'user-agent': 'Bulkhead' });
    for (const name of ['authorization', 'cookie', 'x-api-key']) expect(headers).not.toHaveProperty(name);
  });

  it('keeps headers on the same host', async () => {
    const result = await run((port) => ({
      method: 'GET',
      url: `http://one.test:${port}/302?to=/end`,
      headers: [['Authorization', 'Bearer t']],
    }));
    expect(result).toMatchObject({ seen: { headers: { authorization: 'Bearer t' } } });
  });

  it('to a host, port or scheme that is not granted is refused and not followed', async () => {
    for (const to of [
      'http://two.test:PORT/',
      'https://one.test:PORT/',
      'http://one.test/',
      'file:///etc/passwd',
      '//two.test:PORT/',
    ]) {
      const result = await run(
        (port) => ({
          method: 'GET',
          url: `http://one.test:${port}/302?to=${to.replace('PORT', String(port))}`,
        }),
        ['one.test'],
      );
      expect({ to, ...result }).toMatchObject({
        to,
        failure: { code: to.startsWith('file') ? 'BAD_INPUT' : 'NOT_GRANTED' },
      });
      expect(result.requests).toHaveLength(1);
    }
  });

  it('ends after the allowed number', async () => {
    const result = await run((port) => ({ method: 'GET', url: `http://one.test:${port}/302?loop` }));
    expect(result).toMatchObject({ failure: { code: 'HTTP_FAILED', reason: 'redirect' } });
    expect(result.requests).toHaveLength(6);
  });

  it('is handed over as it is with "manual" and fails with "error"', async () => {
    const url = (port: number): string => `http://one.test:${port}/302?to=/end`;
    const manual = await run((port) => ({ method: 'GET', url: url(port), redirect: 'manual' }));
    expect(manual).toMatchObject({ answer: { status: 302, redirected: false } });
    const failing = await run((port) => ({ method: 'GET', url: url(port), redirect: 'error' }));
    expect(failing).toMatchObject({ failure: { reason: 'redirect' } });
  });

  it('without a location is an answer like any other', async () => {
    expect(await run((port) => ({ method: 'GET', url: `http://one.test:${port}/304` }))).toMatchObject({
      answer: { status: 304 },
    });
  });
});
