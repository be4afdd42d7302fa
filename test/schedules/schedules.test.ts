/** Schedules in a whole host: from module.json and from code, due, missed, overlapping, paused, and with two workers. */
import { afterAll, describe, expect, it } from 'vitest';
import { SCHEDULE_LIMITS } from '../../src/schedules/limits.ts';
import { runNow, tick } from '../../src/schedules/tick.ts';
import { useTestHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';

// No worker: what is queued stays queued, and the tests say what time it is.
const host = useTestHost();
const workers: { stop(): Promise<void> }[] = [];
afterAll(async () => void (await Promise.all(workers.map((worker) => worker.stop()))));

const MINUTE_MS = 60_000;
const members = `
  work() { return { status: 'success' }; }
  async plan(wanted) { return this.schedule(wanted); }
  async stop(method) { return this.tasks.unschedule(method); }`;

function scheduled(
  name: string,
  schedule: readonly object[],
  more: Partial<ModuleSource> = {},
): ModuleSource {
  return { name, type: 'Plugin', members, manifest: { permissions: { tasks: {} }, schedule }, ...more };
}

async function installed(source: ModuleSource): Promise<string> {
  await host().publish(source);
  return host().a.installed(source.name);
}

function schedules(installationId: string) {
  return host()
    .a.panel.db.selectFrom('schedules')
    .selectAll()
    .where('installation_id', '=', installationId)
    .orderBy('created_at')
    .execute();
}

async function only(installationId: string) {
  const [row] = await schedules(installationId);
  if (row === undefined) throw new Error('there is no schedule');
  return row;
}

function runs(scheduleId: string) {
  return host()
    .a.panel.db.selectFrom('schedule_runs')
    .select(['due_at', 'outcome', 'missed', 'task_id'])
    .where('schedule_id', '=', scheduleId)
    .orderBy('id')
    .execute();
}

async function tasks(installationId: string) {
  return host()
    .a.panel.db.selectFrom('tasks')
    .select(['method', 'status', 'tags'])
    .where('installation_id', '=', installationId)
    .execute();
}

async function set(scheduleId: string, values: { next_at?: Date; paused_at?: Date | null }): Promise<void> {
  await host().a.panel.db.updateTable('schedules').set(values).where('id', '=', scheduleId).execute();
}

describe('a schedule of module.json', () => {
  it('is there when the module is on, and is run once when due, however many look', async () => {
    const id = await installed(
      scheduled('Cron', [{ method: 'work', cron: '*/5 * * * *', title: 'Work', tags: ['metrics'] }]),
    );
    const row = await only(id);
    expect(row).toMatchObject({ source: 'manifest', method: 'work', cron: '*/5 * * * *', title: 'Work' });
    expect(row.next_at.getTime()).toBeGreaterThan(Date.now());
    expect(await tick(host().a.panel.db, new Date(row.next_at.getTime() - 1))).toBe(0);
    const moved = await Promise.all(Array.from({ length: 6 }, () => tick(host().a.panel.db, row.next_at)));
    expect(moved.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(await runs(row.id)).toMatchObject([{ due_at: row.next_at, outcome: 'queued', missed: 0 }]);
    expect(await tasks(id)).toEqual([{ method: 'work', status: 'queued', tags: ['metrics'] }]);
    expect((await only(id)).next_at.getTime()).toBe(row.next_at.getTime() + 5 * MINUTE_MS);
  });

  it('that was missed is made up for by one run, and that is recorded', async () => {
    const id = await installed(scheduled('Late', [{ method: 'work', cron: '*/5 * * * *' }]));
    const row = await only(id);
    const now = new Date(row.next_at.getTime() + 62 * MINUTE_MS);
    await tick(host().a.panel.db, now);
    expect(await runs(row.id)).toMatchObject([
      { outcome: 'caught_up', missed: 12, due_at: new Date(row.next_at.getTime() + 60 * MINUTE_MS) },
    ]);
    expect((await only(id)).next_at.getTime()).toBe(row.next_at.getTime() + 65 * MINUTE_MS);
    await tick(host().a.panel.db, now);
    expect(await runs(row.id)).toHaveLength(1);
  });

  it('whose last run is not over is left out, and that is recorded', async () => {
    const id = await installed(scheduled('Slow', [{ method: 'work', every: 60 }]));
    const row = await only(id);
    await tick(host().a.panel.db, row.next_at);
    await tick(host().a.panel.db, new Date(row.next_at.getTime() + MINUTE_MS));
    expect((await runs(row.id)).map(({ outcome }) => outcome)).toEqual(['queued', 'overlap']);
    expect(await tasks(id)).toHaveLength(1);
    expect(await runNow(host().a.panel.db, row.id, new Date())).toBe('overlap');
  });

  it('does not run while it is paused or its module is off, and makes up for nothing then', async () => {
    const id = await installed(scheduled('Off', [{ method: 'work', every: 60 }]));
    const row = await only(id);
    const later = new Date(Date.now() + 10 * MINUTE_MS);
    await host().a.panel.schedules.pause(row.id);
    await tick(host().a.panel.db, later);
    expect(await runs(row.id)).toEqual([]);
    await set(row.id, { next_at: new Date(Date.now() - 10 * MINUTE_MS) });
    await host().a.panel.schedules.resume(row.id);
    expect((await only(id)).next_at.getTime()).toBeGreaterThan(Date.now());
    await host().a.disable('Off');
    await set(row.id, { next_at: new Date(Date.now() - 10 * MINUTE_MS) });
    await tick(host().a.panel.db, new Date());
    await host().a.enable('Off');
    await tick(host().a.panel.db, new Date());
    expect(await runs(row.id)).toEqual([]);
  });

  it('is run now when a person wants it, and its next run stays', async () => {
    const id = await installed(scheduled('Now', [{ method: 'work', cron: '0 0 1 1 *' }]));
    const row = await only(id);
    await host().a.panel.schedules.runNow(row.id);
    expect(await runs(row.id)).toMatchObject([{ outcome: 'manual' }]);
    expect((await only(id)).next_at).toEqual(row.next_at);
    expect(await refusal(() => host().a.panel.schedules.runNow(row.id))).toMatch(/^CONFLICT/);
  });

  it('follows the version: what a new one drops is gone, what it keeps goes on', async () => {
    const both = [
      { method: 'work', every: 60 },
      { method: 'work', every: 60, tags: ['other'] },
    ];
    const id = await installed(scheduled('Moves', both));
    expect(await schedules(id)).toHaveLength(2);
    const { versionId } = await host().publish({ ...scheduled('Moves', both.slice(1)), version: '1.1.0' });
    await host().a.update('Moves', versionId);
    await host().a.enable('Moves');
    expect((await schedules(id)).map(({ tags }) => tags)).toEqual([['other']]);
  });

  it.each([
    ['a method that is not there', { method: 'nothing', every: 60 }, /"nothing" is not a method/],
    ['what only the host calls', { method: 'activate', every: 60 }, /"activate" is not a method/],
    ['a time that never comes', { method: 'work', cron: '0 0 31 2 *' }, /no time that ever comes/],
    ['both times', { method: 'work', cron: '* * * * *', every: 60 }, /either cron or every/],
    ['too often', { method: 'work', every: 1 }, /at least 10 seconds/],
  ])('is refused for %s', async (_what, schedule, said) => {
    expect(await refusal(() => host().publish(scheduled('Refused', [schedule])))).toMatch(said);
  });

  it('is refused without permission to run jobs', async () => {
    const source = { ...scheduled('Refused', []), manifest: { schedule: [{ method: 'work', every: 60 }] } };
    expect(await refusal(() => host().publish(source))).toMatch(/add "tasks" to permissions/);
  });
});

describe('this.schedule', () => {
  it('stands for Task::add with the tag recurring: asked again, it changes its times (A14)', async () => {
    const id = await installed(scheduled('Code', []));
    const wanted = { method: 'work', tags: ['recurring'], every: 60 };
    const first = await host().a.call('Code', 'plan', wanted);
    const again = await host().a.call('Code', 'plan', wanted);
    expect(again).toEqual(first);
    await host().a.call('Code', 'plan', { ...wanted, every: 120 });
    expect(await schedules(id)).toMatchObject([{ source: 'module', every_s: 120, tags: ['recurring'] }]);
    await host().a.call('Code', 'stop', 'work');
    expect(await schedules(id)).toEqual([]);
  });

  it('in activate() counts only if that succeeds', async () => {
    const activate = `async activate() {
      await this.schedule({ method: 'work', every: 60 });
      return this.config('fail') ? 'error: not today' : 'success';
    }`;
    const settings = [{ key: 'fail', type: 'switch', title: 'Fail', default: true }];
    const source = scheduled('Active', []);
    await host().publish({
      ...source,
      members: members + activate,
      manifest: { ...source.manifest, settings },
    });
    const { installationId } = await host().a.install('Active');
    await host().a.grant('Active');
    await host()
      .a.enable('Active')
      .catch(() => undefined);
    expect(await schedules(installationId)).toEqual([]);
    await host().a.saveSettings('Active', { fail: false });
    await host().a.enable('Active');
    expect(await schedules(installationId)).toHaveLength(1);
  });

  it.each([
    ['what only the host calls', { method: 'activate', every: 60 }, /^BAD_INPUT/],
    ['a method that is not there', { method: 'nothing', every: 60 }, /^NO_METHOD/],
    ['neither time', { method: 'work' }, /^BAD_INPUT/],
    ['a time that never comes', { method: 'work', cron: '0 0 30 2 *' }, /^BAD_INPUT/],
  ])('refuses %s', async (_what, wanted, said) => {
    expect(await refusal(() => host().a.call('Code', 'plan', wanted))).toMatch(said);
  });

  it('is bounded in number', async () => {
    await host().publish(scheduled('Greedy', []));
    const id = await host().a.installed('Greedy');
    const plan = (n: number) => host().a.call('Greedy', 'plan', { method: 'work', every: 60, params: { n } });
    for (let n = 0; n < 20; n++) await plan(n);
    expect(await refusal(() => plan(20))).toMatch(/^LIMIT/);
    expect(await schedules(id)).toHaveLength(20);
  });
});

describe('schedules of a module that lost the permission to run jobs', () => {
  const without = { without: ['tasks.concurrency', 'tasks.per_minute'] };
  const loser: Partial<ModuleSource> = {
    manifest: { permissions: { tasks: { optional: true, reason: 'To work by itself.' } } },
  };

  it('are held, those of its code too, and go on from then when it is granted again', async () => {
    const id = await installed(scheduled('Loser', [], loser));
    await host().a.call('Loser', 'plan', { method: 'work', every: 60 });
    const row = await only(id);
    await host().a.grant('Loser', without);
    const late = new Date(row.next_at.getTime() + 10 * MINUTE_MS);
    await tick(host().a.panel.db, late);
    expect(await runs(row.id)).toEqual([]);
    expect(await refusal(() => host().a.panel.schedules.runNow(row.id))).toMatch(/^NOT_GRANTED/);
    await set(row.id, { next_at: new Date(Date.now() - 10 * MINUTE_MS) });
    await host().a.grant('Loser');
    // What was due meanwhile is not made up for.
    await tick(host().a.panel.db, new Date());
    expect(await runs(row.id)).toEqual([]);
    await tick(host().a.panel.db, (await only(id)).next_at);
    expect(await runs(row.id)).toMatchObject([{ outcome: 'queued', missed: 0 }]);
  });
});

describe('missed moments', () => {
  it('are counted up to a bound, and made up for by one run all the same', async () => {
    const id = await installed(scheduled('Years', [{ method: 'work', every: 10 }]));
    const row = await only(id);
    await tick(host().a.panel.db, new Date(row.next_at.getTime() + 3 * 365 * 86_400_000));
    expect(await runs(row.id)).toMatchObject([
      { outcome: 'caught_up', missed: SCHEDULE_LIMITS.missedCounted },
    ]);
    expect(await tasks(id)).toHaveLength(1);
  });
});

describe('two workers', () => {
  it('run each due moment once', async () => {
    const many = Array.from({ length: 15 }, (_, n) => ({ method: 'work', every: 3_600, tags: [`n${n}`] }));
    const id = await installed(scheduled('Many', many));
    const rows = await schedules(id);
    await host()
      .a.panel.db.updateTable('schedules')
      .set({ next_at: new Date() })
      .where('installation_id', '=', id)
      .execute();
    workers.push(await host().bulkhead.startWorker(), await host().bulkhead.startWorker());
    await until('every task to be done', async () => {
      const all = await tasks(id);
      return all.length >= rows.length && all.every(({ status }) => status === 'completed');
    });
    expect(await tasks(id)).toHaveLength(rows.length);
    for (const row of rows) expect((await runs(row.id)).map(({ outcome }) => outcome)).toEqual(['queued']);
  });
});

describe('a schedule that cannot be started', () => {
  it('stops no other, and is looked at again later', async () => {
    const bad = await only(await installed(scheduled('Poison', [{ method: 'work', cron: '*/5 * * * *' }])));
    const goodId = await installed(scheduled('Behind', [{ method: 'work', cron: '*/5 * * * *' }]));
    const good = await only(goodId);
    // A time that an older host could read and this one cannot.
    await host()
      .a.panel.db.updateTable('schedules')
      .set({ cron: 'no time', next_at: new Date(good.next_at.getTime() - MINUTE_MS) })
      .where('id', '=', bad.id)
      .execute();
    const said: string[] = [];
    await tick(host().a.panel.db, good.next_at, (_level, message) => said.push(message));
    expect(await runs(good.id)).toMatchObject([{ outcome: 'queued' }]);
    expect(said).toContainEqual(expect.stringContaining(bad.id));
    const again = (await only(bad.installation_id)).next_at;
    expect(again.getTime()).toBeGreaterThan(good.next_at.getTime());
  });
});
