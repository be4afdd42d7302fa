/**
 * kill -9 of the server at each checkpoint of each flow of an installation's life. Afterwards the next start finishes what was begun, no
 * flow is left running, the module's own tables and seeds are there once, what it queued ran once, nothing is left of a purged
 * one, no process and no folder remains, and the admin can go on.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { connectHost } from '../../src/database/connect.ts';
import type { ModuleSource } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { FaultGround } from './ground.ts';
import { matrix } from './matrix.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const DURABLE: ModuleSource = {
  name: 'Durable',
  manifest: {
    permissions: { db: { tables: 5, storage_mb: 10 }, tasks: { concurrency: 2, per_minute: 100 } },
  },
  members: `
    async table(name) {
      await this.db.schema.createTable(name).ifNotExists().addColumn('text', 'text', (c) => c.primaryKey()).execute();
    }
    async seed(...texts) {
      for (const text of texts)
        await this.db.insertInto('seeds').values({ text }).onConflict((c) => c.doNothing()).execute();
    }
    async activate() {
      await this.table('seeds');
      await this.table('runs');
      await this.seed('a', 'b');
      await this.tasks.add({ method: 'noteJob', params: { text: 'activated' } });
      return 'success';
    }
    async update() {
      await this.table('more');
      await this.seed('c');
      await this.tasks.add({ method: 'noteJob', params: { text: 'updated' } });
      return 'success';
    }
    async noteJob({ text }) {
      await this.db.insertInto('runs').values({ text }).onConflict((c) => c.doNothing()).execute();
    }
    async look() {
      const texts = async (table) =>
        (await this.db.selectFrom(table).select('text').execute()).map(({ text }) => text).sort();
      return { version: this.module_version, seeds: await texts('seeds'), runs: await texts('runs') };
    }`,
};

const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });
type Prepared = v.InferOutput<typeof Prepared>;

let ground: FaultGround;
let server: ServerProcess;
let versions: string[];

beforeAll(async () => {
  ground = await FaultGround.open();
  versions = await ground.publish(DURABLE, { ...DURABLE, version: '2.0.0' });
  server = await ground.start();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await ground?.[Symbol.asyncDispose]();
});

async function prepare(): Promise<Prepared> {
  return v.parse(Prepared, await server.ask('prepare', { name: DURABLE.name, versionId: versions[0] }));
}

async function enabled(): Promise<Prepared> {
  const made = await prepare();
  await server.ask('enable', made);
  await ran(made.installationId, 'activated');
  return made;
}

/**
 * Waits until all of its tasks have ended, and looks that these were there, once each. A job that the kill found running may have run
 * again; its task is one all the same.
 */
async function ran(installationId: string, ...wanted: string[]): Promise<void> {
  const tasks = await until('the tasks to end', async () => {
    const found = await ground.tasks(installationId);
    return found.length >= wanted.length && found.every((task) => task.finished_at !== null) && found;
  });
  // A twin that an interrupted write left is told as a duplicate, and does not run.
  const run = tasks.filter(({ status }) => status !== 'duplicate');
  expect(run.map(({ params, status }) => `${JSON.stringify(params)} ${status}`)).toEqual(
    wanted.map((text) => `${JSON.stringify({ text })} completed`),
  );
}

const look = (made: Prepared): Promise<unknown> =>
  server.ask('call', { ...made, method: 'look', params: [] });

async function dieAndStart(checkpoint: string, op: string, args: unknown): Promise<void> {
  await server.dieIn(checkpoint, op, args);
  server = await ground.start();
}

/** Nothing is under way any more, and there is one installation. */
async function settled(made: Prepared, flows: readonly string[]) {
  await until('the flow to end', async () =>
    (await ground.flowStatuses(made.installationId)).every((status) => !status.endsWith('running')),
  );
  expect(await ground.flowStatuses(made.installationId)).toEqual(flows);
  const rows = await ground.installations(made.installationId);
  expect(rows).toHaveLength(1);
  expect(ground.stages()).toEqual([expect.stringContaining(`-${server.pid}-`)]);
  expect(server.said).not.toMatch(/^(error|warning):/m);
  return rows[0];
}

const MOMENTS = ['before', 'done', 'writing', 'saved'];
const points = (...steps: string[]): string[] =>
  steps.flatMap((step) => MOMENTS.map((at) => `${step}:${at}`));

