/** Work that repeats for as long as the process lives: one round after another, never two at once, and no round's error ends it. */
import { setTimeout as sleep } from 'node:timers/promises';

import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';

export interface Loop {
  /** Waits for the round that runs. */
  stop(): Promise<void>;
}

/** Runs `round` every `everyMs`, the first time at once. */
export function startLoop(what: string, everyMs: number, round: () => Promise<void>, log: JobLog): Loop {
  const stopping = new AbortController();
  const { signal } = stopping;
  const turn = async (): Promise<void> => {
    while (!signal.aborted) {
      await round().catch((error: unknown) => log('warning', `${what} failed: ${reasonOf(error)}`));
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  };
  const turning = turn();
  return {
    stop: async () => {
      stopping.abort();
      await turning;
    },
  };
}
