/** What billing does by the clock. Any number of processes may do it at once: each part takes the rows it works on under their locks. */
import { type Loop, startLoop } from '../jobs/loop.ts';
import type { Db } from '../jobs/task.ts';
import { type JobLog, reasonOf } from '../jobs/log.ts';
import { createDuties, type Act, type Duties } from './duties.ts';
import { BILLING_LIMITS } from './limits.ts';
import { billPeriods, markOverdue } from './recurring.ts';

export interface BillingRounds {
  /** Invoices of periods that begin, what became overdue, and every duty that follows. */
  round(now: Date): Promise<void>;
  /** Only what a person waits for: services that were just paid. */
  prompt(): Promise<void>;
  start(): Loop;
}

export interface RoundsDeps {
  readonly db: Db;
  readonly act: Act;
  readonly log: JobLog;
}

export function createBillingRounds({ db, act, log }: RoundsDeps): BillingRounds {
  const duties = createDuties(db, act, (serviceId, action, error) =>
    log('warning', `Service ${serviceId} could not be brought to ${action}: ${reasonOf(error)}`),
  );
  const round = async (now: Date): Promise<void> => {
    await billPeriods(db, now, (serviceId, error) =>
      log('warning', `Service ${serviceId} could not be billed: ${reasonOf(error)}`),
    );
    await markOverdue(db, now);
    await duties.all(now);
  };
  const prompt = async (): Promise<void> => void (await duties.prompt());
  return {
    round,
    prompt,
    start: () => {
      const loops = [
        startLoop('billing', BILLING_LIMITS.billEveryMs, async () => round(new Date()), log),
        startLoop('billing of what was just paid', BILLING_LIMITS.actEveryMs, prompt, log),
      ];
      return { stop: async () => stopAll(loops, duties) };
    },
  };
}

/** A module that is being asked is waited for: its answer is still to be written down. */
async function stopAll(loops: readonly Loop[], duties: Duties): Promise<void> {
  await Promise.all(loops.map(async (loop) => loop.stop()));
  await duties.idle();
}
