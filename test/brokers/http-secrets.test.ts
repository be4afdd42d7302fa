import { describe, expect, it } from 'vitest';

import { newHandle } from '../../src/secrets/handle.ts';
import type { Secret } from '../../src/secrets/vault.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  openVault,
  outcomeOf,
  tableResolver,
  testScope,
} from './http-support.ts';
import type { TestServer } from './http-support.ts';

const KEY = newHandle();
const OTHER = newHandle();
const VALUE = 's3cr&t "key"/+ż';
const HOSTS = { 'one.test': ['127.0.0.1'], 'two.test': ['127.0.0.1'] };

function secret(changes: Partial<Secret> = {}): Secret {
  return { name: 'api_key', handle: KEY, value: VALUE, hosts: [], ...changes };
}

/** one.test and two.test are granted; the secret is bound to one.test only. */
function setting(server: TestServer, secrets: readonly Secret[] = [secret()]) {
  const bound = [`http://one.test:${server.port}`];
  const names = Object.fromEntries(secrets.map(({ name }) => [name, { title: 'Key', hosts: bound }]));
  return {
    one: `http://one.test:${server.port}`,
    two: `http://two.test:${server.port}`,
    scope: testScope({ egressAllow: allowOnly(server), grants: { secrets: { names } } }),
    grant: { hosts: [`http://one.test:${server.port}`, `http://two.test:${server.port}`] },
    deps: { vault: openVault(secrets), resolve: tableResolver(HOSTS).resolve },
  };
}

/** What the server received, kept apart from what the module is told. */
async function recording() {
  const seen: { url: string; authorization: string; body: string }[] = [];
  const server = await httpServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const authorization = Buffer.from(request.headers.authorization ?? '', 'latin1').toString('utf8');
      seen.push({ url: request.url ?? '', authorization, body: Buffer.concat(parts).toString('utf8') });
      response.end('ok');
    });
  });
  return { server, seen };
}

