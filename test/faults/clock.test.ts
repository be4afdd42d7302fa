/**
 * The machine's clock, put forward and back under a running host: what a module may still do is bounded as before, nothing that waits is
 * lost or run twice, and nobody's storage goes unmeasured.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import type { ModuleSource } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { FaultGround } from './ground.ts';
import type { ServerProcess } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const DAY_MS = 86_400_000;
const TIMED: ModuleSource = {
  name: 'Timed',
  manifest: { permissions: { db: { tables: 1, storage_mb: 1 }, tasks: { concurrency: 1 } } },
  members: `
    async activate() {
      await this.db.schema.createTable('runs').ifNotExists().addColumn('name', 'text').execute();
      return 'success';
    }
    hello() { return 'hello'; }
    loop() { for (;;); }
    async later(name) { await this.tasks.add({ method: 'noteJob', params: { name }, delay: 1 }); }
    async noteJob({ name }) { await this.db.insertInto('runs').values({ name }).execute(); return { status: 'success' }; }
    async runs() { return (await this.db.selectFrom('runs').select('name').execute()).map(({ name }) => name); }
    async fill() {
      for (let row = 0; row < 100; row += 1) {
        let name = '';
        while (name.length < 40_000) name += Math.random().toString(36).slice(2);
        await this.db.insertInto('runs').values({ name }).execute();
      }
    }`,
};
const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });

let ground: FaultGround;
let server: ServerProcess;

beforeAll(async () => {
  ground = await FaultGround.open();
  await ground.publish(TIMED);
  server = await ground.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
});

describe.each([
  ['forward', DAY_MS],
  ['back', -DAY_MS],
])('a clock that is put a day %s', (_name, byMs) => {
  it('leaves calls answered, loops ended, delayed tasks run once and storage bounded', async () => {
    await server.ask('jump', 0);
    const made = v.parse(Prepared, await server.ask('prepare', { name: TIMED.name }));
    await server.ask('enable', made);
    const call = (method: string, ...params: unknown[]): Promise<unknown> =>
      server.ask('call', { ...made, method, params });
    await call('later', 'before');
    const looping = call('loop').then(
      () => 'ended well',
      (error: unknown) => String(error),
    );
    await server.ask('jump', byMs);
    expect(await looping).toMatch(/2000 ms without a pause/);
    expect(await call('hello')).toBe('hello');
    await call('later', 'after');
    await until('both tasks to have run', async () => {
      const tasks = await ground.tasks(made.installationId);
      return tasks.length === 2 && tasks.every(({ status }) => status === 'completed');
    });
    expect(await call('runs')).toEqual(['before', 'after']);
    await expect(call('fill')).rejects.toThrow(/1 MB granted are full/);
  });
});
