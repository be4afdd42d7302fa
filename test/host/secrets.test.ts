/** Secrets and logs: the module handles a secret without ever holding it, and what it logs does not give one away. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowPorts, useTestHost } from '../support/host.ts';

const NAME = 'Keeper';
const VALUE = 'sk_live_4242424242_not_for_modules';

const MEMBERS = `
  saved(value) { return { config: this.config(), secret: this.secret('api_key'), value }; }
  async ask() {
    const response = await fetch(this.config('api_url') + '/echo', {
      headers: { authorization: 'Bearer ' + this.secret('api_key'), 'x-plain': 'plain' },
    });
    const text = await response.text();
    this.logInfo('echo', { seen: text, password: 'hunter2', nested: { api_key: 'abc', user: 'ann' } });
    return text;
  }
  async steal(address) {
    try { await fetch(address + '/?key=' + this.secret('api_key')); return 'sent'; }
    catch (error) { return error.code; }
  }
  async createJob() {
    const text = await this.step('ask', () => this.ask());
    await this.service.setProvisionStatus('completed');
    return { status: 'success', data: { text, secret: this.secret('api_key') } };
  }
  flood(lines) { for (let line = 0; line < lines; line++) this.logInfo('line', String(line)); }
`;

const host = useTestHost({ worker: true });
const received: string[] = [];
let server: Server;
let stranger: Server;

/** Echoes the request's headers, as some APIs do in their errors. */
async function listen(): Promise<Server> {
  const made = createServer((request, response) => {
    received.push(`${request.url ?? ''} ${request.headers.authorization ?? ''}`);
    response.end(JSON.stringify(request.headers));
  });
  await new Promise<void>((resolve) => void made.listen(0, '127.0.0.1', resolve));
  return made;
}
const portOf = (listening: Server): number => (listening.address() as AddressInfo).port;
const urlOf = (listening: Server): string => `http://127.0.0.1:${portOf(listening)}`;

beforeAll(async () => {
  server = await listen();
  stranger = await listen();
  const { a } = host();
  await allowPorts(a, [portOf(server), portOf(stranger)]);
  await host().publish({
    name: NAME,
    members: MEMBERS,
    manifest: {
      settings: [
        { key: 'api_url', type: 'text', title: 'Address', required: true },
        { key: 'other_url', type: 'text', title: 'Another address' },
        { key: 'api_key', type: 'secret', title: 'Key' },
        { key: 'limit', type: 'number', title: 'Limit', min: 1, max: 9, default: 5 },
      ],
      permissions: {
        http: { hosts: ['{settings.api_url}', '{settings.other_url}'], methods: ['GET'] },
        secrets: { api_key: { title: 'Key', hosts: ['{settings.api_url}'] } },
        tasks: true,
      },
    },
  });
  await a.installed(NAME, { api_url: urlOf(server), other_url: urlOf(stranger), api_key: VALUE });
});
afterAll(() => {
  server.close();
  stranger.close();
});

/** Every text that the host keeps of this module, whatever the table. */
async function everythingStored(): Promise<string> {
  const { a, ground } = host();
  await a.bulkhead.recorder.flush();
  const tables = [
    'installations',
    'services',
    'tasks',
    'task_attempts',
    'steps',
    'step_requests',
    'logs',
    'calls',
  ];
  const rows: unknown[] = [];
  for (const table of tables) rows.push(...(await ground.host.sql`select * from ${ground.host.sql(table)}`));
  return JSON.stringify(rows);
}

