/** What each worker process does about events, again and again: hand out, call the host's own subscribers, see to turns, tidy up. */
import type { HostSql } from '../database/connect.ts';
import { type Loop, startLoop } from '../jobs/loop.ts';
import type { JobLog } from '../jobs/log.ts';
import { EVENT_CHANNEL } from './emit.ts';
import {
  callSubscriber,
  cleanEvents,
  deliver,
  type DeliverDeps,
  dueSubscribers,
  undelivered,
} from './deliver.ts';
import { EVENT_LIMITS } from './limits.ts';
import { nextTurn, waitingEvents } from './turns.ts';

export interface Pump {
  /** Waits for the round that runs. */
  stop(): Promise<void>;
}

/** One round. Returns whether there was something to hand out. */
async function round(deps: DeliverDeps): Promise<boolean> {
  const events = await undelivered(deps.db);
  for (const id of events) await deliver(deps, id);
  const due = await dueSubscribers(deps.db);
  for (const id of due) await callSubscriber(deps, id);
  return events.length + due.length > 0;
}

export async function startPump(deps: DeliverDeps, sql: HostSql, log: JobLog): Promise<Pump> {
  let wake: () => void = () => undefined;
  /** Announced while a round was running. */
  let announced = false;
  let stopping = false;
  let cleanAt = 0;
  /** Waits for an announcement, or the next look. */
  const rest = (): Promise<void> =>
    new Promise((resolve) => {
      if (announced) return resolve();
      const timer = setTimeout(resolve, EVENT_LIMITS.pollMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const heard = (): void => {
    announced = true;
    wake();
  };
  const listening = await sql.listen(EVENT_CHANNEL, heard, heard);
  const loop: Loop = startLoop(
    'events',
    0,
    async () => {
      announced = false;
      try {
        if (!(await round(deps)) && !stopping) await rest();
      } catch (error) {
        if (!stopping) await rest();
        throw error;
      }
    },
    log,
  );
  const keeper = startLoop(
    'event turns',
    EVENT_LIMITS.pollMs,
    async () => {
      for (const id of await waitingEvents(deps.db)) await nextTurn(deps.db, id);
      if (performance.now() < cleanAt) return;
      cleanAt = performance.now() + EVENT_LIMITS.cleanMs;
      await cleanEvents(deps.db);
    },
    log,
  );
  return {
    stop: async () => {
      stopping = true;
      await listening.unlisten();
      wake();
      await Promise.all([loop.stop(), keeper.stop()]);
    },
  };
}
