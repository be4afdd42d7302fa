/** What an admin does with a schedule: run it now, pause it, let it go on. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Db } from '../jobs/task.ts';
import type { ScheduleCases } from '../web/deps.ts';
import { maySchedule } from './granted.ts';
import { nextAfter } from './times.ts';
import { runNow } from './tick.ts';

const gone = (): HostError => new HostError('NOT_FOUND', 'There is no such schedule.');

/** @throws HostError NOT_GRANTED */
async function refuseUnlessGranted(db: Db, id: string): Promise<void> {
  const row = await db
    .selectFrom('schedules as schedule')
    .innerJoin('installations as installation', 'installation.id', 'schedule.installation_id')
    .select(maySchedule('installation').as('granted'))
    .where('schedule.id', '=', id)
    .executeTakeFirst();
  if (row?.granted === false)
    throw new HostError(
      'NOT_GRANTED',
      'The module may run no jobs any more; grant them under its permissions.',
    );
}

export function createScheduleCases(db: Db): ScheduleCases {
  return {
    runNow: async (id) => {
      await refuseUnlessGranted(db, id);
      const outcome = await runNow(db, id, new Date());
      if (outcome === undefined) throw gone();
      if (outcome === 'overlap')
        throw new HostError('CONFLICT', 'It waits or runs already; look at its last task.');
    },
    pause: async (id) => {
      await db.updateTable('schedules').set({ paused_at: new Date() }).where('id', '=', id).execute();
    },
    resume: async (id) => {
      const row = await db
        .selectFrom('schedules as schedule')
        .innerJoin('tenants as tenant', 'tenant.id', 'schedule.tenant_id')
        .select(['schedule.cron', 'schedule.every_s', 'tenant.timezone'])
        .where('schedule.id', '=', id)
        .executeTakeFirst();
      if (row === undefined) throw gone();
      // What was due while it was paused is not made up for.
      const nextAt = nextAfter({ cron: row.cron, everyS: row.every_s }, row.timezone, new Date());
      if (nextAt === undefined) throw new HostError('CONFLICT', 'Its time never comes again.');
      await db
        .updateTable('schedules')
        .set({ paused_at: null, next_at: nextAt })
        .where('id', '=', id)
        .execute();
    },
  };
}