describe('http secret', () => {
  it('is put into a header, the URL and the body, each in its own encoding', async () => {
    const { server, seen } = await recording();
    await using _ = server;
    const { one, ...call } = setting(server);
    const send = async (headers: [string, string][], body: string, path = '/') =>
      callHttp({ method: 'POST', url: one + path, headers, body: { text: body } }, call);
    await send(
      [
        ['Authorization', `Bearer ${KEY}`],
        ['Content-Type', 'application/json'],
      ],
      JSON.stringify({ k: KEY }),
      `/bot${KEY}?k=${KEY}&x=1`,
    );
    expect(seen[0]?.authorization).toBe(`Bearer ${VALUE}`);
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ k: VALUE });
    const url = new URL(seen[0]?.url ?? '', 'http://x');
    expect(decodeURIComponent(url.pathname)).toBe(`/bot${VALUE}`);
    expect(url.searchParams.get('k')).toBe(VALUE);
    expect(url.searchParams.get('x')).toBe('1');
    await send([['Content-Type', 'application/x-www-form-urlencoded; charset=utf-8']], `k=${KEY}&x=1`);
    expect(new URLSearchParams(seen[1]?.body).get('k')).toBe(VALUE);
    await send([['Content-Type', 'application/soap+xml']], `<k>${KEY}</k>`);
    expect(seen[2]?.body).toBe('<k>s3cr&amp;t &quot;key&quot;/+ż</k>');
    await send([['Content-Type', 'text/plain']], KEY);
    expect(seen[3]?.body).toBe(VALUE);
    expect(call.scope.uses).toContain('secrets.names:api_key');
  });

  it('is put into Basic credentials that the module encoded', async () => {
    const { server, seen } = await recording();
    await using _ = server;
    const { one, ...call } = setting(server);
    const basic = Buffer.from(`api:${KEY}`).toString('base64');
    await callHttp({ method: 'GET', url: one, headers: [['Authorization', `Basic ${basic}`]] }, call);
    const sent = seen[0]?.authorization.slice('Basic '.length) ?? '';
    expect(Buffer.from(sent, 'base64').toString('utf8')).toBe(`api:${VALUE}`);
  });

  it('may hold the whole address, which the module is never told', async () => {
    const { server, seen } = await recording();
    await using _ = server;
    const hook = secret({ value: `http://one.test:${server.port}/services/T0/B0/XXXXXXXX` });
    const call = setting(server, [hook]);
    const answer = await callHttp({ method: 'POST', url: KEY, body: { text: '{}' } }, call);
    expect(seen[0]?.url).toBe('/services/T0/B0/XXXXXXXX');
    expect(answer.url).toBe(KEY);
    expect(call.scope.recorded).toMatchObject([{ target: 'POST {api_key}', status: 200 }]);
    const elsewhere = setting(server, [secret({ value: 'https://hidden.example/XXXXXXXX' })]);
    const refused = await outcomeOf(callHttp({ method: 'POST', url: KEY }, elsewhere));
    expect(refused).toMatchObject({ code: 'NOT_GRANTED' });
    expect(JSON.stringify(refused)).not.toContain('hidden');
  });

  it('goes to no other host, wherever it stands', async () => {
    await using server = await httpServer(echo);
    const { two, ...call } = setting(server);
    const basic = Buffer.from(`api:${KEY}`).toString('base64');
    const attempts = [
      { url: `${two}/?k=${KEY}` },
      { url: two, headers: [['X-Key', KEY]] satisfies [string, string][] },
      { url: two, headers: [['Authorization', `Basic ${basic}`]] satisfies [string, string][] },
      { url: two, body: { text: KEY } },
      { url: two, body: { base64: Buffer.from(`\xff${KEY}`, 'latin1').toString('base64') } },
    ];
    for (const attempt of attempts) {
      expect(await outcomeOf(callHttp({ method: 'POST', ...attempt }, call))).toMatchObject({
        code: 'NOT_GRANTED',
        message: `http: sending secret api_key to host ${two} is not granted; add it to permissions.secrets.api_key.hosts`,
      });
    }
    expect(server.connections()).toBe(0);
  });

  it('goes nowhere without a grant of its name, or beyond hosts of its own', async () => {
    await using server = await httpServer(echo);
    const { one, scope, ...call } = setting(server);
    const ungranted = testScope({ egressAllow: scope.egressAllow, grants: { secrets: { names: {} } } });
    const input = {
      method: 'GET' as const,
      url: one,
      headers: [['X-Key', KEY]] satisfies [string, string][],
    };
    expect(await outcomeOf(callHttp(input, { ...call, scope: ungranted }))).toMatchObject({
      code: 'NOT_GRANTED',
    });
    const narrow = {
      ...call,
      scope,
      deps: { ...call.deps, vault: openVault([secret({ hosts: ['three.test'] })]) },
    };
    expect(await outcomeOf(callHttp(input, narrow))).toMatchObject({ code: 'NOT_GRANTED' });
    expect(server.connections()).toBe(0);
  });

  it('of a row goes to its own hosts only, whatever the grants of others are (A24)', async () => {
    await using server = await httpServer(echo);
    const hosts = [`http://one.test:${server.port}`];
    const rowSecret = secret({ name: 'server.42', hosts });
    const { one, two, ...call } = setting(server);
    const withRow = { ...call, deps: { ...call.deps, vault: openVault([rowSecret]) } };
    const ask = (url: string, setup = withRow) =>
      outcomeOf(callHttp({ method: 'GET', url, headers: [['X-Key', KEY]] }, setup));
    expect(await ask(two)).toMatchObject({ code: 'NOT_GRANTED' });
    const nowhere = openVault([secret({ name: 'server.42', hosts: [] })]);
    expect(await ask(one, { ...call, deps: { ...call.deps, vault: nowhere } })).toMatchObject({
      code: 'NOT_GRANTED',
    });
    const { egressAllow } = call.scope;
    expect(await ask(one, { ...withRow, scope: testScope({ egressAllow }) })).toMatchObject({
      code: 'NOT_GRANTED',
    });
    expect(server.connections()).toBe(0);
    expect(await ask(one)).toMatchObject({ status: 200 });
  });

  it('of another installation is not known', async () => {
    await using server = await httpServer(echo);
    const { one, ...call } = setting(server);
    const work = callHttp({ method: 'GET', url: one, headers: [['X-Key', OTHER]] }, call);
    expect(await outcomeOf(work)).toMatchObject({ code: 'NOT_FOUND' });
    expect(server.connections()).toBe(0);
  });

  it('with a line break is not put into a header', async () => {
    await using server = await httpServer(echo);
    const { one, ...call } = setting(server, [secret({ value: 'abcd\r\nX-Evil: 1' })]);
    const outcome = await outcomeOf(callHttp({ method: 'GET', url: one, headers: [['X-Key', KEY]] }, call));
    expect(outcome).toMatchObject({ code: 'BAD_INPUT' });
    expect(JSON.stringify(outcome)).not.toContain('Evil');
    expect(server.connections()).toBe(0);
  });

  it('is taken out of everything that comes back', async () => {
    const forms = (value: string): string[] => [
      value,
      encodeURIComponent(value),
      new URLSearchParams({ v: value }).toString().slice(2),
      JSON.stringify(value).slice(1, -1),
      Buffer.from(value).toString('base64'),
      Buffer.from(`u:${value}`).toString('base64'),
      Buffer.from(`us:${value}`).toString('base64'),
      Buffer.from(`use:${value}!`).toString('base64url'),
      Buffer.from(value).toString('hex'),
    ];
    await using server = await httpServer((request, response) => {
      const value = Buffer.from(request.headers['x-key']?.toString() ?? '', 'latin1').toString('utf8');
      response.writeHead(200, encodeURIComponent(value), {
        'X-Echo': Buffer.from(value).toString('latin1'),
        'X-Form': encodeURIComponent(value),
      });
      response.end(forms(value).join('\n'));
    });
    const { one, ...call } = setting(server);
    const answer = await callHttp({ method: 'GET', url: one, headers: [['X-Key', KEY]] }, call);
    const text = 'text' in answer.body ? answer.body.text : '';
    for (const form of forms(VALUE))
      expect(JSON.stringify(answer)).not.toContain(JSON.stringify(form).slice(1, -1));
    expect(text.split('\n').map((line) => line.includes(KEY))).toEqual(forms(VALUE).map(() => true));
    expect(answer.headers).toContainEqual(['x-echo', KEY]);
    expect(answer.statusText).toBe(KEY);
  });

  it('is not carried to another host by a redirect, neither as it was nor written into the address', async () => {
    const received: string[] = [];
    await using server = await httpServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      received.push(JSON.stringify([request.headers, request.url]));
      const to = url.searchParams.get('to');
      request.resume();
      if (to === null) {
        response.end('end');
        return;
      }
      response.writeHead(307, { Location: Buffer.from(to, 'utf8').toString('latin1') }).end();
    });
    const { one, two, ...call } = setting(server);
    const header = await callHttp(
      {
        method: 'GET',
        url: `${one}/?to=${two}/end`,
        headers: [
          ['X-Key', KEY],
          ['Authorization', `Basic ${Buffer.from(`a:${KEY}`).toString('base64')}`],
        ],
      },
      call,
    );
    expect(header.status).toBe(200);
    expect(received).toHaveLength(2);
    expect(received[1]).not.toContain('s3cr');
    expect(received[1]).not.toContain('authorization');
    const body = callHttp({ method: 'POST', url: `${one}/?to=${two}/end`, body: { text: KEY } }, call);
    expect(await outcomeOf(body)).toMatchObject({ code: 'NOT_GRANTED' });
    const written = callHttp(
      { method: 'GET', url: `${one}/?to=${encodeURIComponent(`${two}/?k=`)}${KEY}` },
      call,
    );
    expect(await outcomeOf(written)).toMatchObject({ code: 'NOT_GRANTED' });
    expect(received).toHaveLength(4);
  });
});
