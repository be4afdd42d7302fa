/** kill -9 of the server while a module is asked to make what was ordered: the order is there, and the next server has it made, once. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { type FakeCloud, spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { ModuleSource } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { Gate } from './gate.ts';
import { FaultGround } from './ground.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const MAKER: ModuleSource = {
  name: 'Maker',
  manifest: {
    settings: [{ key: 'api_url', type: 'text', title: 'API address', required: true }],
    permissions: {
      http: { hosts: ['{settings.api_url}'], methods: ['GET'] },
      tasks: { concurrency: 2, per_minute: 100 },
    },
  },
  members: `
    saveServiceData(data) { return { status: 'success', data }; }
    async create() {
      await fetch(this.config('api_url') + '/making');
      return super.create();
    }
    createJob() { return { status: 'success' }; }`,
};
const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });

let ground: FaultGround;
let cloud: FakeCloud;
let gate: Gate;
let server: ServerProcess;

beforeAll(async () => {
  ground = await FaultGround.open();
  cloud = await spawnFakeCloud({});
  gate = await Gate.to(cloud.cloud);
  await ground.publish(MAKER);
  server = await ground.start();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await ground?.[Symbol.asyncDispose]();
});

it('an order whose server died before its module had answered is made by the next one, once', async () => {
  const settings = { api_url: gate.url };
  const wanted = { name: MAKER.name, ports: [gate.port], settings };
  const made = v.parse(Prepared, await server.ask('prepare', wanted));
  await server.ask('enable', made);
  const hold = gate.shut('GET /making', 'request');
  const ordered = server.ask('order', { ...made, product: {}, data: {} }).catch(() => 'lost');
  await hold.reached;
  await server.kill();
  hold.drop();
  expect(await ordered).toBe('lost');
  const { db } = ground.ground.host;
  const service = () =>
    db
      .selectFrom('services')
      .selectAll()
      .where('installation_id', '=', made.installationId)
      .executeTakeFirstOrThrow();
  expect(await service()).toMatchObject({ status: 'pending', host_acts_at: expect.any(Date) });
  // A minute later.
  await db
    .updateTable('services')
    .set({ host_acts_at: new Date(0) })
    .where('installation_id', '=', made.installationId)
    .execute();
  server = await ground.start();
  await until('it to run', async () => (await service()).status === 'active');
  const tasks = await ground.tasks(made.installationId);
  expect(tasks.map(({ method }) => method)).toEqual(['createJob']);
});
