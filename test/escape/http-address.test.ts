/**
 * A hostile module tries to reach a server that is really there, on loopback, by every way to write, name and redirect to an
 * address. The server counts connections: there must be none. Each form is tried with a grant for that very host, so that only the
 * address keeps it out, and the confused ones with a grant for another host as well.
 */
import type { Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseHostPattern } from '../../sandbox/contract/host-pattern.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  outcomeOf,
  rawServer,
  testScope,
} from '../brokers/http-support.ts';
import type { Outcome, TestServer } from '../brokers/http-support.ts';
import { CONFUSED_URLS, LOOPBACK_HOSTS, PRIVATE_ADDRESSES, UNREADABLE_ADDRESSES } from './http-forms.ts';

const GRANTED = 'api.example.test';
let sinkhole: TestServer;
let sinkhole6: TestServer;
let tried = 0;
/** Connections that a test made on purpose, to show that the sinkhole is there. */
let allowed = 0;

beforeAll(async () => {
  // Answers, so that a form which got through would be a success and not a mere failure.
  const answer = (socket: Socket): void => void socket.end('HTTP/1.1 200 OK\r\n\r\n');
  sinkhole = await rawServer(answer, { address: '0.0.0.0' });
  sinkhole6 = await rawServer(answer, { address: '::1', port: sinkhole.port });
});
afterAll(async () => {
  await sinkhole[Symbol.asyncDispose]();
  await sinkhole6[Symbol.asyncDispose]();
  const escaped = connections() - allowed;
  process.stdout.write(`http escapes: ${tried} tried, ${escaped} connections reached the sinkhole
`);
});

function connections(): number {
  return sinkhole.connections() + sinkhole6.connections();
}

/** A grant for exactly the host and port that the standard's parser finds in the text; an admin's setting could say that. */
function grantFor(url: string): string[] {
  const parsed = URL.parse(url);
  const pattern = parsed === null ? undefined : `http://${parsed.host}`;
  return pattern !== undefined && parseHostPattern(pattern) !== undefined ? [pattern] : [];
}

/** Every name leads to the sinkhole. */
async function attempt(
  url: string,
  addresses: readonly string[] = ['127.0.0.1'],
  hosts: readonly string[] = [],
): Promise<Outcome> {
  tried += 1;
  return outcomeOf(
    callHttp(
      { method: 'GET', url },
      { grant: { hosts: [...hosts, ...grantFor(url)] }, deps: { resolve: async () => addresses } },
    ),
  );
}

function isRefusal(outcome: Outcome): boolean {
  return 'code' in outcome && ['NOT_GRANTED', 'BAD_INPUT'].includes(outcome.code);
}

