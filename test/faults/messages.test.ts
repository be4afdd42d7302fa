/**
 * kill -9 where something is handed on: an event to those who listen, a message to its sender, a due moment to its task. What was told is
 * heard, at least once and by everybody, in whatever moment the server died; a message that may have gone out twice says so; a due
 * moment is run once.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sql } from 'kysely';
import * as v from 'valibot';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import { type ModuleSource, shippedFolder } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { Gate, type Side } from './gate.ts';
import { FaultGround } from './ground.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const API = { key: 'api_url', type: 'text', title: 'API address', required: true };
const HTTP = { hosts: ['{settings.api_url}'], methods: ['GET', 'POST'] };

/** Tells something itself, and has two handlers of it, one after the other. */
const HEARS: ModuleSource = {
  name: 'Hears',
  type: 'Plugin',
  manifest: {
    settings: [API],
    permissions: { http: HTTP },
    events: { emits: ['told'], listens: ['Hears.told'] },
  },
  members: `async tell() { return this.events.dispatch('told', {}); }`,
  files: {
    'hooks.ts': `import { on } from 'bulkhead';
      const go = (module, path) => fetch(module.config('api_url') + path);
      on('Hears.told', async (event, module) => { await go(module, '/first'); }, 10);
      on('Hears.told', async (event, module) => { await go(module, '/second'); }, 5);`,
  },
};
/** A sender whose way leads through the gate. */
const PIGEON: ModuleSource = {
  name: 'Pigeon',
  type: 'Notification',
  manifest: { settings: [API], permissions: { http: HTTP } },
  members: `async send() {
    await fetch(this.module_data.api_url + '/send', { method: 'POST', body: '{}' });
    return { status: 'success' };
  }`,
};
const WORKS: ModuleSource = {
  name: 'Works',
  type: 'Plugin',
  manifest: {
    settings: [API],
    permissions: { http: HTTP, tasks: {} },
    schedule: [{ method: 'work', every: 3_600, title: 'Work' }],
  },
  members: `async work() { await fetch(this.config('api_url') + '/work'); return { status: 'success' }; }`,
};

const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });
type Prepared = v.InferOutput<typeof Prepared>;

let ground: FaultGround;
let cloud: FakeCloud;
let gate: Gate;
let server: ServerProcess;

beforeAll(async () => {
  ground = await FaultGround.open();
  cloud = await spawnFakeCloud();
  gate = await Gate.to(cloud.cloud);
  await ground.publish(HEARS, PIGEON, WORKS);
  await ground.publishFolder(shippedFolder('Notification/Email'));
  server = await ground.start();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await ground?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await cloud.control.reset();
});

const db = () => ground.ground.host.db;

async function prepare(name: string): Promise<Prepared> {
  const ports = [gate.port, cloud.smtp.port];
  const made = v.parse(
    Prepared,
    await server.ask('prepare', {
      name,
      ports,
      ...(name === 'Email' || name === 'Pigeon' ? {} : { settings: { api_url: gate.url } }),
    }),
  );
  await server.ask('enable', made);
  return made;
}

async function killAndStart(): Promise<void> {
  await server.kill();
  server = await ground.start();
}

/** How often the cloud was asked for a path. */
async function asked(path: string): Promise<number> {
  return (await cloud.control.requests()).filter((request) => request.path === path).length;
}

/**
 * Has the server die while it waits to write to a table: what it had done by then in that transaction is undone. The table is the whole
 * ground's, so nothing else happens in it meanwhile.
 */
async function dieWriting(table: string, begin: () => Promise<unknown>): Promise<void> {
  await db()
    .transaction()
    .execute(async (trx) => {
      await sql`lock table ${sql.table(table)} in share row exclusive mode`.execute(trx);
      await begin();
      await until(`the server to wait for ${table}`, async () => {
        const { rows } = await sql`select 1 from pg_locks
          where relation = ${table}::regclass and not granted`.execute(trx);
        return rows.length > 0;
      });
      await server.kill();
    });
  server = await ground.start();
}

async function tell(made: Prepared): Promise<string> {
  return v.parse(v.string(), await server.ask('call', { ...made, method: 'tell', params: [] }));
}

/** What became of an event, once everybody has heard it. */
async function heard(eventId: string) {
  return until('all handlers to have run', async () => {
    const rows = await db()
      .selectFrom('event_deliveries as delivery')
      .innerJoin('tasks as task', 'task.id', 'delivery.task_id')
      .select(['delivery.handler', 'task.status', 'task.id'])
      .where('delivery.event_id', '=', eventId)
      .orderBy('delivery.position')
      .execute();
    return rows.length === 2 && rows.every(({ status }) => status === 'completed') && rows;
  });
}

