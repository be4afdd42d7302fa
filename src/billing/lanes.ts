/**
 * Work for many tenants side by side. Each tenant has a lane of its own in which one thing follows another, so few lanes at a time serve
 * them all: who is slow makes itself wait and nobody else. A round waits so long and no longer; what has not begun by then is dropped (it is
 * read off the state again), and what has begun ends by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface LanesOptions {
  /** How many tenants are served at a time. */
  readonly atOnce: number;
  /** After this nothing of a round begins any more. */
  readonly roundMs: number;
}

export interface Lanes {
  /** Does the works of each lane in their order. Resolves when all have ended, or the round's time is over. */
  run(works: ReadonlyMap<string, readonly (() => Promise<void>)[]>): Promise<void>;
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>;
}

export function createLanes({ atOnce, roundMs }: LanesOptions): Lanes {
  const ends = new Map<string, Promise<void>>();
  const waiting: (() => void)[] = [];
  let free = atOnce;

  const enter = async (): Promise<void> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };

  async function inLane(
    before: Promise<void> | undefined,
    works: readonly (() => Promise<void>)[],
    until: number,
  ) {
    await before;
    for (const work of works) {
      await enter();
      try {
        if (performance.now() >= until) return;
        await work();
      } finally {
        leave();
      }
    }
  }

  return {
    async run(works) {
      const until = performance.now() + roundMs;
      const begun = [...works].map(async ([key, ofLane]) => {
        const end = inLane(ends.get(key), ofLane, until);
        ends.set(key, end);
        try {
          await end;
        } finally {
          if (ends.get(key) === end) ends.delete(key);
        }
      });
      const over = new AbortController();
      const time = sleep(roundMs, undefined, { signal: over.signal }).catch(() => {});
      try {
        await Promise.race([Promise.all(begun), time]);
      } finally {
        over.abort();
      }
    },
    async idle() {
      while (ends.size > 0) await Promise.allSettled(ends.values());
    },
  };
}
