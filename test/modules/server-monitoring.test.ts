/** Server Monitoring in a whole host: its checks over http and net, its schedule, pages and hooks, as the guide has them and beyond. */
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emit } from '../../src/events/emit.ts';
import { allowPorts, useTestHost } from '../support/host.ts';
import { shippedFolder } from '../support/modules.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const NAME = 'ServerMonitoring';
let status = 200;
let site: HttpServer;
let open: Server;
let web = 0;
let port = 0;

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function page(path: string, body?: Readonly<Record<string, string>>) {
  const { a } = host();
  return a.panel.modules.adminPage({
    installationId: await a.installationId(NAME),
    path,
    account: { id: a.adminId, kind: 'admin', permissions: ['*'] },
    request: {
      method: body === undefined ? 'GET' : 'POST',
      url: `/${path}`,
      headers: body === undefined ? [] : [['content-type', 'application/x-www-form-urlencoded']],
      body: { text: new URLSearchParams(body).toString() },
      params: {},
    },
  });
}

async function html(path: string): Promise<string> {
  const answer = await page(path);
  if (answer.kind !== 'html') throw new Error(`${path} answered ${JSON.stringify(answer)}`);
  return answer.html;
}

async function series(): Promise<Record<string, { up: boolean; ms: number | null }[]>> {
  const answer = await page('series');
  if (answer.kind !== 'json') throw new Error('series is JSON');
  const { data } = answer.body as { data: { name: string; points: { up: boolean; ms: number | null }[] }[] };
  return Object.fromEntries(data.map(({ name, points }) => [name, points]));
}

async function confirmAll(): Promise<void> {
  const { a } = host();
  const rows = await a.panel.db
    .selectFrom('host_requests')
    .select('id')
    .where('installation_id', '=', await a.installationId(NAME))
    .where('status', '=', 'asked')
    .execute();
  for (const { id } of rows)
    await a.panel.hosts.decide({ requestId: id, status: 'confirmed', accountId: a.adminId });
}

beforeAll(async () => {
  site = createHttp((_request, response) => response.writeHead(status).end());
  open = createServer((socket) => socket.end());
  web = await listen(site);
  port = await listen(open);
  await allowPorts(host().a, [web, port]);
  await host().publishFolder(shippedFolder(`Plugin/${NAME}`));
  await host().a.installed(NAME);
});
afterAll(() => {
  site.close();
  open.close();
});

describe('Server Monitoring, switched on', () => {
  it('has the guide’s tables [MON-01] [MON-02] [MON-03] [MON-11]', async () => {
    expect((await host().a.tables(NAME)).map(({ table }) => table)).toEqual([
      'monitoring_checks',
      'monitoring_results',
    ]);
    expect((await host().a.logs(NAME)).join()).toContain('Monitoring plugin activated successfully');
  });

  it('has the guide’s recurring job as a schedule [MON-19] [MON-23] [MON-24] (A14)', async () => {
    const rows = await host()
      .a.panel.db.selectFrom('schedules')
      .selectAll()
      .where('installation_id', '=', await host().a.installationId(NAME))
      .execute();
    expect(rows).toMatchObject([
      {
        method: 'runChecks',
        every_s: 30,
        tags: ['monitoring', 'recurring'],
        tries: 2,
        backoff_s: 60,
        timeout_s: 300,
        max_exceptions: 1,
      },
    ]);
  });

  it('shows an empty dashboard and list [MON-20] [MON-21]', async () => {
    expect(await html('dashboard')).toContain('Nothing is watched yet.');
    expect(await html('checks')).toContain('Add a check');
  });
});

describe('a check', () => {
  const add = (check: Readonly<Record<string, string>>) => page('checks', { interval: '30', ...check });

  it('is refused with what to mend', async () => {
    const answer = await add({ name: '', type: 'http', target: 'nonsense' });
    expect(answer.kind === 'html' && answer.html).toContain('A web address such as https://example.com');
  });

  it('waits for its host to be confirmed, and is not down meanwhile (A24) [MON-29]', async () => {
    await add({ name: 'Site', type: 'http', target: `http://127.0.0.1:${web}/` });
    await add({ name: 'Port', type: 'port', target: '127.0.0.1', port: String(port) });
    await add({ name: 'Ping', type: 'ping', target: '127.0.0.1', port: String(port) });
    expect(await html('checks')).toContain('Some hosts wait for you');
    await host().a.call(NAME, 'runChecks');
    expect(await series()).toEqual({ Site: [], Port: [], Ping: [] });
    await confirmAll();
    expect(await html('checks')).not.toContain('Some hosts wait for you');
  });

  it('of each type is run when due, and its result kept [MON-25] [MON-27] [MON-28] [MON-30] [MON-33] (A23)', async () => {
    await host().a.call(NAME, 'runChecks');
    const first = await series();
    for (const name of ['Site', 'Port', 'Ping']) expect(first[name]).toMatchObject([{ up: true }]);
    await host().a.call(NAME, 'runChecks');
    expect((await series())['Site'], 'before its interval has passed').toHaveLength(1);
    expect(await html('dashboard')).toContain('100 %');
  });

  it('that finds its server down is told, and shown [MON-34]', async () => {
    await host().publish({
      name: 'Pager',
      type: 'Plugin',
      manifest: { events: { listens: ['ServerMonitoring.*'] } },
      files: {
        'hooks.ts': `import { on } from 'bulkhead';
          on('ServerMonitoring.check.down', (event) => event.payload);
          on('ServerMonitoring.check.up', (event) => event.payload);`,
      },
    });
    await host().a.installed('Pager');
    status = 503;
    await page('checks', {
      name: 'Broken',
      type: 'http',
      interval: '30',
      target: `http://127.0.0.1:${web}/x`,
    });
    await host().a.call(NAME, 'runChecks');
    expect((await series())['Broken']).toMatchObject([{ up: false }]);
    expect(await html('dashboard')).toContain('HTTP status 503');
    const heard = await until('the pager', async () => {
      const row = await host()
        .a.panel.db.selectFrom('tasks')
        .select('result')
        .where('method', '=', 'on:ServerMonitoring.check.down')
        .where('status', '=', 'completed')
        .executeTakeFirst();
      return row?.result;
    });
    expect(heard).toMatchObject({ name: 'Broken', error_message: 'HTTP status 503' });
    status = 200;
  });

  it('is switched off and deleted by its page', async () => {
    const id = /checks\/(\d+)\/toggle/.exec(await html('checks'))?.[1] ?? '';
    const before = Object.keys(await series()).length;
    expect(await page(`checks/${id}/toggle`, {})).toMatchObject({ kind: 'redirect', to: 'checks' });
    expect(Object.keys(await series())).toHaveLength(before - 1);
    await page(`checks/${id}/delete`, {});
    expect(await html('checks')).not.toContain(`checks/${id}/toggle`);
  });

  it('that watches a service stops when that is terminated', async () => {
    const service = crypto.randomUUID();
    await page('checks', {
      name: 'Watched',
      type: 'port',
      target: '127.0.0.1',
      port: String(port),
      interval: '60',
      service_uuid: service,
    });
    expect(Object.keys(await series())).toContain('Watched');
    await emit(host().a.panel.db, {
      tenantId: host().a.id,
      name: 'ServiceTerminated',
      payload: {
        service_uuid: service,
        product_uuid: crypto.randomUUID(),
        client_uuid: host().a.clientId,
        module: 'Product/Any',
        name: 'Any',
      },
    });
    await until('the check to stop', async () => !Object.keys(await series()).includes('Watched'));
  });
});
