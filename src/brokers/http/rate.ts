/**
 * Requests a minute, for each installation: the count of this minute and, by the part of it that the last sixty seconds still cover,
 * the count of the minute before. Two numbers an installation, and no burst at the turn of the minute.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';

const WINDOW_MS = 60_000;

interface Count {
  window: number;
  current: number;
  previous: number;
}

export class RequestRate {
  readonly #counts = new Map<string, Count>();
  readonly #now: () => number;
  #sweptWindow = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts one request. @throws HostError LIMIT if the minute is used up; a refused request is not counted */
  take(installationId: string, perMinute: number): void {
    const now = this.#now();
    const window = Math.floor(now / WINDOW_MS);
    this.#sweep(window);
    const count = this.#countOf(installationId, window);
    const covered = 1 - (now % WINDOW_MS) / WINDOW_MS;
    if (count.current + count.previous * covered >= perMinute) {
      throw new HostError(
        'LIMIT',
        `http: more than ${perMinute} requests a minute; wait, or ask for more in permissions.http.per_minute.`,
      );
    }
    count.current += 1;
  }

  #countOf(installationId: string, window: number): Count {
    const found = this.#counts.get(installationId);
    const count = found ?? { window, current: 0, previous: 0 };
    if (found === undefined) this.#counts.set(installationId, count);
    if (count.window !== window) {
      count.previous = count.window === window - 1 ? count.current : 0;
      count.current = 0;
      count.window = window;
    }
    return count;
  }

  #sweep(window: number): void {
    if (window === this.#sweptWindow) return;
    this.#sweptWindow = window;
    for (const [id, count] of this.#counts) if (count.window < window - 1) this.#counts.delete(id);
  }
}
