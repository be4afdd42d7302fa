/**
 * `bulkhead start` as a person knows it: what it says, that it answers, that Ctrl-C and kill -9 leave no process, and that the next
 * start has everything that was there before.
 */
import { randomUUID } from 'node:crypto';
import { chownSync, existsSync, readdirSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { FakeCloudControl } from '../../src/fakecloud/control-client.ts';
import { readDemoState } from '../../src/cli/demo/state.ts';
import { type Browser, openBrowser } from '../support/browser.ts';
import { allGone, type Cli, descendants, startCli } from '../support/cli.ts';
import { testDatabase, testModulesDatabase } from '../support/database.ts';
import { IS_ROOT, temporaryFolder, type TemporaryFolder } from '../support/embedded.ts';
import { until } from '../support/until.ts';

const READY = /Ctrl-C stops everything\./;
const PATIENCE_MS = 90_000;

/** The panel's address and the logins, as they were printed. */
function printed(said: string) {
  const origin = /Bulkhead is ready: (http:\S+)/.exec(said)?.[1] ?? '';
  const logins = [...said.matchAll(/(http:\S+)\s+(\S+@\S+)\s+(\S+)\n/g)].map(
    ([, url = '', email = '', password = '']) => ({
      home: new URL(url).pathname,
      email,
      password,
    }),
  );
  return { origin, logins };
}

describe('the demo', { timeout: PATIENCE_MS }, () => {
  let folder: TemporaryFolder;
  const started: Cli[] = [];
  let running: Cli;
  let first: ReturnType<typeof printed>;
  let serviceId = '';
  beforeAll(() => {
    folder = temporaryFolder();
  });
  afterAll(async () => {
    // What a failed test has left running.
    for (const each of started) {
      const left = descendants(each.pid);
      await each[Symbol.asyncDispose]();
      await allGone(left);
    }
    folder[Symbol.dispose]();
  });

  async function start(): Promise<void> {
    running = startCli(['start', '--demo', '--port', '0', '--data', folder.path]);
    started.push(running);
    await running.says(READY);
  }

  async function cloud(): Promise<FakeCloudControl> {
    const { cloud: kept } = await readDemoState(folder.path);
    return new FakeCloudControl(`http://127.0.0.1:${kept.port}`, kept.controlToken);
  }

  async function signedIn(home: string): Promise<Browser> {
    const login = first.logins.find((each) => each.home === home);
    const browser = openBrowser(printed(running.said()).origin);
    await browser.signIn(home, login ?? { email: '', password: '' });
    return browser;
  }

  it('shows its progress at the first start, then the addresses and the logins', async () => {
    await start();
    const said = running.said();
    const order = [
      'Starting Bulkhead …',
      'creating the database (first start)',
      'migrations: 0001_foundation.sql',
      'Product/VPSHosting: packed, signed and published',
      'Bulkhead is ready: http://127.0.0.1:',
      'Acme Hosting',
      'Globex Cloud',
      'Operator',
      'Fake cloud',
    ].map((text) => said.indexOf(text));
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    first = printed(said);
    expect(first.logins.map(({ home }) => home)).toEqual([
      '/t/acme/admin',
      '/t/acme',
      '/t/globex/admin',
      '/t/globex',
      '/operator',
    ]);
    const passwords = new Set(first.logins.map(({ password }) => password));
    expect(passwords.size).toBe(5);
    expect(Math.min(...[...passwords].map((password) => password.length))).toBeGreaterThanOrEqual(12);
    expect(statSync(join(folder.path, 'demo.json')).mode & 0o077).toBe(0);
  });

  it('lets each of them in with what was printed', async () => {
    for (const { home, email, password } of first.logins) {
      const browser = openBrowser(first.origin);
      expect((await browser.signIn(home, { email, password })).status).toBe(303);
      expect((await browser.get(home)).status).toBeLessThan(304);
      const wrong = await openBrowser(first.origin).signIn(home, { email, password: 'not this one at all' });
      expect(wrong.status).toBe(401);
    }
  });

  it('has an admin install, grant and enable the module over HTTP, and a client order of it', async () => {
    const admin = await signedIn('/t/acme/admin');
    const store = await (await admin.get('/t/acme/admin/store?q=VPSHosting')).text();
    const [, module = ''] = /store\/([0-9a-f-]{36})/.exec(store) ?? [];
    const page = await (await admin.get(`/t/acme/admin/store/${module}`)).text();
    const [, version = ''] = /name="version" value="([0-9a-f-]{36})"/.exec(page) ?? [];
    const installed = await admin.post('/t/acme/admin/store/install', { version });
    const [, installation = ''] =
      /installations\/([0-9a-f-]{36})/.exec(installed.headers.get('location') ?? '') ?? [];
    const at = `/t/acme/admin/installations/${installation}`;
    const consent = await (await admin.get(`${at}/permissions`)).text();
    const grants = [...consent.matchAll(/name="(grant:[^"]+)"/g)].map(([, name = '']) => [name, 'on']);
    expect(grants.length).toBeGreaterThan(5);
    const [, shown = ''] = /name="version" value="([^"]+)"/.exec(consent) ?? [];
    const granted = await admin.post(`${at}/permissions`, { ...Object.fromEntries(grants), version: shown });
    expect(granted.status).toBe(303);
    const state = await readDemoState(folder.path);
    const settings = {
      f_api_url: `http://127.0.0.1:${state.cloud.port}`,
      f_api_key: state.cloud.token,
      f_status_check_delay: '1',
    };
    expect((await admin.post(`${at}/settings`, settings)).status).toBe(303);
    expect((await admin.post(`${at}/enable`, {})).status).toBe(303);
    const product = await admin.post(`/t/acme/admin/products/new?module=${installation}`, {
      name: 'VPS S',
      active: 'on',
      'price:monthly': '5.00',
      f_cpu_cores: '1',
      f_ram_mb: '1024',
      f_disk_gb: '25',
      f_bandwidth_gb: '1000',
      f_location: 'us-east-1',
    });
    const [, productId = ''] = /products\/([0-9a-f-]{36})/.exec(product.headers.get('location') ?? '') ?? [];
    expect(productId).not.toBe('');
    // The cloud takes its time, so that the job is at work when the host is killed.
    const fault = {
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'delay',
      delayMs: 20_000,
    } as const;
    await (await cloud()).addFault(fault);
    const client = await signedIn('/t/acme');
    const ordered = await client.post(`/t/acme/order/${productId}`, {
      period: 'monthly',
      token: randomUUID(),
      f_hostname: 'web.example.com',
      f_image_id: 'ubuntu-20.04',
    });
    serviceId = /services\/([0-9a-f-]{36})/.exec(ordered.headers.get('location') ?? '')?.[1] ?? '';
    expect(serviceId).not.toBe('');
    await until('the request to be under way', async () =>
      (await (await cloud()).requests()).some(
        ({ method, path }) => method === 'POST' && path === '/v2/droplets',
      ),
    );
  });

  it('leaves no process when it is killed with -9', async () => {
    const began = descendants(running.pid);
    const commands = began.map(({ command }) => command).join('\n');
    for (const part of [/fakecloud/, /postgres/, /--permission/]) expect(commands).toMatch(part);
    running.kill('SIGKILL');
    expect(await running.ended).toEqual({ code: null, signal: 'SIGKILL' });
    await allGone(began);
  });

  it('has the same tenants and logins at the next start, and goes on with the job', async () => {
    await start();
    expect(running.said()).toContain('Product/VPSHosting: in the store');
    expect(running.said()).not.toContain('first start');
    expect(printed(running.said()).logins).toEqual(first.logins);
    await (await cloud()).setDelays({ provisioningMs: 0, actionMs: 0 });
    const admin = await signedIn('/t/acme/admin');
    const page = await until('the service to be active', async () => {
      const text = await (await admin.get(`/t/acme/admin/services/${serviceId}/timeline`)).text();
      return /Pending → Active/.test(text) && text;
    });
    expect(page).toMatch(/createJob: attempt 1 interrupted/);
    expect(await (await cloud()).effects('droplet.created')).toHaveLength(1);
  });

  it('stops everything at Ctrl-C and exits with 0', async () => {
    const began = descendants(running.pid);
    running.interrupt();
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(running.said()).toMatch(/Stopping …\nStopped\.\n$/);
    await allGone(began);
  });
});

