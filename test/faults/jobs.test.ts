/**
 * kill -9 in the middle of a job with steps: of the sandbox process, of the worker, and of the server that runs both. Whatever was being
 * done, the cloud's ledger shows each effect once, and the service becomes active; a step that cannot find out whether its request
 * had its effect waits for a person.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { connectHost } from '../../src/database/connect.ts';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { ModuleSource } from '../support/modules.ts';
import { shippedFolder } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { Gate, type Hold, type Side } from './gate.ts';
import { FaultGround } from './ground.ts';
import { matrix } from './matrix.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const VPS = {
  product: {
    cpu_cores: 1,
    ram_mb: 1024,
    disk_gb: 25,
    bandwidth_gb: 1000,
    location: 'us-east-1',
    backup_enabled: false,
  },
  data: { hostname: 'web.example.com', image_id: 'debian-12' },
};

/** Two steps with one request each, something that is no step between them, and a callback that asks as well. */
const TWICE: ModuleSource = {
  name: 'Twice',
  manifest: {
    permissions: {
      http: { hosts: ['{settings.api_url}'], methods: ['GET', 'POST'] },
      secrets: { api_key: { title: 'API key', hosts: ['{settings.api_url}'] } },
      tasks: { concurrency: 2, per_minute: 100 },
    },
    settings: [
      { key: 'api_url', type: 'text', title: 'API address', required: true },
      { key: 'api_key', type: 'secret', title: 'API key' },
    ],
  },
  members: `
    ask(method, path, body) {
      return fetch(this.config('api_url') + path, {
        method,
        headers: { authorization: 'Bearer ' + this.secret('api_key'), 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    }
    async createJob() {
      const make = (name) => this.step(name, async () => {
        const answer = await this.ask('POST', '/v2/droplets', { name, region: 'us-east-1', size: 's-1vcpu-1gb', image: 'debian-12' });
        return (await answer.json()).droplet.id;
      });
      const first = await make('first');
      await this.ask('GET', '/v2/account');
      const second = await make('second');
      return { status: 'success', data: [first, second] };
    }
    async createCallback() { await this.ask('GET', '/v2/regions'); }`,
};

const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });
type Prepared = v.InferOutput<typeof Prepared>;

let ground: FaultGround;
let cloud: FakeCloud;
let gate: Gate;
let server: ServerProcess;
/** A process that only works, beside one that only serves. */
let worker: ServerProcess | undefined;

beforeAll(async () => {
  ground = await FaultGround.open();
  cloud = await spawnFakeCloud({ provisioningMs: 0, actionMs: 0 });
  gate = await Gate.to(cloud.cloud);
  await ground.publishFolder(shippedFolder('Product/VPSHosting'));
  await ground.publish(TWICE);
  server = await ground.start();
});
afterAll(async () => {
  await worker?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await ground?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await cloud.control.reset();
});

async function prepare(name: string): Promise<Prepared> {
  const quick = name === 'VPSHosting' ? { status_check_delay: 0.2, status_check_limit: 20 } : {};
  const settings = { api_url: gate.url, api_key: cloud.cloudToken, ...quick };
  const made = v.parse(Prepared, await server.ask('prepare', { name, ports: [gate.port], settings }));
  await server.ask('enable', made);
  return made;
}

async function order(made: Prepared): Promise<string> {
  const what = made.name === 'Twice' ? { product: {}, data: {} } : VPS;
  return v.parse(v.string(), await server.ask('order', { ...made, ...what }));
}

