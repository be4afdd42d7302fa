/** Faults: each does what it says, as often as it says, on the side of the side effect it says. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { PRESETS } from '../../src/fakecloud/presets.ts';
import { at, cloudCall, CREATE } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ provisioningMs: 0 });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

const MATCH = { method: 'POST', path: '/v2/droplets' };
const create = (key?: string) =>
  cloudCall(cloud, 'POST', '/droplets', { body: CREATE, ...(key === undefined ? {} : { key }) });
const account = () => cloudCall(cloud, 'GET', '/account');
const createdCount = async () => (await cloud.control.effects('droplet.created')).length;

describe('kinds', () => {
  test('status before: the answer is an error in the area’s shape and nothing happened', async () => {
    await cloud.control.addFault({ match: MATCH, kind: 'status', status: 429 });
    const { status, json, headers } = await create();
    expect([status, json['id'], headers.get('retry-after')]).toEqual([429, 'too_many_requests', '1']);
    expect(await createdCount()).toBe(0);
    expect((await create()).status).toBe(202);
  });

  test('status after: the answer is an error and it happened all the same', async () => {
    await cloud.control.addFault({ match: MATCH, kind: 'status', status: 500, when: 'after' });
    expect((await create()).status).toBe(500);
    expect(await createdCount()).toBe(1);
  });

  test('a fault’s answer carries no header of the answer it replaces', async () => {
    await create('step-1');
    await cloud.control.addFault({ match: MATCH, kind: 'status', status: 500, when: 'after' });
    const [replaced, replayed] = [await create('step-1'), await create('step-1')];
    expect([replaced.status, replaced.headers.get('idempotent-replayed')]).toEqual([500, null]);
    expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
  });

  test('drop before: the connection is cut and nothing happened', async () => {
    const { id: fault } = await cloud.control.addFault({ match: MATCH, kind: 'drop' });
    await expect(create()).rejects.toThrow('fetch failed');
    expect(await createdCount()).toBe(0);
    const [entry] = await cloud.control.requests();
    expect(entry).toMatchObject({
      method: 'POST',
      path: '/v2/droplets',
      outcome: 'dropped',
      status: null,
      fault,
    });
  });

  test('drop after: the answer is lost but it happened, and the same key then gives that droplet', async () => {
    await cloud.control.addFault({ match: MATCH, kind: 'drop', when: 'after' });
    await expect(create('step-1')).rejects.toThrow('fetch failed');
    const [effect] = await cloud.control.effects('droplet.created');
    const again = await create('step-1');
    expect(String(at(again.json, 'droplet', 'id'))).toBe(effect?.subject);
    expect(await createdCount()).toBe(1);
    const [lost] = await cloud.control.requests();
    expect([lost?.outcome, lost?.idempotencyKey, effect?.request]).toEqual(['dropped', 'step-1', lost?.seq]);
  });

  test('delay: the true answer comes, later than a client that gives up', async () => {
    await cloud.control.addFault({ match: MATCH, kind: 'delay', delayMs: 60_000, when: 'after' });
    const headers = { authorization: `Bearer ${cloud.cloudToken}` };
    const signal = AbortSignal.timeout(300);
    const call = fetch(`${cloud.cloud}/v2/droplets`, {
      method: 'POST',
      headers,
      body: JSON.stringify(CREATE),
      signal,
    });
    await expect(call).rejects.toThrow('aborted due to timeout');
    expect(await createdCount()).toBe(1);
    await cloud.control.addFault({ kind: 'delay', delayMs: 1 });
    expect((await create()).status).toBe(202);
  });

  test('garbage: a 200 whose body is no JSON', async () => {
    await cloud.control.addFault({ match: MATCH, kind: 'garbage', when: 'after' });
    const { status, text } = await create();
    expect(status).toBe(200);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(await createdCount()).toBe(1);
  });

  test('slow-body: the head is there at once, the whole answer comes in parts and is right', async () => {
    await cloud.control.addFault({ match: { path: '/v2/account' }, kind: 'slow-body', delayMs: 50 });
    const response = await fetch(`${cloud.cloud}/v2/account`, {
      headers: { authorization: `Bearer ${cloud.cloudToken}` },
    });
    const parts: Uint8Array[] = [];
    for await (const part of response.body ?? []) parts.push(part);
    expect(parts.length).toBeGreaterThan(3);
    expect(at(JSON.parse(Buffer.concat(parts).toString()), 'account', 'status')).toBe('active');
  });

  test('slow-body: a client that goes away half way harms nobody', async () => {
    await cloud.control.addFault({ match: { path: '/v2/account' }, kind: 'slow-body', delayMs: 60_000 });
    const signal = AbortSignal.timeout(200);
    const response = await fetch(`${cloud.cloud}/v2/account`, {
      headers: { authorization: `Bearer ${cloud.cloudToken}` },
      signal,
    });
    await expect(response.text()).rejects.toThrow('aborted due to timeout');
    expect((await account()).status).toBe(200);
  });
});

describe('matching', () => {
  test('times counts down and forever does not', async () => {
    await cloud.control.addFault({ match: { path: '/v2/account' }, kind: 'status', times: 2 });
    const statuses = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await account()).status);
    expect(statuses).toEqual([503, 503, 200]);
    const { id } = await cloud.control.addFault({
      match: { path: '/v2/account' },
      kind: 'status',
      status: 500,
      forever: true,
    });
    for (let call = 0; call < 4; call += 1) expect((await account()).status).toBe(500);
    expect((await cloud.control.faults()).map(({ left, hits }) => [left, hits])).toEqual([
      [0, 2],
      [null, 4],
    ]);
    await cloud.control.removeFault(id);
    expect((await account()).status).toBe(200);
  });

  test.each([
    ['/v2/account', true],
    ['/v2/acc', false],
    ['/v2', false],
    ['/v2/*', true],
    ['/*', false],
    ['/**', true],
    ['/v2/**', true],
    ['/v2/account/**', true],
    ['/v1/**', false],
    ['**count', true],
    ['/v2/a.count', false],
  ])('path %s strikes /v2/account: %s', async (path, strikes) => {
    await cloud.control.addFault({ match: { path }, kind: 'status', status: 503 });
    expect((await account()).status).toBe(strikes ? 503 : 200);
  });

  test('a fault for another method does not strike, and a fault in small letters does', async () => {
    await cloud.control.addFault({ match: { method: 'POST' }, kind: 'status' });
    expect((await account()).status).toBe(200);
    await cloud.control.addFault({ match: { method: 'get' }, kind: 'status' });
    expect((await account()).status).toBe(503);
  });

  test('of two faults that match the older one strikes first', async () => {
    await cloud.control.addFault({ kind: 'status', status: 500 });
    await cloud.control.addFault({ kind: 'status', status: 503 });
    expect([(await account()).status, (await account()).status]).toEqual([500, 503]);
  });

  test('clear switches all off', async () => {
    await cloud.control.addFault({ kind: 'status', forever: true });
    await cloud.control.clearFaults();
    expect((await account()).status).toBe(200);
    expect(await cloud.control.faults()).toEqual([]);
  });
});

describe('input', () => {
  test.each([
    [{ kind: 'explode' }, 'fault.kind: must be one of'],
    [{ kind: 'drop', path: '/v2' }, 'fault.path: unknown'],
    [{ kind: 'drop', match: { pth: '/v2' } }, 'fault.match.pth: unknown'],
    [{ kind: 'drop', times: 0 }, 'fault.times: must be between'],
    [{ kind: 'drop', times: 2, forever: true }, 'times or forever'],
    [{ kind: 'delay', delayMs: 10_000_000 }, 'fault.delayMs: must be between'],
    [{ kind: 'slow-body', when: 'before' }, 'can only be after'],
    [{ kind: 'status', status: 42 }, 'fault.status: must be between'],
    [{ kind: 'drop', match: { path: '*'.repeat(40) } }, 'stars'],
    [[], 'expected an object'],
  ])('%j is refused with the reason', async (fault, reason) => {
    const response = await fetch(`${cloud.cloud}/_control/faults`, {
      method: 'POST',
      headers: { 'x-control-token': cloud.controlToken },
      body: JSON.stringify(fault),
    });
    expect([response.status, await response.text()]).toEqual([422, expect.stringContaining(reason)]);
    expect(await cloud.control.faults()).toEqual([]);
  });

  test.each(PRESETS.map(({ id }) => id))('the ready-made fault %s is a valid one', async (id) => {
    expect((await cloud.control.addPreset(id)).hits).toBe(0);
  });

  test('an endless flood of faults is stopped', async () => {
    const add = () => cloud.control.addFault({ match: { path: '/nowhere' }, kind: 'drop' });
    for (let count = 0; count < 100; count += 1) await add();
    await expect(add()).rejects.toThrow('clear some first');
  });
});