describe('a request to an address that is not public', () => {
  it('would reach the sinkhole if it were allowed', async () => {
    const before = connections();
    const scope = testScope({ egressAllow: [{ cidr: '127.0.0.0/8', port: sinkhole.port }] });
    const grant = { hosts: [`http://${GRANTED}:${sinkhole.port}`] };
    const url = `http://${GRANTED}:${sinkhole.port}/`;
    const outcome = await outcomeOf(
      callHttp({ method: 'GET', url }, { scope, grant, deps: { resolve: async () => ['127.0.0.1'] } }),
    );
    expect(outcome).toEqual({ status: 200 });
    expect(connections() - before).toBe(1);
    allowed += 1;
  });

  it.each(LOOPBACK_HOSTS)('written as http://%s is refused', async (host) => {
    const before = connections();
    const outcomes = [
      await attempt(`http://${host}:${sinkhole.port}/`),
      await attempt(`http://${host}:${sinkhole.port}/`, ['::1']),
    ];
    expect(outcomes.map(isRefusal)).toEqual([true, true]);
    expect(connections() - before).toBe(0);
  });

  it.each(PRIVATE_ADDRESSES)(
    'that a name leads to, %s, is refused, alone or beside a public one',
    async (address) => {
      const before = connections();
      const url = `http://${GRANTED}:${sinkhole.port}/`;
      for (const addresses of [[address], ['93.184.215.14', address], [address, '2606:2800:21f::1']])
        expect(await attempt(url, addresses)).toMatchObject({
          code: 'NOT_GRANTED',
          message: expect.stringContaining('modules may not reach'),
        });
      const literal = address.includes(':') ? `[${address}]` : address;
      expect(isRefusal(await attempt(`http://${literal}:${sinkhole.port}/`))).toBe(true);
      expect(connections() - before).toBe(0);
    },
  );

  it.each(UNREADABLE_ADDRESSES)(
    'in a spelling no resolver should give, "%s", is refused',
    async (address) => {
      const before = connections();
      expect(await attempt(`http://${GRANTED}:${sinkhole.port}/`, [address])).toMatchObject({
        code: 'NOT_GRANTED',
      });
      expect(connections() - before).toBe(0);
    },
  );

  it.each(CONFUSED_URLS)('hidden in %j is refused', async (form) => {
    const before = connections();
    const url = form.replaceAll('PORT', String(sinkhole.port));
    const narrow = [`http://${GRANTED}:${sinkhole.port}`, `http://${GRANTED}`, '*.example.test'];
    const outcome = await attempt(url, ['127.0.0.1'], narrow);
    expect({ url, refused: isRefusal(outcome) }).toEqual({ url, refused: true });
    expect(connections() - before).toBe(0);
  });

  it('says nothing of the address it found', async () => {
    const outcome = await attempt(`http://${GRANTED}:${sinkhole.port}/`, ['10.11.12.13']);
    expect(JSON.stringify(outcome)).not.toContain('10.11');
  });
});

describe('an operator’s allowance', () => {
  const call = async (allow: { cidr: string; port: number }, address: string): Promise<Outcome> => {
    tried += 1;
    const url = `http://${GRANTED}:${sinkhole.port}/`;
    return outcomeOf(
      callHttp(
        { method: 'GET', url },
        {
          scope: testScope({ egressAllow: [allow] }),
          grant: { hosts: [`http://${GRANTED}:${sinkhole.port}`] },
          deps: { resolve: async () => [address] },
        },
      ),
    );
  };

  it('is for its network and port only, and worth nothing if it cannot be read', async () => {
    const before = connections();
    const { port } = sinkhole;
    const refused = [
      await call({ cidr: '127.0.0.1/32', port: port + 1 }, '127.0.0.1'),
      await call({ cidr: '127.0.0.1/32', port }, '127.0.0.2'),
      await call({ cidr: '10.0.0.0/8', port }, '127.0.0.1'),
      await call({ cidr: '::/0', port }, '127.0.0.1'),
      await call({ cidr: '::ffff:0:0/96', port }, '127.0.0.1'),
      await call({ cidr: '0.0.0.0/0', port }, '::1'),
      await call({ cidr: '127.0.0.1', port }, '127.0.0.1'),
      await call({ cidr: '127.0.0.1/33', port }, '127.0.0.1'),
      await call({ cidr: '', port }, '127.0.0.1'),
      await call({ cidr: 'localhost/8', port }, '127.0.0.1'),
    ];
    expect(refused.map(isRefusal)).toEqual(refused.map(() => true));
    expect(connections() - before).toBe(0);
    expect(await call({ cidr: '127.0.0.0/8', port }, '::ffff:127.0.0.1')).toEqual({ status: 200 });
    expect(await call({ cidr: '::1/128', port }, '::1')).toEqual({ status: 200 });
    allowed += 2;
  });
});

