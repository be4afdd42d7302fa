/** The circuit breaker: who is paused, for what, and what ends it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { startHost, useTestHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { refusal, Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost();

/** Little processor time, so that a loop is over soon. */
const PERMISSIONS = { db: { tables: 1, storage_mb: 10 }, compute: { request_cpu_ms: 100 } };
const MEMBERS = `
  async activate() {
    await this.db.schema.createTable('notes').ifNotExists().addColumn('text', 'text').execute();
    await this.db.insertInto('notes').values({ text: 'activated' }).execute();
    return 'success';
  }
  async deactivate() { await this.db.insertInto('notes').values({ text: 'deactivated' }).execute(); return 'success'; }
  hello() { return 'hello'; }
  loop() { for (;;); }
  fail() { throw new Error('no harm done'); }
  async wait() { await new Promise((resolve) => setTimeout(resolve, 5_000)); return 'waited'; }
  async notes() { return (await this.db.selectFrom('notes').select('text').execute()).map((row) => row.text); }
`;

function source(name: string, version = '1.0.0'): ModuleSource {
  return { name, version, members: MEMBERS, manifest: { permissions: PERMISSIONS } };
}

async function kill(tenant: Tenant, name: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++)
    await expect(tenant.call(name, 'loop')).rejects.toMatchObject({ code: 'CPU_LIMIT' });
}

async function pausedReason(tenant: Tenant, name: string): Promise<string | null> {
  return (await tenant.installation(name)).paused_reason;
}

/** What an installation used, all minutes together. */
async function usage(tenant: Tenant, name: string) {
  return tenant.panel.db
    .selectFrom('usage_minutes')
    .select((e) => [
      e.fn.sum<string>('killed').$castTo<string>().as('killed'),
      e.fn.sum<string>('errors').$castTo<string>().as('errors'),
    ])
    .where('installation_id', '=', await tenant.installationId(name))
    .execute()
    .then((rows) => rows.map(({ killed, errors }) => ({ killed: Number(killed), errors: Number(errors) })));
}

beforeAll(async () => {
  for (const name of ['Looper', 'Beside', 'Spread', 'Old', 'Patient', 'Mended'])
    await host().publish(source(name));
});

describe('a version that is killed too often', () => {
  it('is paused with the reason and an alert, alone', async () => {
    const { a, b } = host();
    for (const [tenant, name] of [
      [a, 'Looper'],
      [a, 'Beside'],
      [b, 'Looper'],
    ] as const)
      await tenant.installed(name);
    await kill(a, 'Looper', LIMITS.breakerKills - 1);
    expect(await a.call('Looper', 'hello')).toBe('hello');
    await kill(a, 'Looper', 1);
    const used = await until('the kills to be written down', async () => {
      const [row] = await usage(a, 'Looper');
      return row?.killed === LIMITS.breakerKills && row;
    });
    expect(used).toMatchObject({ killed: LIMITS.breakerKills, errors: LIMITS.breakerKills });
    const reason = `Version 1.0.0 had to be stopped ${LIMITS.breakerKills} times within 10 minutes, at last in loop() with CPU_LIMIT.`;
    expect(await pausedReason(a, 'Looper')).toBe(reason);
    await expect(a.call('Looper', 'hello')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: `Product/Looper is paused: ${reason}`,
    });
    expect(await a.logs('Looper')).toContain(`host alert paused by the circuit breaker ${reason}`);
    expect(await a.call('Beside', 'hello')).toBe('hello');
    expect(await b.call('Looper', 'hello')).toBe('hello');
  });

  it('keeps its data, and is not asked to say good-bye', async () => {
    const { a } = host();
    expect((await a.tables('Looper')).map(({ table }) => table)).toEqual(['notes']);
    await a.panel.catalog.unpause(await a.installationId('Looper'), a.adminId);
    expect(await a.call('Looper', 'notes')).toEqual(['activated']);
  });

  it('runs again when a person says so, and is counted anew', async () => {
    const { a } = host();
    await kill(a, 'Looper', LIMITS.breakerKills - 1);
    expect(await pausedReason(a, 'Looper')).toBeNull();
    await kill(a, 'Looper', 1);
    expect(await pausedReason(a, 'Looper')).not.toBeNull();
  });

  it('is counted in all processes together, and paused in all', async () => {
    const { a, ground } = host();
    await a.installed('Spread');
    await using other = await startHost(ground);
    const there = new Tenant(other.bulkhead, a);
    await kill(a, 'Spread', LIMITS.breakerKills - 2);
    await kill(there, 'Spread', 2);
    expect(await pausedReason(a, 'Spread')).not.toBeNull();
    // The other process has said so; this one hears it in a moment.
    const refused = async () =>
      a.call('Spread', 'hello').then(
        () => false,
        (error: unknown) => error instanceof HostError && error.code === 'CONFLICT',
      );
    await until('this process to refuse it', refused);
  });
});