describe('a server that is killed with -9 while it enables a module, at', () => {
  it.each(
    matrix(points('enable.schema', 'enable.activate'), [
      'enable.schema:done',
      'enable.activate:before',
      'enable.activate:done',
      'enable.activate:writing',
      'enable.activate:saved',
    ]),
  )('%s, has it enabled once after the next start', async (checkpoint) => {
    const made = await prepare();
    await dieAndStart(checkpoint, 'enable', made);
    expect(await settled(made, ['enable done'])).toMatchObject({ status: 'active', status_reason: null });
    await ran(made.installationId, 'activated');
    expect(await look(made)).toEqual({ version: '1.0.0', seeds: ['a', 'b'], runs: ['activated'] });
    await server.ask('disable', made);
    await server.ask('enable', made);
    expect(await look(made)).toMatchObject({ seeds: ['a', 'b'] });
  });
});

/** What update() queues is not written in that transaction: a kill within it makes a running module queue it again. */
const UPDATE_POINTS = points('update.schema', 'update.update').filter((at) => at !== 'update.update:writing');

describe('a server that is killed with -9 while it updates a module, at', () => {
  it.each(matrix(UPDATE_POINTS, ['update.update:before', 'update.update:done', 'update.update:saved']))(
    '%s, has the new version in force after the next start',
    async (checkpoint) => {
      const made = await enabled();
      await server.ask('choose', { ...made, versionId: versions[1] });
      await dieAndStart(checkpoint, 'enable', made);
      expect(await settled(made, ['enable done', 'update done'])).toMatchObject({
        status: 'active',
        version_id: versions[1],
        pending_version_id: null,
      });
      await ran(made.installationId, 'activated', 'updated');
      expect(await look(made)).toEqual({
        version: '2.0.0',
        seeds: ['a', 'b', 'c'],
        runs: ['activated', 'updated'],
      });
    },
  );
});

describe('a server that is killed with -9 while it switches a module off, at', () => {
  it.each(
    matrix(points('disable.deactivate', 'disable.pools'), [
      'disable.deactivate:done',
      'disable.pools:before',
    ]),
  )('%s, has it off after the next start, with its data', async (checkpoint) => {
    const made = await enabled();
    await dieAndStart(checkpoint, 'disable', made);
    expect(await settled(made, ['enable done', 'disable done'])).toMatchObject({
      status: 'inactive',
      status_reason: null,
    });
    await expect(look(made)).rejects.toMatchObject({ code: 'CONFLICT' });
    await server.ask('enable', made);
    expect(await look(made)).toMatchObject({ seeds: ['a', 'b'] });
  });
});

describe('a server that is killed with -9 while it purges a module, at', () => {
  it.each(matrix(points('purge.module', 'purge.drop'), ['purge.module:saved', 'purge.drop:done']))(
    '%s, leaves neither schema nor role after the next start',
    async (checkpoint) => {
      const made = await enabled();
      await server.ask('disable', made);
      await dieAndStart(checkpoint, 'purge', made);
      expect(await settled(made, ['enable done', 'disable done', 'purge done'])).toMatchObject({
        status: 'inactive',
        schema_name: null,
      });
      expect(await ground.leftInPostgres(made.installationId)).toEqual([]);
      await server.ask('enable', made);
      expect(await look(made)).toMatchObject({ seeds: ['a', 'b'] });
    },
  );
});

describe('a server that is killed with -9 while it installs a module', () => {
  it('has installed it or not, and it can be installed', async () => {
    const made = v.parse(Prepared, await server.ask('prepare', { name: DURABLE.name }));
    const { db } = ground.ground.host;
    await db.deleteFrom('installations').where('id', '=', made.installationId).execute();
    const blocker = connectHost(ground.ground.host.admin, { max: 1, applicationName: 'blocker' });
    await blocker.sql.unsafe('begin; lock table installations in share mode');
    const installing = server.ask('install', made).catch(() => undefined);
    const waiting = async () => blocker.sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    const [stuck] = await until('the insert to wait', async () => {
      const found = await waiting();
      return found.length > 0 && found;
    });
    await server.kill();
    await installing;
    // PostgreSQL would still do what a dead process has asked for.
    await blocker.sql`select pg_terminate_backend(${stuck?.pid ?? 0})`;
    await blocker.sql.unsafe('rollback');
    await blocker.close();
    server = await ground.start();
    const rows = async () =>
      db
        .selectFrom('installations as installation')
        .innerJoin('tenants as tenant', 'tenant.id', 'installation.tenant_id')
        .select('installation.status')
        .where('tenant.slug', '=', made.slug)
        .execute();
    expect(await rows()).toEqual([]);
    await server.ask('install', made);
    expect(await rows()).toEqual([{ status: 'inactive' }]);
  });
});

describe('a sandbox process that is killed with -9', () => {
  it('between two steps of a flow is replaced, and the flow goes on', async () => {
    const made = await prepare();
    await server.ask('strike', 'enable.activate:before');
    await server.ask('enable', made);
    expect(await settled(made, ['enable done'])).toMatchObject({ status: 'active' });
    expect(await look(made)).toMatchObject({ seeds: ['a', 'b'] });
  });
});
