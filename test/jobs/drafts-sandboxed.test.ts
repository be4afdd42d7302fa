import { describe, expect, it } from 'vitest';

import { JOB_LIMITS } from '../../src/jobs/limits.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { getTask, listAttempts } from '../../src/jobs/read.ts';
import { useTestHost } from '../support/host.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

const MODULE = {
  name: 'Quiet',
  manifest: { permissions: { tasks: { concurrency: 1, per_minute: 100 } } },
  members: `
    async quietJob() { return { status: 'success' }; }
    async askJob() {
      const { status } = await this.tasks.get(this.task_uuid);
      return { status: 'success', data: status };
    }`,
};

describe('a module’s job that begins without being written down', () => {
  it('is written down before its first call of the host', async () => {
    await host().publish(MODULE);
    const installationId = await host().a.installed('Quiet');
    const { db } = host().bulkhead.panel;
    // All at once, so that all but the first wait for its place, and follow it straight.
    const asks = await db.transaction().execute(async (trx) => {
      const add = async (method: string, n: number): Promise<string> =>
        (await enqueueTask(trx, { installationId, method, params: { n } })).id;
      for (let n = 0; n < JOB_LIMITS.draftsAfter + 3; n++) await add('quietJob', n);
      return add('askJob', 0);
    });
    await until('the last to end', async () => (await getTask(db, asks))?.finishedAt !== null);
    expect(await getTask(db, asks)).toMatchObject({
      status: 'completed',
      error: null,
      attempts: 1,
      result: { status: 'success', data: 'processing' },
    });
    expect(await listAttempts(db, asks)).toMatchObject([{ outcome: 'completed' }]);
  });
});
