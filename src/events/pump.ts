/** What each worker process does about events, again and again: hand out, call the host's own subscribers, see to turns, tidy up. */
import { isDatabaseAway } from '../database/database-away.ts';
import type { PgEndpoint } from '../database/endpoint.ts';
import { listen } from '../database/listen.ts';
import { type Loop, startLoop } from '../jobs/loop.ts';
import { reasonOf, type JobLog } from '../jobs/log.ts';
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
async function round(deps: DeliverDeps, log: JobLog): Promise<boolean> {
  const events = await undelivered(deps.db);
  let handed = 0;
  for (const id of events) if (await alone(`event ${id}`, () => deliver(deps, id), log)) handed++;
  const due = await dueSubscribers(deps.db);
  for (const id of due) await callSubscriber(deps, id);
  return handed + due.length > 0;
}

/** One event that cannot be handed out (a listener's stored version that does not read) stops no other, of this tenant or another. */
async function alone(what: string, work: () => Promise<void>, log: JobLog): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    log('warning', `${what}: ${reasonOf(error)}`);
    return false;
  }
}

export async function startPump(deps: DeliverDeps, endpoint: PgEndpoint, log: JobLog): Promise<Pump> {
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
  // Not the host's client: when that loses a connection it begins anew, and what it listened to is forgotten.
  const listening = await listen(endpoint, EVENT_CHANNEL, heard);
  const loop: Loop = startLoop(
    'events',
    0,
    async () => {
      announced = false;
      try {
        if (!(await round(deps, log)) && !stopping) await rest();
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
      for (const id of await waitingEvents(deps.db))
        await alone(`event ${id}`, () => nextTurn(deps.db, id), log);
      if (performance.now() < cleanAt) return;
      cleanAt = performance.now() + EVENT_LIMITS.cleanMs;
      await cleanEvents(deps.db);
    },
    log,
  );
  return {
    stop: async () => {
      stopping = true;
      await listening.close();
      wake();
      await Promise.all([loop.stop(), keeper.stop()]);
    },
  };
}
