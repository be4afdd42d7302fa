/** The control API: closed to whoever lacks the token or comes by another name; the ledger; starting anew. */
import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { at, cloudCall, CREATE, HOUR_MS } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ provisioningMs: HOUR_MS, webhookUrl: 'http://127.0.0.1:9/hook' });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

/** With a Host of one's own choice, which fetch does not allow. */
function statusAs(
  host: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const { hostname, port } = new URL(cloud.cloud);
  request({ hostname, port, path, headers: { host, ...headers } }, (incoming) => {
    incoming.resume();
    resolve(incoming.statusCode ?? 0);
  })
    .on('error', reject)
    .end();
  return promise;
}

test.each(['/faults', '/requests', '/mails', '/nowhere'])(
  '%s is 403 without the token and with a wrong one',
  async (path) => {
    expect((await fetch(`${cloud.cloud}/_control${path}`)).status).toBe(403);
    const headers = { 'x-control-token': cloud.cloudToken };
    expect((await fetch(`${cloud.cloud}/_control${path}`, { headers })).status).toBe(403);
  },
);

test('a write without the token changes nothing', async () => {
  await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
  expect((await fetch(`${cloud.cloud}/_control/reset`, { method: 'POST' })).status).toBe(403);
  expect(await cloud.control.droplets()).toHaveLength(1);
});

test('the page and the control API answer only to this machine’s own names', async () => {
  const headers = { 'x-control-token': cloud.controlToken };
  const { port } = new URL(cloud.cloud);
  for (const path of ['/', '/_control/faults']) {
    expect(await statusAs(`evil.example:${port}`, path, headers)).toBe(421);
    expect(await statusAs(`localhost.evil.example:${port}`, path, headers)).toBe(421);
    expect(await statusAs(`localhost:${port}`, path, headers)).toBe(200);
  }
  expect(
    await statusAs('api.digitalocean.example', '/v2/account', {
      authorization: `Bearer ${cloud.cloudToken}`,
    }),
  ).toBe(200);
});

test('the ledger has each API request with its key, in order, and none of the control API’s', async () => {
  await cloudCall(cloud, 'GET', '/account');
  await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' });
  await fetch(`${cloud.cloud}/v2/account`);
  await fetch(cloud.cloud);
  await fetch(`${cloud.cloud}/favicon.ico`);
  const requests = await cloud.control.requests();
  expect(
    requests.map(({ method, path, status, idempotencyKey }) => [method, path, status, idempotencyKey]),
  ).toEqual([
    ['GET', '/v2/account', 200, null],
    ['POST', '/v2/droplets', 202, 'step-1'],
    ['GET', '/v2/account', 401, null],
  ]);
  expect((await cloud.control.effects()).map(({ kind, request }) => [kind, request])).toEqual([
    ['droplet.created', requests[1]?.seq],
  ]);
});

test('reset forgets what happened and every changed setting, and keeps tokens and the first webhook', async () => {
  await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' });
  await cloud.control.setDelays({ provisioningMs: 0, actionMs: 0 });
  await cloud.control.addFault({ kind: 'drop', forever: true });
  await cloud.control.reset();
  expect(await cloud.control.droplets()).toEqual([]);
  expect(await cloud.control.faults()).toEqual([]);
  expect(await cloud.control.requests()).toEqual([]);
  const { json } = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' });
  const id = Number(at(json, 'droplet', 'id'));
  expect(at((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json, 'droplet', 'status')).toBe('new');
  expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
});

test('a droplet destroyed through control is gone for the API, with an effect that no request caused', async () => {
  const { json } = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
  const id = Number(at(json, 'droplet', 'id'));
  await cloud.control.destroyDroplet(id);
  expect((await cloudCall(cloud, 'GET', `/droplets/${id}`)).status).toBe(404);
  expect(await cloud.control.effects('droplet.deleted')).toMatchObject([
    { subject: String(id), request: null },
  ]);
  await expect(cloud.control.destroyDroplet(id)).rejects.toThrow('404');
});

test('input the control API cannot read is 422 with the reason, and what it does not know is 404', async () => {
  await expect(cloud.control.setDelays({ provisioningMs: -1, actionMs: 0 })).rejects.toThrow(
    'body.provisioningMs: must be between',
  );
  await expect(cloud.control.addWebhook({ url: 'http://192.0.2.1/' })).rejects.toThrow(
    'only to http:// on this machine',
  );
  await expect(cloud.control.resendWebhook('evt_none')).rejects.toThrow('404');
  const headers = { 'x-control-token': cloud.controlToken };
  expect((await fetch(`${cloud.cloud}/_control/delays`, { method: 'PUT', headers, body: '{' })).status).toBe(
    422,
  );
  expect((await fetch(`${cloud.cloud}/_control/nowhere`, { headers })).status).toBe(404);
});

test('a request larger than a megabyte is refused', async () => {
  const body = { ...CREATE, name: 'a'.repeat(1_100_000) };
  const { status, json } = await cloudCall(cloud, 'POST', '/droplets', { body });
  expect([status, json['id']]).toEqual([413, 'request_entity_too_large']);
});