describe('with DATABASE_URL', { timeout: PATIENCE_MS }, () => {
  it('uses that server, embeds and seeds nothing, and prints a link that makes one operator', async () => {
    using folder = temporaryFolder();
    await using host = await testDatabase();
    await using modules = await testModulesDatabase();
    const env = {
      DATABASE_URL: formatEndpoint(host.endpoint),
      MODULES_DATABASE_URL: formatEndpoint(modules.endpoint),
    };
    // As `npm start` has it: the demo is what there is without a database of one's own.
    await using running = startCli(['start', '--demo', '--port', '0', '--data', folder.path], { env });
    const [, link = ''] = await running.says(/(http:\S+\/operator\/first\/\S+)/);
    expect(running.said()).toContain('DATABASE_URL is set');
    expect(descendants(running.pid).filter(({ command }) => /postgres|fakecloud/.test(command))).toEqual([]);
    expect(existsSync(join(folder.path, 'pg'))).toBe(false);
    expect(readdirSync(folder.path)).not.toContain('demo.json');
    for (const table of ['tenants', 'accounts', 'module_versions'])
      expect([...(await host.sql`select 1 from ${host.sql(table)}`)]).toEqual([]);

    const { origin, pathname } = new URL(link);
    const operator = { email: 'op@example.com', name: 'Op', password: 'A long password 1' };
    expect((await openBrowser(origin).get(pathname)).status).toBe(200);
    expect((await openBrowser(origin).post(pathname, operator)).status).toBe(303);
    expect((await openBrowser(origin).get(pathname)).status).toBe(404);
    const again = { ...operator, email: 'other@example.com' };
    expect((await openBrowser(origin).post(pathname, again)).status).toBe(404);
    const browser = openBrowser(origin);
    await browser.signIn('/operator', operator);
    expect((await browser.get('/operator/tenants')).status).toBe(200);
    expect(await host.db.selectFrom('accounts').select('email').execute()).toEqual([
      { email: operator.email },
    ]);

    const began = descendants(running.pid);
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 0, signal: null });
    await allGone(began);
    await using next = startCli(['start', '--port', '0', '--data', folder.path], { env });
    await next.says(/Bulkhead runs at/);
    next.kill('SIGINT');
    expect(await next.ended).toEqual({ code: 0, signal: null });
    expect(next.said()).not.toContain('/operator/first/');
  });
});

