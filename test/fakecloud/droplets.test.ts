/** The DigitalOcean-shaped API, over real HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { answerOf, at, cloudCall, CREATE, HOUR_MS } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ provisioningMs: HOUR_MS, actionMs: HOUR_MS, dropletLimit: 3 });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

const finishAll = () => cloud.control.setDelays({ provisioningMs: 0, actionMs: 0 });

async function created(name = CREATE.name): Promise<number> {
  const { json } = await cloudCall(cloud, 'POST', '/droplets', { body: { ...CREATE, name } });
  return Number(at(json, 'droplet', 'id'));
}

describe('the token', () => {
  test.each([
    ['missing', {}],
    ['wrong', { authorization: 'Bearer nope' }],
    ['of another scheme', { authorization: 'Basic nope' }],
  ])(
    'a token that is %s is answered 401 in DigitalOcean’s shape',
    async (_what, headers: Record<string, string>) => {
      const { status, json } = await answerOf(
        await fetch(`${cloud.cloud}/v2/droplets`, { method: 'POST', headers }),
      );
      expect([status, json]).toEqual([401, { id: 'Unauthorized', message: 'Unable to authenticate you' }]);
      expect(await cloud.control.effects()).toEqual([]);
    },
  );
});

describe('creating a droplet', () => {
  test('a new droplet is `new` without an address until its time has come, then active with a documentation address', async () => {
    const answer = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
    expect(answer.status).toBe(202);
    expect(answer.json['droplet']).toMatchObject({
      id: expect.any(Number),
      name: CREATE.name,
      status: 'new',
      networks: { v4: [] },
      region: { slug: 'us-east-1' },
      size_slug: 's-1vcpu-1gb',
      image: { slug: 'ubuntu-20.04' },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      memory: 1024,
      vcpus: 1,
      disk: 25,
      locked: true,
    });
    const path = `/droplets/${String(at(answer.json, 'droplet', 'id'))}`;
    expect(at((await cloudCall(cloud, 'GET', path)).json, 'droplet', 'status')).toBe('new');
    await finishAll();
    const { json } = await cloudCall(cloud, 'GET', path);
    expect(json['droplet']).toMatchObject({ status: 'active', locked: false });
    expect(at(json, 'droplet', 'networks', 'v4')).toMatchObject([
      { ip_address: expect.stringMatching(/^203\.0\.113\.\d+$/), type: 'public' },
    ]);
  });

  test('an active droplet does not become new again when the delay grows', async () => {
    const id = await created();
    await finishAll();
    await cloudCall(cloud, 'GET', `/droplets/${id}`);
    await cloud.control.setDelays({ provisioningMs: HOUR_MS, actionMs: HOUR_MS });
    expect(at((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json, 'droplet', 'status')).toBe('active');
  });

  test.each([
    ['name', 'two words', 'hostname'],
    ['name', '', 'hostname'],
    ['name', undefined, 'hostname'],
    ['region', 'moon-1', 'region'],
    ['size', 's-9vcpu', 'size'],
    ['image', 'windows-3.11', 'image'],
    ['image', 9, 'image'],
    ['tags', ['no spaces'], 'Tags'],
    ['tags', 'web', 'Tags'],
  ])('a create with %s %j is answered 422 and creates nothing', async (field, value, word) => {
    const { status, json } = await cloudCall(cloud, 'POST', '/droplets', {
      body: { ...CREATE, [field]: value },
    });
    expect(status).toBe(422);
    expect(json).toEqual({ id: 'unprocessable_entity', message: expect.stringContaining(word) });
    expect(await cloud.control.effects('droplet.created')).toEqual([]);
  });

  test('a create whose body is no JSON is answered 422', async () => {
    const headers = { authorization: `Bearer ${cloud.cloudToken}` };
    const { status, json } = await answerOf(
      await fetch(`${cloud.cloud}/v2/droplets`, { method: 'POST', headers, body: '{"name":' }),
    );
    expect([status, json['id']]).toEqual([422, 'unprocessable_entity']);
  });

  test('an image may be named by number and in DigitalOcean’s own spelling', async () => {
    for (const image of [1002, 'ubuntu-22-04-x64']) {
      const { json } = await cloudCall(cloud, 'POST', '/droplets', { body: { ...CREATE, image } });
      expect(at(json, 'droplet', 'image', 'slug')).toBe('ubuntu-22.04');
    }
  });

  test('one droplet too many is refused, and accepted again when one is gone', async () => {
    const first = await created('a');
    await created('b');
    await created('c');
    const refused = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'k' });
    expect([refused.status, refused.json['message']]).toEqual([
      422,
      expect.stringContaining('droplet limit'),
    ]);
    await cloudCall(cloud, 'DELETE', `/droplets/${first}`);
    expect((await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'k' })).status).toBe(202);
  });
});

describe('idempotency keys', () => {
  test('the same key and body give the same droplet and no second one, also at the same time', async () => {
    const call = () => cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' });
    const answers = [...(await Promise.all([call(), call(), call()])), await call()];
    expect(new Set(answers.map(({ json }) => at(json, 'droplet', 'id'))).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(3);
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  test('without a key each create is a droplet of its own', async () => {
    await Promise.all([created(), created()]);
    expect(await cloud.control.effects('droplet.created')).toHaveLength(2);
  });

  test('the same key with another body is refused and creates nothing', async () => {
    await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' });
    const { status, json } = await cloudCall(cloud, 'POST', '/droplets', {
      body: { ...CREATE, name: 'other' },
      key: 'step-1',
    });
    expect([status, json['id']]).toEqual([409, 'conflict']);
    expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
  });

  test('a key whose request was refused can be used again with a mended one', async () => {
    await cloudCall(cloud, 'POST', '/droplets', { body: { ...CREATE, size: 'none' }, key: 'step-1' });
    expect((await cloudCall(cloud, 'POST', '/droplets', { body: CREATE, key: 'step-1' })).status).toBe(202);
  });

  test('an action with a key runs once', async () => {
    const id = await created();
    await finishAll();
    const call = () =>
      cloudCall(cloud, 'POST', `/droplets/${id}/actions`, { body: { type: 'power_off' }, key: 'off' });
    expect(at((await call()).json, 'action', 'id')).toBe(at((await call()).json, 'action', 'id'));
    expect(await cloud.control.effects('action.started')).toHaveLength(1);
  });
});

describe('listing', () => {
  test('droplets can be found by name and by tag, for a check before a retry', async () => {
    await cloudCall(cloud, 'POST', '/droplets', { body: { ...CREATE, name: 'a', tags: ['service:1'] } });
    await cloudCall(cloud, 'POST', '/droplets', { body: { ...CREATE, name: 'b', tags: ['service:2'] } });
    const names = async (query: string) => {
      const { json } = await cloudCall(cloud, 'GET', `/droplets?${query}`);
      return [json['droplets']].flat().map((droplet) => at(droplet, 'name'));
    };
    expect(await names('')).toEqual(['a', 'b']);
    expect(await names('name=b')).toEqual(['b']);
    expect(await names('tag_name=service:1')).toEqual(['a']);
    expect(await names('tag_name=service:3')).toEqual([]);
  });

  test('a list comes in pages that lead to the next one', async () => {
    for (const name of ['a', 'b', 'c']) await created(name);
    const first = (await cloudCall(cloud, 'GET', '/droplets?per_page=2')).json;
    expect([at(first, 'meta', 'total'), at(first, 'droplets', 1, 'name'), at(first, 'droplets', 2)]).toEqual([
      3,
      'b',
      undefined,
    ]);
    const next = new URL(String(at(first, 'links', 'pages', 'next')));
    const second = (await cloudCall(cloud, 'GET', `/droplets${next.search}`)).json;
    expect([at(second, 'droplets', 0, 'name'), at(second, 'links', 'pages', 'next')]).toEqual([
      'c',
      undefined,
    ]);
  });

  test('regions, sizes and images are the guide’s', async () => {
    const slugs = async (name: string) =>
      [(await cloudCall(cloud, 'GET', `/${name}`)).json[name]].flat().map((entry) => at(entry, 'slug'));
    expect(await slugs('regions')).toEqual(['us-east-1', 'us-west-1', 'eu-west-1']);
    expect(await slugs('sizes')).toEqual(['s-1vcpu-1gb', 's-2vcpu-2gb', 's-4vcpu-8gb', 'custom']);
    expect(await slugs('images')).toContain('ubuntu-20.04');
    expect((await cloudCall(cloud, 'GET', '/account')).json['account']).toMatchObject({
      status: 'active',
      droplet_limit: 3,
    });
  });
});

describe('actions', () => {
  async function act(id: number, body: Readonly<Record<string, unknown>>) {
    return cloudCall(cloud, 'POST', `/droplets/${id}/actions`, { body });
  }

  test('an action is in progress first, then completed with its effect', async () => {
    const id = await created();
    await finishAll();
    await cloudCall(cloud, 'GET', `/droplets/${id}`);
    await cloud.control.setDelays({ provisioningMs: 0, actionMs: HOUR_MS });
    const { status, json } = await act(id, { type: 'power_off' });
    expect(status).toBe(201);
    expect(json['action']).toMatchObject({
      status: 'in-progress',
      type: 'power_off',
      resource_id: id,
      completed_at: null,
    });
    expect(at((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json, 'droplet', 'status')).toBe('active');
    await finishAll();
    const action = await cloudCall(cloud, 'GET', `/actions/${String(at(json, 'action', 'id'))}`);
    expect(at(action.json, 'action', 'status')).toBe('completed');
    expect(at((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json, 'droplet', 'status')).toBe('off');
  });

  test('a second action is refused while one is under way, also while the droplet is new', async () => {
    const id = await created();
    const refused = await act(id, { type: 'reboot' });
    expect([refused.status, refused.json['message']]).toEqual([422, 'Droplet already has a pending event.']);
    expect(await cloud.control.effects('action.started')).toEqual([]);
  });

  test('resize changes the size, and says no to one that is unknown or the same', async () => {
    const id = await created();
    await finishAll();
    expect((await act(id, { type: 'resize', size: 'none' })).status).toBe(422);
    expect((await act(id, { type: 'resize', size: CREATE.size })).status).toBe(422);
    expect((await act(id, { type: 'resize', size: 's-4vcpu-8gb' })).status).toBe(201);
    const { json } = await cloudCall(cloud, 'GET', `/droplets/${id}`);
    expect(json['droplet']).toMatchObject({ size_slug: 's-4vcpu-8gb', vcpus: 4, memory: 8192 });
  });

  test.each([
    ['power_off', 'off'],
    ['shutdown', 'off'],
    ['reboot', 'active'],
    ['power_on', 'active'],
  ])('%s leaves the droplet %s', async (type, status) => {
    const id = await created();
    await finishAll();
    await act(id, { type });
    expect(at((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json, 'droplet', 'status')).toBe(status);
  });

  test('an action may be named `action`, as the guide’s client does; an unknown one is refused', async () => {
    const id = await created();
    await finishAll();
    expect((await act(id, { action: 'power_off' })).status).toBe(201);
    expect((await act(id, { type: 'explode' })).status).toBe(422);
    expect((await act(id, { type: 'constructor' })).status).toBe(422);
  });

  test('a snapshot is listed when it is done, can be restored, and is deleted once', async () => {
    const id = await created();
    await finishAll();
    await act(id, { type: 'snapshot', name: 'before the update' });
    const { json } = await cloudCall(cloud, 'GET', `/droplets/${id}/snapshots`);
    expect(json['snapshots']).toMatchObject([
      { name: 'before the update', type: 'snapshot', resource_id: String(id) },
    ]);
    const image = at(json, 'snapshots', 0, 'id');
    expect((await act(id, { type: 'restore', image })).status).toBe(201);
    expect((await act(id, { type: 'restore', image: 1 })).status).toBe(422);
    expect((await cloudCall(cloud, 'DELETE', `/snapshots/${String(image)}`)).status).toBe(204);
    expect((await cloudCall(cloud, 'DELETE', `/snapshots/${String(image)}`)).status).toBe(404);
  });
});

describe('what a client area shows', () => {
  test('the console is an address that opens, for a droplet that is on', async () => {
    const id = await created();
    expect((await cloudCall(cloud, 'GET', `/droplets/${id}/console`)).status).toBe(422);
    await finishAll();
    const { json } = await cloudCall(cloud, 'GET', `/droplets/${id}/console`);
    const page = await answerOf(await fetch(String(json['console_url'])));
    expect([page.status, page.text]).toEqual([200, expect.stringContaining(CREATE.name)]);
    expect((await fetch(`${cloud.cloud}/console/con_guessed`)).status).toBe(404);
  });

  test('metrics are the same for the same minute and within reason', async () => {
    const id = await created();
    await finishAll();
    const series = async (name: string): Promise<readonly unknown[]> => {
      const { json } = await cloudCall(cloud, 'GET', `/droplets/${id}/metrics?minutes=30`);
      const points = at(json, 'metrics', 'series', name);
      return Array.isArray(points) ? points : [];
    };
    const cpu = await series('cpu');
    expect(cpu).toHaveLength(30);
    expect(
      (await series('cpu')).filter((point) => cpu.some((before) => String(before) === String(point))).length,
    ).toBeGreaterThan(28);
    const values = cpu.map((point) => Number(at(point, 1)));
    expect(values.every((value) => value >= 0 && value <= 100)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(5);
    expect((await cloudCall(cloud, 'GET', `/droplets/${id}/metrics?minutes=-1`)).status).toBe(422);
  });
});

describe('deleting', () => {
  test('a deleted droplet is gone, once', async () => {
    const id = await created();
    expect((await cloudCall(cloud, 'DELETE', `/droplets/${id}`)).status).toBe(204);
    expect((await cloudCall(cloud, 'DELETE', `/droplets/${id}`)).status).toBe(404);
    expect((await cloudCall(cloud, 'GET', `/droplets/${id}`)).json).toEqual({
      id: 'not_found',
      message: 'The resource you were accessing could not be found.',
    });
    expect((await cloud.control.effects('droplet.deleted')).map(({ subject }) => subject)).toEqual([
      String(id),
    ]);
  });

  test('its address is used again, its id never', async () => {
    const address = async (id: number) =>
      at(
        (await cloudCall(cloud, 'GET', `/droplets/${id}`)).json,
        'droplet',
        'networks',
        'v4',
        0,
        'ip_address',
      );
    await finishAll();
    const first = await created();
    const firstAddress = await address(first);
    await cloudCall(cloud, 'DELETE', `/droplets/${first}`);
    const second = await created();
    expect(await address(second)).toBe(firstAddress);
    expect(second).toBeGreaterThan(first);
    const third = await created();
    expect(await address(third)).not.toBe(firstAddress);
  });

  test.each(['/droplets/1', '/droplets/abc', '/droplets/1/console', '/actions/1', '/nowhere', ''])(
    '%s is 404 in DigitalOcean’s shape',
    async (path) => {
      const { status, json } = await cloudCall(cloud, 'GET', path);
      expect([status, json['id']]).toEqual([404, 'not_found']);
    },
  );
});