describe('settings', () => {
  it('with a bad value are refused at the field, and nothing is saved', async () => {
    const { a } = host();
    const before = await a.installation(NAME);
    const refused = await a.trySettings(NAME, { api_url: '', limit: '10', api_key: 'other' });
    expect(refused).toEqual({
      ok: false,
      errors: { api_url: ['This field is required.'], limit: ['At most 9.'] },
    });
    expect((await a.installation(NAME)).settings).toEqual(before.settings);
    await a.call(NAME, 'ask');
    expect(received.at(-1)).toContain(VALUE);
  });

  it('show that a secret is set and never its value; an empty one leaves it', async () => {
    const { a } = host();
    await a.saveSettings(NAME, { api_url: urlOf(server), other_url: urlOf(stranger), api_key: '' });
    const form = await a.panel.catalog.settings(await a.installationId(NAME));
    expect(form.secretsSet).toEqual(['api_key']);
    expect(JSON.stringify(form)).not.toContain(VALUE);
    await a.call(NAME, 'ask');
    expect(received.at(-1)).toContain(VALUE);
  });

  it.each(['Plugin', 'Payment'] as const)(
    'of a %s with a required secret are refused until it has been given once',
    async (type) => {
      const { a, publish } = host();
      const name = `Needy${type}`;
      const secret = { title: 'Key', hosts: ['api.example.com'] };
      await publish({
        name,
        type,
        members: '',
        manifest: {
          settings: [{ key: 'token', type: 'secret', title: 'Key', required: true }],
          permissions: { secrets: { token: secret } },
        },
      });
      await a.install(name);
      await a.grant(name);
      const accountId = a.adminId;
      const installationId = await a.installationId(name);
      const save =
        type === 'Plugin'
          ? (values: Record<string, string>) => a.trySettings(name, values)
          : await (async () => {
              await a.enable(name);
              const made = await a.panel.instances.create({ installationId, name: 'One', accountId });
              if (!made.ok) throw new Error(JSON.stringify(made));
              const { instanceId } = made;
              return (values: Record<string, string>) =>
                a.panel.instances.save({ instanceId, values, accountId });
            })();
      const refused = { ok: false, errors: { token: ['This field is required.'] } };
      expect(await save({})).toEqual(refused);
      expect(await save({ token: '' })).toEqual(refused);
      expect(await save({ token: 'tok_12345678' })).toEqual({ ok: true });
      expect(await save({ token: '' })).toEqual({ ok: true });
    },
  );
});

describe('a secret', () => {
  it('is a handle to the module: not its value, whatever it asks', async () => {
    const answer = JSON.stringify(await host().a.call(NAME, 'saved', 1));
    expect(answer).not.toContain(VALUE);
    expect(answer).toMatch(/"secret":"[^"]{10,}"/);
  });

  it('reaches the host it is bound to, and what that echoes comes back without it', async () => {
    const echoed = await host().a.call(NAME, 'ask');
    expect(received.at(-1)).toBe(`/echo Bearer ${VALUE}`);
    expect(echoed).toContain('"x-plain":"plain"');
    expect(echoed).not.toContain(VALUE);
  });

  it('is not sent to another granted host', async () => {
    const { a } = host();
    const before = received.length;
    expect(await a.call(NAME, 'steal', urlOf(stranger))).not.toBe('sent');
    expect(received.slice(before).join(' ')).not.toContain(VALUE);
  });

  it('stands in nothing that is stored: log, timeline, step, task', async () => {
    const { a } = host();
    const serviceId = await a.order(await a.product(NAME, 'Kept'));
    await a.reached(serviceId, 'completed', 'active');
    const stored = await everythingStored();
    expect(stored).toContain('/echo');
    expect(stored).not.toContain(VALUE);
    expect((await a.timeline(serviceId)).join('\n')).not.toContain(VALUE);
  });

  it('of one tenant is not there for the other’s installation', async () => {
    const { b } = host();
    await allowPorts(b, [portOf(server)]);
    await b.installed(NAME, { api_url: urlOf(server) });
    await b.call(NAME, 'ask');
    expect(received.at(-1)).not.toContain(VALUE);
  });
});

describe('the log', () => {
  it('redacts by the key what looks like a password', async () => {
    const { a } = host();
    await a.call(NAME, 'ask');
    const line = (await a.logs(NAME)).findLast((text) => text.startsWith('module info echo'));
    expect(line).toContain('"user":"ann"');
    expect(line).not.toContain('hunter2');
    expect(line).not.toContain('abc');
  });

  it('takes 100 lines of a flood and one line of the host that says so', async () => {
    const { a } = host();
    // Lines are counted by the second: those before must not count.
    await sleep(1_000);
    const before = (await a.logs(NAME)).length;
    await a.call(NAME, 'flood', 500);
    const lines = (await a.logs(NAME)).slice(before);
    expect(lines.filter((line) => line.startsWith('module info line'))).toHaveLength(100);
    expect(lines.filter((line) => line.startsWith('host warning log flood'))).toHaveLength(1);
  });
});
