import { describe, expect, it } from 'vitest';
import { createRecorder } from '../../src/catalog/recorder.ts';
import { install, useQueueDatabase } from '../jobs/fixture.ts';

const host = useQueueDatabase();

describe('the recorder', () => {
  it('writes what happened in one batch, stamped with when it happened', async () => {
    const faults: unknown[] = [];
    const { tenantId, installationId } = await install(host().db);
    const recorder = createRecorder(host().db, (fault) => faults.push(fault));
    const before = new Date();
    recorder.log({ tenant_id: tenantId, installation_id: installationId, level: 'info', action: 'first' });
    const after = new Date();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await recorder.close();
    const rows = await host()
      .db.selectFrom('logs')
      .selectAll()
      .where('installation_id', '=', installationId)
      .execute();
    expect(rows).toHaveLength(1);
    expect(rows[0]?.at.getTime()).toBeGreaterThanOrEqual(before.getTime());
    expect(rows[0]?.at.getTime()).toBeLessThanOrEqual(after.getTime());
    expect(faults).toEqual([]);
  });

  it('does not lose a batch to one line that PostgreSQL cannot hold', async () => {
    const faults: unknown[] = [];
    const [mine, other] = [await install(host().db), await install(host().db)];
    const recorder = createRecorder(host().db, (fault) => faults.push(fault));
    recorder.log({
      tenant_id: other.tenantId,
      installation_id: other.installationId,
      level: 'info',
      action: 'innocent',
    });
    recorder.log({
      tenant_id: mine.tenantId,
      installation_id: mine.installationId,
      level: 'info',
      action: 'a\0b',
      request: { text: 'c\0d', half: '\ud800' },
    });
    await recorder.close();
    const rows = await host()
      .db.selectFrom('logs')
      .select('action')
      .where('installation_id', 'in', [mine.installationId, other.installationId])
      .execute();
    expect(rows).toHaveLength(2);
    expect(faults).toEqual([]);
  });

  it('adds up use by minute and by grant', async () => {
    const { installationId } = await install(host().db);
    const recorder = createRecorder(host().db, () => undefined);
    for (let round = 0; round < 3; round++) {
      recorder.usage(installationId, { invocations: 1, cpuUs: 100, errors: round === 2 ? 1 : 0 });
      recorder.grantUse(installationId, 'http.hosts:a.example.com', 'used');
      await recorder.flush();
    }
    await recorder.close();
    const usage = await host()
      .db.selectFrom('usage_minutes')
      .selectAll()
      .where('installation_id', '=', installationId)
      .execute();
    expect(usage.reduce((sum, row) => sum + row.invocations, 0)).toBe(3);
    expect(usage.reduce((sum, row) => sum + row.cpu_us, 0)).toBe(300);
    expect(usage.reduce((sum, row) => sum + row.errors, 0)).toBe(1);
    expect(
      await host()
        .db.selectFrom('grant_use')
        .select('uses')
        .where('installation_id', '=', installationId)
        .executeTakeFirst(),
    ).toEqual({ uses: 3 });
  });
});
