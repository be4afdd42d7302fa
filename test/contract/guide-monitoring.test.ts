/** The guide's monitoring plugin item by item, on modules/Plugin/ServerMonitoring as it ships. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectHost } from '../../src/database/connect.ts';
import { allowPorts, useTestHost } from '../support/host.ts';
import { shippedFolder } from '../support/modules.ts';
import { ID, NULLABLE_STRING, STRING, tableShape, TIMESTAMPS, type Values } from './guide-support.ts';

const host = useTestHost({ worker: true });
const NAME = 'ServerMonitoring';
const SLOW_MS = 60;

let site: Server;
let web = 0;
let gone = 0;
let installationId = '';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  site = createServer((request, response) => {
    setTimeout(() => response.writeHead(request.url === '/teapot' ? 418 : 200).end(), SLOW_MS);
  });
  web = await listen(site);
  const other = createServer();
  gone = await listen(other);
  other.close();
  const { a } = host();
  await allowPorts(a, [web, gone]);
  await host().publishFolder(shippedFolder(`Plugin/${NAME}`));
  installationId = await a.installed(NAME);
});
afterAll(() => {
  site.closeAllConnections();
  site.close();
});

/** Runs SQL on the module's tables as PostgreSQL's superuser. */
async function query(text: string): Promise<Record<string, unknown>[]> {
  const { schema_name: schema } = await host().a.installation(NAME);
  await using superuser = connectHost(host().ground.modules.admin, { max: 1 });
  await superuser.sql.unsafe(`set search_path to ${schema ?? ''}`);
  return [...(await superuser.sql.unsafe<Record<string, unknown>[]>(text))];
}

async function check(name: string, type: string, target: string, config: Values, interval?: number) {
  const values = [name, type, target, JSON.stringify(config)].map((value) => `'${value}'`).join(', ');
  const [column, value] = interval === undefined ? ['', ''] : [', interval', `, ${interval}`];
  await query(
    `insert into monitoring_checks (name, type, target, config${column}) values (${values}${value})`,
  );
}

/** Runs the job twice: hosts are asked for at the first time, confirmed, and looked at the second. */
async function run(): Promise<unknown> {
  const { a } = host();
  await a.call(NAME, 'runChecks');
  const asked = await a.panel.db
    .selectFrom('host_requests')
    .select('id')
    .where('installation_id', '=', installationId)
    .where('status', '=', 'asked')
    .execute();
  for (const { id } of asked)
    await a.panel.hosts.decide({ requestId: id, status: 'confirmed', accountId: a.adminId });
  return a.call(NAME, 'runChecks');
}

async function results(name: string): Promise<Record<string, unknown>[]> {
  return query(`select r.* from monitoring_results r join monitoring_checks c on c.id = r.check_id
    where c.name = '${name}' order by r.id`);
}

describe('activate()', () => {
  it('makes monitoring_checks and monitoring_results as the guide does [MON-01..MON-18]', async () => {
    const { bulkhead } = host();
    expect(await tableShape(bulkhead, installationId, 'monitoring_checks')).toEqual({
      columns: {
        id: ID,
        name: STRING,
        type: STRING,
        target: STRING,
        config: 'jsonb not null',
        interval: 'integer not null default 60',
        active: 'boolean not null default true',
        ...TIMESTAMPS,
      },
      primary: 'id',
      indexes: [],
      references: [],
    });
    expect(await tableShape(bulkhead, installationId, 'monitoring_results')).toEqual({
      columns: {
        id: ID,
        check_id: 'bigint not null',
        status: 'boolean not null',
        response_time: 'integer',
        error_message: NULLABLE_STRING,
        checked_at: 'timestamp with time zone not null',
        ...TIMESTAMPS,
      },
      primary: 'id',
      indexes: ['check_id, checked_at'],
      references: ['check_id → monitoring_checks.id'],
    });
  });

  it('schedules runChecks with the guide’s options and tags, once however often it runs [MON-19 MON-23 MON-24]', async () => {
    const { a } = host();
    await a.disable(NAME);
    await a.enable(NAME);
    const schedules = await a.panel.db
      .selectFrom('schedules')
      .selectAll()
      .where('installation_id', '=', installationId)
      .execute();
    expect(schedules).toMatchObject([
      {
        method: 'runChecks',
        tags: ['monitoring', 'recurring'],
        tries: 2,
        backoff_s: 60,
        timeout_s: 300,
        max_exceptions: 1,
      },
    ]);
  });
});

describe('the routes', () => {
  it('are the guide’s, with the permissions that it forgot to declare [MON-20..MON-22]', async () => {
    const { a } = host();
    const route = (name: string) => ({
      method: 'get',
      uri: name,
      permission: `monitoring-${name}`,
      name,
      controller: `ServerMonitoringController@${name}`,
    });
    expect(await a.call(NAME, 'adminWebRoutes')).toEqual(
      expect.arrayContaining([route('dashboard'), route('checks')]),
    );
    expect(await a.call(NAME, 'adminPermissions')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'monitoring-dashboard' }),
        expect.objectContaining({ key: 'monitoring-checks' }),
      ]),
    );
  });
});

describe('runChecks()', () => {
  it('executes each active check by its type and writes a row with status, time and error [MON-25 MON-27..MON-33]', async () => {
    const url = `http://127.0.0.1:${web}`;
    await check('page', 'http', `${url}/`, {});
    await check('teapot', 'http', `${url}/teapot`, { expected_status: 418 });
    await check('wrong', 'http', `${url}/teapot`, {});
    await check('port', 'port', '127.0.0.1', { port: web });
    await check('ping', 'ping', '127.0.0.1', { port: web });
    await check('closed', 'port', '127.0.0.1', { port: gone });
    await check('off', 'http', `${url}/`, {});
    await query(`update monitoring_checks set active = false where name = 'off'`);
    expect(await run()).toEqual({ status: 'success' });
    for (const name of ['page', 'teapot', 'port', 'ping'])
      expect(await results(name), name).toMatchObject([
        {
          status: true,
          error_message: null,
          response_time: expect.any(Number),
          checked_at: expect.any(Date),
        },
      ]);
    // The answer takes its time, and the time is milliseconds.
    expect(Number((await results('page'))[0]?.['response_time'])).toBeGreaterThanOrEqual(SLOW_MS - 1);
    expect(await results('wrong')).toMatchObject([{ status: false, error_message: 'HTTP status 418' }]);
    expect(await results('closed')).toMatchObject([{ status: false, error_message: expect.any(String) }]);
    expect(await results('off')).toEqual([]);
  });

  it('tells when a server is down, and tells once [MON-34]', async () => {
    const { a } = host();
    const down = (await a.logs(NAME)).filter((line) => line.startsWith('module error alert'));
    expect(down).toHaveLength(2);
    await query(`update monitoring_results set checked_at = now() - interval '2 hours'`);
    await run();
    expect(await results('closed')).toHaveLength(2);
    expect((await a.logs(NAME)).filter((line) => line.startsWith('module error alert'))).toEqual(down);
  });

  it('asks each server as often as its own interval says [MON-08 MON-26]', async () => {
    const url = `http://127.0.0.1:${web}/`;
    await check('often', 'http', url, {}, 30);
    await check('seldom', 'http', url, {});
    await run();
    await query(`update monitoring_results set checked_at = now() - interval '40 seconds'`);
    await run();
    expect(await results('often')).toHaveLength(2);
    expect(await results('seldom')).toHaveLength(1);
  });
});
