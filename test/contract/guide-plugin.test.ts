/** The guide's plugin methods, as ported in test/fixtures/Plugin/Monitoring. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { useTestHost } from '../support/host.ts';
import { fixtureFolder, packChanged } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { htmlOf, requestOf } from './guide-support.ts';

const host = useTestHost({ worker: true });
const NAME = 'Monitoring';
const FOLDER = fixtureFolder(`Plugin/${NAME}`);

beforeAll(async () => {
  await host().publishFolder(FOLDER);
  await host().a.installed(NAME);
});

describe('a plugin', () => {
  it('activate() makes its tables and defaults, and running it again on kept data changes nothing [PL-01 PL-02]', async () => {
    const { a } = host();
    const seeded = [
      expect.objectContaining({ name: 'cpu', unit: '%' }),
      expect.objectContaining({ name: 'memory', unit: 'MB' }),
    ];
    expect(await a.call(NAME, 'kinds')).toEqual(seeded);
    await a.call(NAME, 'rename', 'cpu', 'load');
    await a.disable(NAME);
    await a.enable(NAME);
    expect(await a.call(NAME, 'kinds')).toEqual([expect.objectContaining({ unit: 'load' }), seeded[1]]);
  });

  it('its route is a page for those with the permission [PL-05 PL-06 PL-08]', async () => {
    const { a, bulkhead } = host();
    const page = async (permissions: readonly string[]) =>
      bulkhead.panel.modules.adminPage({
        installationId: await a.installationId(NAME),
        path: 'dashboard',
        account: { id: a.adminId, kind: 'admin', permissions },
        request: requestOf('GET', 'dashboard'),
      });
    expect(htmlOf(await page(['Plugin-Monitoring-monitoring-dashboard']))).toContain('<h1>Monitoring</h1>');
    await expect(page([])).rejects.toMatchObject({ code: 'NOT_GRANTED' });
  });

  it('queues background jobs, with the defaults where it gives no options [PL-09 PL-11]', async () => {
    const { a } = host();
    const { uuid } = Object(await a.call(NAME, 'collectAll'));
    const done = await until('the job', async () => {
      const task = await a.panel.db
        .selectFrom('tasks')
        .selectAll()
        .where('id', '=', String(uuid))
        .executeTakeFirstOrThrow();
      return task.status === 'completed' && task;
    });
    expect(done).toMatchObject({
      method: 'collectMetrics',
      tags: ['metrics'],
      tries: 1,
      backoff_s: 10,
      timeout_s: 600,
      max_exceptions: 2,
      service_id: null,
      result: { data: ['cpu', 'memory'] },
    });
  });

  it('update() migrates schema and data between versions [PL-04]', async () => {
    const { a, bulkhead } = host();
    const manifest: unknown = JSON.parse(await readFile(`${FOLDER}/module.json`, 'utf8'));
    const changed = { 'module.json': JSON.stringify({ ...Object(manifest), version: '1.2.0' }) };
    const { versionId } = await bulkhead.publish(await packChanged(FOLDER, changed), { status: 'published' });
    await a.update(NAME, versionId);
    await a.enable(NAME);
    expect(await a.call(NAME, 'kinds')).toEqual([
      expect.objectContaining({ name: 'cpu', note: 'from 1.0.0' }),
      expect.objectContaining({ name: 'memory', note: 'from 1.0.0' }),
    ]);
  });
});
