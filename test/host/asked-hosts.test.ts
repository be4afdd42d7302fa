/** Whether a server answers, and hosts that a module asks for while it runs: nothing without the admin, and no address that is not allowed. */
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createServer as createHttp } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowPorts, useTestHost } from '../support/host.ts';
import { refusal } from '../support/tenant.ts';

const host = useTestHost();
let open: Server;
let site: Server;
let port = 0;
let closed = 0;
let web = 0;

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  open = createServer((socket) => socket.end());
  port = await listen(open);
  site = createHttp((_request, response) => response.end('hello'));
  web = await listen(site);
  const gone = createServer();
  closed = await listen(gone);
  await new Promise((resolve) => gone.close(resolve));
  await allowPorts(host().a, [port, closed, web]);
  await host().publish({
    name: 'Looker',
    type: 'Plugin',
    members: `
      async connect(host, port, timeout) { return this.net.connect(host, port, timeout); }
      async ping(host) { return this.net.ping(host); }
      async askNet(host, port) { return this.net.requestHost(host, port); }
      async askHttp(host, port) { return this.http.requestHost(host, port); }
      async get(url) { return (await this.http.fetch(url)).text(); }`,
    manifest: {
      permissions: {
        net: { hosts: ['known.example:22'], ping: true, per_minute: 1_000 },
        http: { hosts: [] },
      },
    },
  });
  await host().a.installed('Looker');
  await host().b.installed('Looker');
});
afterAll(() => {
  open.close();
  site.close();
});

const call = (method: string, ...args: unknown[]) => host().a.call('Looker', method, ...args);

async function decide(pattern: string, status: 'confirmed' | 'refused'): Promise<void> {
  const { db, hosts } = host().a.panel;
  const row = await db
    .selectFrom('host_requests')
    .select('id')
    .where('installation_id', '=', await host().a.installationId('Looker'))
    .where('pattern', '=', pattern)
    .executeTakeFirstOrThrow();
  await hosts.decide({ requestId: row.id, status, accountId: host().a.adminId });
}

describe('a host that a module asks for (A24)', () => {
  it('is reachable once the admin has confirmed it, and no longer when refused', async () => {
    expect(await refusal(() => call('connect', '127.0.0.1', port))).toMatch(/^NOT_GRANTED: net: 127.0.0.1/);
    expect(await call('askNet', '127.0.0.1', port)).toBe('asked');
    expect(await refusal(() => call('connect', '127.0.0.1', port))).toMatch(/^NOT_GRANTED/);
    await decide(`127.0.0.1:${port}`, 'confirmed');
    expect(await call('askNet', '127.0.0.1', port)).toBe('confirmed');
    expect(await call('connect', '127.0.0.1', port)).toBeGreaterThanOrEqual(0);
    await decide(`127.0.0.1:${port}`, 'refused');
    expect(await call('askNet', '127.0.0.1', port)).toBe('refused');
    expect(await refusal(() => call('connect', '127.0.0.1', port))).toMatch(/^NOT_GRANTED/);
    await decide(`127.0.0.1:${port}`, 'confirmed');
  });

  it('for requests counts for that scheme and port only [DM-06]', async () => {
    expect(await call('askHttp', 'http://127.0.0.1', web)).toBe('asked');
    await decide(`http://127.0.0.1:${web}`, 'confirmed');
    expect(await call('get', `http://127.0.0.1:${web}/`)).toBe('hello');
    expect(await refusal(() => call('get', `https://127.0.0.1:${web}/`))).toMatch(/^NOT_GRANTED/);
    expect(await refusal(() => call('connect', '127.0.0.1', web))).toMatch(/^NOT_GRANTED/);
  });

  it('is confirmed for one tenant’s installation, and no way around the operator’s networks', async () => {
    const b = host().b;
    expect(await b.call('Looker', 'askNet', '127.0.0.1', port)).toBe('asked');
    expect(await refusal(() => b.call('Looker', 'connect', '127.0.0.1', port))).toMatch(/^NOT_GRANTED/);
    const { id } = await b.panel.db
      .selectFrom('host_requests')
      .select('id')
      .where('installation_id', '=', await b.installationId('Looker'))
      .executeTakeFirstOrThrow();
    await b.panel.hosts.decide({ requestId: id, status: 'confirmed', accountId: b.adminId });
    expect(await refusal(() => b.call('Looker', 'connect', '127.0.0.1', port))).toMatch(
      /^NOT_GRANTED: net: this host is at an address that modules may not reach/,
    );
  });

  it.each([
    ['a wildcard', ['*.example.com', 22]],
    ['a URL', ['https://a.example/path', 22]],
    ['a port that is none', ['a.example', 70_000]],
    ['a scheme in the name', ['a.example:25', 22]],
  ])('is refused if it is %s', async (_what, args) => {
    expect(await refusal(() => call('askNet', ...args))).toMatch(/^BAD_INPUT/);
  });

  it('is bounded in number', async () => {
    await host().publish({
      name: 'Beggar',
      type: 'Plugin',
      members: `async beg(from, to) { for (let n = from; n < to; n++) await this.http.requestHost('h' + n + '.example'); }`,
      manifest: { permissions: { http: { hosts: [] } } },
    });
    await host().a.installed('Beggar');
    await host().a.call('Beggar', 'beg', 0, 200);
    expect(await refusal(() => host().a.call('Beggar', 'beg', 200, 201))).toMatch(/^LIMIT/);
    await host().a.call('Beggar', 'beg', 0, 10);
  });
});

describe('net (A23)', () => {
  it('says that a server does not answer, and nothing of the system’s', async () => {
    await call('askNet', '127.0.0.1', closed);
    await decide(`127.0.0.1:${closed}`, 'confirmed');
    expect(await refusal(() => call('connect', '127.0.0.1', closed))).toBe(
      'NET_FAILED: net: the connection was refused.',
    );
    expect(await refusal(() => call('connect', 'known.example', 22))).toBe(
      'NET_FAILED: net: the host name is unknown.',
    );
  });

  it('pings granted hosts only', async () => {
    expect(await call('ping', '127.0.0.1')).toBeGreaterThanOrEqual(0);
    expect(await refusal(() => call('ping', '127.0.0.2'))).toMatch(/^NOT_GRANTED/);
  });

  it('leaves a line of each connection in the timeline', async () => {
    await host().bulkhead.recorder.flush();
    const rows = await host()
      .a.panel.db.selectFrom('calls')
      .select(['op', 'target', 'error_code'])
      .where('op', '=', 'net.connect')
      .execute();
    expect(rows).toContainEqual({ op: 'net.connect', target: `127.0.0.1:${port}`, error_code: null });
    expect(rows).toContainEqual({
      op: 'net.connect',
      target: `127.0.0.1:${closed}`,
      error_code: 'NET_FAILED',
    });
  });
});
