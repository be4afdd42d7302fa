/**
 * Counts failures by key in a sliding window, in this process. The number of keys is bounded: the one
 * that failed longest ago goes first. With several server processes each counts for itself, which multiplies the limit by their
 * number and no more.
 */
export interface FailureLimit {
  /** Milliseconds until the key may try again; 0 if it may now. */
  waitMs(key: string, now: number): number;
  fail(key: string, now: number): void;
  /** Takes back one failure that was counted at `at`. */
  forgive(key: string, at: number): void;
  clear(key: string): void;
}

export interface FailureLimitOptions {
  readonly failures: number;
  readonly windowMs: number;
  readonly entries: number;
}

export function failureLimit(options: FailureLimitOptions): FailureLimit {
  const failures = new Map<string, number[]>();
  const recent = (key: string, now: number): number[] =>
    (failures.get(key) ?? []).filter((at) => at > now - options.windowMs);
  return {
    waitMs(key, now) {
      const times = recent(key, now);
      const oldest = times.length < options.failures ? undefined : times[times.length - options.failures];
      return oldest === undefined ? 0 : oldest + options.windowMs - now;
    },
    fail(key, now) {
      const times = [...recent(key, now), now].slice(-options.failures);
      failures.delete(key);
      failures.set(key, times);
      if (failures.size <= options.entries) return;
      const oldest = failures.keys().next();
      if (oldest.done !== true) failures.delete(oldest.value);
    },
    forgive(key, at) {
      const times = failures.get(key);
      const index = times?.lastIndexOf(at) ?? -1;
      if (times !== undefined && index >= 0) failures.set(key, times.toSpliced(index, 1));
    },
    clear(key) {
      failures.delete(key);
    },
  };
}
