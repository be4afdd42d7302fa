/** How much may pass in a second: lines and bytes, counted in windows, so that a flood costs a comparison and nothing more. */

export interface RateBounds {
  readonly perSecond: number;
  readonly bytesPerSecond: number;
}

export interface Rate {
  /** 'first refused' once a window, so that it can be said. @param nowMs of a clock that never goes back */
  admit(bytes: number, nowMs: number): 'pass' | 'first refused' | 'refused';
}

const WINDOW_MS = 1_000;

export function createRate({ perSecond, bytesPerSecond }: RateBounds): Rate {
  let startedAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  let size = 0;
  let refused = false;
  return {
    admit(bytes, nowMs) {
      if (nowMs - startedAt >= WINDOW_MS) {
        startedAt = nowMs;
        count = 0;
        size = 0;
        refused = false;
      }
      count++;
      size += bytes;
      if (count <= perSecond && size <= bytesPerSecond) return 'pass';
      if (refused) return 'refused';
      refused = true;
      return 'first refused';
    },
  };
}