describe('kill -9 of the server while an event is handed on', () => {
  it('before anybody was told: each hears it once', async () => {
    const made = await prepare('Hears');
    let eventId = '';
    await dieWriting('event_deliveries', async () => {
      eventId = await tell(made);
    });
    expect(await heard(eventId)).toHaveLength(2);
    expect([await asked('/first'), await asked('/second')]).toEqual([1, 1]);
  });

  it.each([
    ['before its handler had any effect', 'request', 1],
    ['between its handler’s effect and the record of it', 'answer', 2],
  ] as const)(
    '%s: it is heard at least once, and the next one is not stopped',
    async (_when, side, times) => {
      const made = await prepare('Hears');
      const hold = gate.shut('GET /first', side);
      const eventId = await tell(made);
      await hold.reached;
      await killAndStart();
      hold.drop();
      await heard(eventId);
      expect([await asked('/first'), await asked('/second')]).toEqual([times, 1]);
      const rows = await db()
        .selectFrom('event_deliveries')
        .select('id')
        .where('event_id', '=', eventId)
        .execute();
      expect(rows).toHaveLength(2);
    },
  );
});

interface Sender {
  readonly made: Prepared;
  readonly instanceId: string;
}

async function sender(name: string, settings: Record<string, unknown>): Promise<Sender> {
  const made = await prepare(name);
  const instanceId = v.parse(v.string(), await server.ask('instance', { ...made, settings }));
  return { made, instanceId };
}

/** The deliveries of a sender, once all have ended. */
async function deliveries(instanceId: string) {
  return until('the deliveries to end', async () => {
    const rows = await db()
      .selectFrom('deliveries')
      .select(['id', 'status', 'attempts', 'error_code', 'task_id'])
      .where('instance_id', '=', instanceId)
      .execute();
    return rows.length > 0 && rows.every(({ status }) => status !== 'queued') && rows;
  });
}

const invoice = (made: Prepared): Promise<unknown> => server.ask('invoice', { ...made, amountMinor: 1_250 });

const SIDES: readonly (readonly [string, Side, number])[] = [
  ['before it went out', 'request', 1],
  ['after it went out and before that was known', 'answer', 2],
];

describe('kill -9 of the server while a message is delivered', () => {
  it('before it was queued: it is queued and sent once', async () => {
    const { made, instanceId } = await sender('Pigeon', { api_url: gate.url });
    await dieWriting('deliveries', async () => invoice(made));
    expect(await deliveries(instanceId)).toMatchObject([{ status: 'sent', attempts: 1, error_code: null }]);
    expect(await asked('/send')).toBe(1);
  });

  it.each(SIDES)('%s: it is sent, and a second time is not silent', async (_when, side, times) => {
    const { made, instanceId } = await sender('Pigeon', { api_url: gate.url });
    const hold = gate.shut('POST /send', side);
    await invoice(made);
    await hold.reached;
    await killAndStart();
    hold.drop();
    expect(await deliveries(instanceId)).toMatchObject([{ status: 'sent', error_code: 'INTERRUPTED' }]);
    expect(await asked('/send')).toBe(times);
  });

  it('that a mail server had taken already: it is in doubt, and goes out no second time by itself', async () => {
    const { made, instanceId } = await sender('Email', {
      server: cloud.smtp.host,
      port: cloud.smtp.port,
      encryption: 'none',
      username: cloud.smtp.username,
      password: cloud.smtp.password,
      from_email: 'hello@acme.example',
      from_name: 'Acme',
    });
    const lost = { match: { method: 'SMTP', path: '/smtp/message' }, delayMs: 20_000 } as const;
    await cloud.control.addFault({ ...lost, kind: 'delay', when: 'after' });
    await invoice(made);
    await until('the mail to be taken', async () => (await cloud.control.mails()).length === 1);
    await killAndStart();
    expect(await deliveries(instanceId)).toMatchObject([{ status: 'in_doubt' }]);
    expect(await cloud.control.mails()).toHaveLength(1);
  });
});

describe('kill -9 of the server while a schedule is due', () => {
  const schedule = async ({ installationId }: Prepared) =>
    db()
      .selectFrom('schedules')
      .selectAll()
      .where('installation_id', '=', installationId)
      .executeTakeFirstOrThrow();
  const due = async (made: Prepared): Promise<void> => {
    const at = new Date(Date.now() - 1_000);
    await db()
      .updateTable('schedules')
      .set({ next_at: at })
      .where('installation_id', '=', made.installationId)
      .execute();
  };
  const ran = async (made: Prepared) => {
    const tasks = await until('the schedule’s task to end', async () => {
      const found = await ground.tasks(made.installationId);
      return found.length > 0 && found.every(({ finished_at }) => finished_at !== null) && found;
    });
    const { id, next_at } = await schedule(made);
    const runs = await db().selectFrom('schedule_runs').selectAll().where('schedule_id', '=', id).execute();
    expect(next_at.getTime()).toBeGreaterThan(Date.now());
    expect(runs).toMatchObject([{ task_id: tasks[0]?.id }]);
    return tasks;
  };

  it('while it is started: it is started once, after the next start', async () => {
    const made = await prepare('Works');
    await dieWriting('schedule_runs', async () => due(made));
    expect(await ran(made)).toMatchObject([{ method: 'work', status: 'completed' }]);
    expect(await asked('/work')).toBe(1);
  });

  it('while its task runs: the task is run again, and no second one is made', async () => {
    const made = await prepare('Works');
    const hold = gate.shut('GET /work', 'request');
    await due(made);
    await hold.reached;
    await killAndStart();
    hold.drop();
    expect(await ran(made)).toMatchObject([{ method: 'work', status: 'completed' }]);
    expect(await asked('/work')).toBe(1);
  });
});