describe('what does not count', () => {
  it('are errors, and kills that are long ago', async () => {
    const { a, bulkhead } = host();
    await a.installed('Old');
    const { id, version_id } = await a.installation('Old');
    const at = new Date(Date.now() - LIMITS.breakerWindowMs - 1_000);
    for (let time = 0; time < LIMITS.breakerKills; time++) {
      await bulkhead.panel.db
        .insertInto('breaker_kills')
        .values({ installation_id: id, version_id, method: 'loop', code: 'CPU_LIMIT', at })
        .execute();
      await expect(a.call('Old', 'fail')).rejects.toMatchObject({ code: 'MODULE_ERROR' });
    }
    await kill(a, 'Old', 1);
    expect(await pausedReason(a, 'Old')).toBeNull();
  });

  it('is being interrupted by another’s kill', async () => {
    const { a, bulkhead } = host();
    await a.installed('Patient');
    for (let time = 0; time < LIMITS.breakerKills; time++) {
      const ended = refusal(async () => a.call('Patient', 'wait'));
      await expect.poll(() => bulkhead.sandbox.stats().some((runner) => runner.invocations > 0)).toBe(true);
      const runner = bulkhead.sandbox.stats().find(({ group }) => group === a.id);
      process.kill(runner?.pid ?? 0, 'SIGKILL');
      expect(await ended).toMatch(/^INTERRUPTED: /);
    }
    expect(await pausedReason(a, 'Patient')).toBeNull();
  });
});

describe('going back', () => {
  it('is refused while no earlier version is known', async () => {
    const { a } = host();
    await a.installed('Mended');
    await expect(a.panel.catalog.rollback(await a.installationId('Mended'), a.adminId)).rejects.toMatchObject(
      {
        code: 'CONFLICT',
      },
    );
  });

  it('puts the last good version in force and ends the pause', async () => {
    const { a, publish } = host();
    const id = await a.installationId('Mended');
    const bad = await publish(source('Mended', '1.1.0'));
    await a.update('Mended', bad.versionId);
    await a.enable('Mended');
    await kill(a, 'Mended', LIMITS.breakerKills);
    const worse = await publish(source('Mended', '1.2.0'));
    await a.update('Mended', worse.versionId);
    await a.enable('Mended');
    await kill(a, 'Mended', LIMITS.breakerKills);
    await a.panel.catalog.rollback(id, a.adminId);
    expect((await a.installation('Mended')).status).toBe('active');
    expect(await a.call('Mended', 'hello')).toBe('hello');
    const { version_id } = await a.installation('Mended');
    const { version } = await a.panel.db
      .selectFrom('module_versions')
      .select('version')
      .where('id', '=', version_id)
      .executeTakeFirstOrThrow();
    expect(version).toBe('1.0.0');
    expect(await a.call('Mended', 'notes')).toEqual(['activated']);
  });
});
