/** A check that watches a service ends with it. */
import { on, sql } from 'bulkhead';
import type ServerMonitoring from './ServerMonitoring.ts';

on('ServiceTerminated', async (event, module: ServerMonitoring) => {
  const stopped = await module.db
    .updateTable('monitoring_checks')
    .set({ active: false, updated_at: module.now() })
    .where(sql<string>`config ->> 'service_uuid'`, '=', event.payload.service_uuid)
    .where('active', '=', true)
    .returning('name')
    .execute();
  if (stopped.length > 0)
    module.logInfo('service terminated', {
      service_uuid: event.payload.service_uuid,
      checks: stopped.map(({ name }) => name),
    });
  return { stopped: stopped.length };
});