async function service(id: string) {
  const { db } = ground.ground.host;
  return db.selectFrom('services').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

async function active(serviceId: string): Promise<void> {
  await until('the service to be active', async () => (await service(serviceId)).status === 'active');
}

async function createTask(made: Prepared) {
  const task = (await ground.tasks(made.installationId)).find(({ method }) => method === 'createJob');
  if (task === undefined) throw new Error('there is no createJob');
  return task;
}

async function attempts(made: Prepared): Promise<(string | null)[]> {
  return ground.attempts((await createTask(made)).id);
}

/** Everything has come to rest: no task is open, no job is left, and nobody is in the queue's list who is dead. */
async function settled(made: Prepared): Promise<void> {
  await until('the tasks to end', async () =>
    (await ground.tasks(made.installationId)).every(({ finished_at }) => finished_at !== null),
  );
  await until('no job to be left', async () => (await ground.jobsLeft()) === 0);
}

type Victim = 'runner' | 'worker' | 'server';

/** Kills it and starts it again. @param between what happens before its next start */
async function kill(victim: Victim, between = async (): Promise<void> => undefined): Promise<void> {
  if (victim === 'runner') {
    const host = worker ?? server;
    const pids = v.parse(v.array(v.number()), await host.ask('runners'));
    if (pids.length === 0) throw new Error('there is no sandbox process to kill');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await between();
  } else if (victim === 'worker') {
    await worker?.kill();
    await between();
    worker = await ground.start({ serve: false });
  } else {
    await server.kill();
    await between();
    server = await ground.start();
  }
}

async function killAt(hold: Hold, victim: Victim): Promise<void> {
  await hold.reached;
  await kill(victim);
  hold.drop();
}

/** Where the job is when it is struck: what it is doing, and on which side of the effect. */
const MOMENTS: readonly (readonly [string, string, Side])[] = [
  ['before its request was sent', 'POST /v2/droplets', 'request'],
  ['after its effect and before its answer', 'POST /v2/droplets', 'answer'],
];

describe.each(['server', 'worker', 'runner'] as const)(
  'kill -9 of the %s during VPS Hosting’s createJob',
  (victim) => {
    beforeAll(async () => {
      if (victim !== 'worker') return;
      await server.stop();
      server = await ground.start({ work: false });
      worker = await ground.start({ serve: false });
    });
    afterAll(async () => {
      if (victim !== 'worker') return;
      await worker?.stop();
      worker = undefined;
      await server.stop();
      server = await ground.start();
    });

    it.each(MOMENTS)('%s makes one server, and the service active', async (_moment, match, side) => {
      const made = await prepare('VPSHosting');
      const hold = gate.shut(match, side);
      const serviceId = await order(made);
      await killAt(hold, victim);
      await active(serviceId);
      await settled(made);
      expect(await cloud.control.effects('droplet.created')).toHaveLength(1);
      expect(await cloud.control.droplets()).toHaveLength(1);
      expect(await attempts(made)).toEqual(['interrupted', 'completed']);
    });
  },
);

/** Requests of the cloud's ledger that a customer would be billed for. */
async function posts(): Promise<number> {
  return (await cloud.control.requests()).filter(({ method }) => method === 'POST').length;
}

describe.each(matrix<Victim>(['server', 'runner'], ['server']))(
  'kill -9 of the %s during a job of two steps',
  (victim) => {
    it('between them does not do the first again', async () => {
      const made = await prepare('Twice');
      const hold = gate.shut('GET /v2/account', 'request');
      const serviceId = await order(made);
      await killAt(hold, victim);
      await active(serviceId);
      await settled(made);
      expect([await posts(), (await cloud.control.droplets()).length]).toEqual([2, 2]);
      expect(await attempts(made)).toEqual(['interrupted', 'completed']);
    });

    it('when the answer is in the journal and the step not finished asks nobody again', async () => {
      const made = await prepare('Twice');
      const hold = gate.shut('POST /v2/droplets', 'answer');
      const serviceId = await order(made);
      await hold.reached;
      await using blocked = await blockSteps();
      hold.open();
      await blocked.stuck;
      await kill(victim, blocked.release);
      await active(serviceId);
      await settled(made);
      expect([await posts(), (await cloud.control.droplets()).length]).toEqual([2, 2]);
      expect(await attempts(made)).toEqual(['interrupted', 'completed']);
    });

    it('in what follows its end runs only that again', async () => {
      const made = await prepare('Twice');
      const hold = gate.shut('GET /v2/regions', 'answer');
      const serviceId = await order(made);
      await killAt(hold, victim);
      await active(serviceId);
      await settled(made);
      expect([await posts(), (await cloud.control.droplets()).length]).toEqual([2, 2]);
      expect(await attempts(made)).toEqual(['completed']);
    });

    it('when nobody can find out whether it took effect waits for a person', async () => {
      const made = await prepare('Twice');
      const hold = gate.shut('POST /v2/droplets', 'answer');
      const serviceId = await order(made);
      await killAt(hold, victim);
      await settled(made);
      const task = await createTask(made);
      expect(task).toMatchObject({ status: 'failed', error: { code: 'STEP_IN_DOUBT' } });
      expect(await attempts(made)).toEqual(['interrupted', 'error']);
      expect([await posts(), (await service(serviceId)).status]).toEqual([1, 'pending']);
      const [droplet] = await cloud.control.droplets();
      await server.ask('markDone', {
        taskId: task.id,
        step: 'first',
        value: droplet?.['id'],
        accountId: made.installationId,
      });
      await active(serviceId);
      await settled(made);
      expect([await posts(), (await cloud.control.droplets()).length]).toEqual([2, 2]);
    });
  },
);

/** Keeps steps from being finished, as a slow database would. */
async function blockSteps() {
  const { admin } = ground.ground.host;
  const blocker = connectHost(admin, { max: 1, applicationName: 'blocker' });
  const looker = connectHost(admin, { max: 1, applicationName: 'looker' });
  await blocker.sql.unsafe('begin; lock table steps in share row exclusive mode');
  const waiting = async () => looker.sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like 'update "steps"%'`;
  const stuck = until('the step’s end to wait', async () => (await waiting()).length > 0);
  // PostgreSQL would go on with what a dead process has asked for as soon as it gets the lock.
  const release = async (): Promise<void> => {
    for (const { pid } of await waiting()) await looker.sql`select pg_terminate_backend(${pid})`;
    await blocker.sql.unsafe('rollback');
  };
  const close = async (): Promise<void> => {
    await Promise.all([blocker.close(), looker.close()]);
  };
  return { stuck, release, [Symbol.asyncDispose]: close };
}