describe('what cannot start', { timeout: PATIENCE_MS }, () => {
  async function refused(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    using folder = temporaryFolder();
    await using running = startCli(['start', '--data', folder.path, ...args], { env });
    expect(await running.ended).toEqual({ code: 1, signal: null });
    return running.said();
  }

  it.each([[[]], [['--demo']]])('says that the port is in use, with %j', async (flags) => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? String(address.port) : '';
    const said = await refused(['--port', port, ...flags]);
    expect(said).toContain(`Port ${port} is in use; choose another with --port.`);
    expect(said).not.toContain('    at ');
    server.close();
  });

  it('says that a port is no number', async () => {
    expect(await refused(['--port', 'http'])).toMatch(/--port.*0 to 65535/s);
  });

  it('says what is wrong with DATABASE_URL, and not its password', async () => {
    const said = await refused(['--port', '0'], { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/db' });
    expect(said).toContain('Check DATABASE_URL');
    expect(said).not.toContain('hidden');
    expect(said).not.toContain('    at ');
  });

  it('says that the demo is for loopback only', async () => {
    expect(await refused(['--demo', '--host', '0.0.0.0', '--port', '0'])).toContain('loopback only');
  });
});

describe('an embedded PostgreSQL', { timeout: PATIENCE_MS }, () => {
  it('that ends by itself ends the host with 1 and its last words, and nothing is left', async () => {
    using folder = temporaryFolder();
    await using running = startCli(['start', '--port', '0', '--data', folder.path]);
    await running.says(/Bulkhead runs at/);
    const began = descendants(running.pid);
    const postmaster = began.find(({ command }) => /postgres.* -D /.test(command));
    process.kill(postmaster?.pid ?? 0, 'SIGKILL');
    expect(await running.ended).toEqual({ code: 1, signal: null });
    expect(running.said()).toContain('unexpected postmaster exit');
    await allGone(began);
  });
});

const NOBODY = 65_534;

/** Why this cannot be tried here, if it cannot. */
function withoutNobody(): string | undefined {
  if (!IS_ROOT) return 'it is not root that runs the tests';
  const readable = spawnSync(process.execPath, ['--version'], { uid: NOBODY, gid: NOBODY, cwd: '/' });
  return readable.status === 0 ? undefined : 'another account cannot read the project’s Node';
}

describe('as another account than root', { timeout: PATIENCE_MS }, () => {
  const why = withoutNobody();
  it.skipIf(why !== undefined)(
    `runs wholly as that account, sandbox included${why === undefined ? '' : ` (left out: ${why})`}`,
    async () => {
      using folder = temporaryFolder(0o700);
      chownSync(folder.path, NOBODY, NOBODY);
      await using running = startCli(['start', '--demo', '--port', '0', '--data', folder.path], {
        uid: NOBODY,
        gid: NOBODY,
      });
      await running.says(READY);
      const { origin, logins } = printed(running.said());
      const admin = openBrowser(origin);
      const login = logins.find(({ home }) => home === '/t/globex/admin');
      await admin.signIn('/t/globex/admin', login ?? { email: '', password: '' });
      expect((await admin.get('/t/globex/admin/store')).status).toBe(200);
      const began = descendants(running.pid);
      expect(new Set(began.map(({ uid }) => uid))).toEqual(new Set([NOBODY]));
      running.interrupt();
      expect(await running.ended).toEqual({ code: 0, signal: null });
      await allGone(began);
    },
  );
});