describe('a name that changes its address', () => {
  it('is refused while one of its answers is not allowed, however good the others', async () => {
    await using good = await httpServer(echo, { address: '127.0.0.3' });
    const call = (addresses: string[]) => ({
      scope: testScope({ egressAllow: allowOnly(good) }),
      grant: { hosts: [`http://${GRANTED}:${good.port}`] },
      deps: { resolve: async () => addresses },
    });
    const url = `http://${GRANTED}:${good.port}/`;
    for (const addresses of [
      ['127.0.0.3', '127.0.0.4'],
      ['127.0.0.4', '127.0.0.3'],
    ])
      expect(await outcomeOf(callHttp({ method: 'GET', url }, call(addresses)))).toMatchObject({
        code: 'NOT_GRANTED',
      });
    expect(good.connections()).toBe(0);
    tried += 2;
  });

  it('is asked for once a request, and the socket goes to that answer', async () => {
    await using good = await httpServer(echo, { address: '127.0.0.3' });
    await using bad = await httpServer(echo, { address: '127.0.0.4', port: good.port });
    const asked: string[] = [];
    const resolve = async (host: string): Promise<string[]> => {
      asked.push(host);
      return asked.length % 2 === 1 ? ['127.0.0.3'] : ['127.0.0.4'];
    };
    const url = `http://${GRANTED}:${good.port}/`;
    const call = {
      scope: testScope({ egressAllow: allowOnly(good) }),
      grant: { hosts: [`http://${GRANTED}:${good.port}`] },
      deps: { resolve },
    };
    expect(await outcomeOf(callHttp({ method: 'GET', url }, call))).toEqual({ status: 200 });
    expect(asked).toHaveLength(1);
    expect(await outcomeOf(callHttp({ method: 'GET', url }, call))).toMatchObject({ code: 'NOT_GRANTED' });
    expect([good.connections(), bad.connections()]).toEqual([1, 0]);
    tried += 2;
  });

  it('is asked for again, and checked again, when a redirect leads to it', async () => {
    let location = '';
    await using good = await httpServer(
      (_request, response) => void response.writeHead(302, { Location: location }).end(),
      { address: '127.0.0.3' },
    );
    await using bad = await httpServer(echo, { address: '127.0.0.4', port: good.port });
    location = `http://${GRANTED}:${good.port}/next`;
    let asked = 0;
    const resolve = async (): Promise<string[]> => (asked++ === 0 ? ['127.0.0.3'] : ['127.0.0.4']);
    const call = {
      scope: testScope({ egressAllow: allowOnly(good) }),
      grant: { hosts: [`http://${GRANTED}:${good.port}`] },
      deps: { resolve },
    };
    expect(await outcomeOf(callHttp({ method: 'GET', url: location }, call))).toMatchObject({
      code: 'NOT_GRANTED',
    });
    expect([good.connections(), bad.connections(), asked]).toEqual([1, 0, 2]);
    tried += 1;
  });
});

describe('a redirect', () => {
  it('to any of these addresses is refused', async () => {
    let location = '';
    await using hop = await httpServer(
      (_request, response) => {
        response.writeHead(302, { Location: Buffer.from(location, 'utf8').toString('latin1') }).end();
      },
      { address: '127.0.0.3' },
    );
    const before = connections();
    const forms = [
      ...LOOPBACK_HOSTS.map((host) => `http://${host}:PORT/`),
      ...PRIVATE_ADDRESSES.map(
        (address) => `http://${address.includes(':') ? `[${address}]` : address}:PORT/`,
      ),
      ...CONFUSED_URLS.filter((form) => form !== '' && !/[\r\n\0]/.test(form) && !form.startsWith('PORT')),
    ];
    const through: string[] = [];
    for (const form of forms) {
      location = form.replaceAll('PORT', String(sinkhole.port));
      const start = `http://hop.test:${hop.port}/`;
      const hosts = [
        ...grantFor(start),
        ...grantFor(location),
        ...grantFor(URL.parse(location, start)?.href ?? ''),
      ];
      const outcome = await outcomeOf(
        callHttp(
          { method: 'GET', url: start },
          {
            scope: testScope({ egressAllow: allowOnly(hop) }),
            grant: { hosts },
            deps: {
              resolve: async (host) => (host === 'hop.test' ? ['127.0.0.3'] : ['127.0.0.1']),
              limits: { redirects: 1 },
            },
          },
        ),
      );
      tried += 1;
      // A location that stays on the hop itself is a redirect like any other, and this hop redirects for ever.
      const isLoop = 'reason' in outcome && outcome.reason === 'redirect';
      if (!isRefusal(outcome) && !isLoop) through.push(location);
    }
    expect(through).toEqual([]);
    expect(connections() - before).toBe(0);
    expect(forms.length).toBeGreaterThan(180);
  });
});
