/** Waiting for what happens elsewhere: a worker, a child process, another connection. */
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 20_000;
const LOOK_MS = 25;

/** Looks again and again until `look` gives something. @throws Error naming what was waited for */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await sleep(LOOK_MS);
  }
}
