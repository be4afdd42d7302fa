/**
 * How many tasks an installation has queued in the last minute, counted exactly and without SQL. Counted by process: with several
 * server processes an installation may queue that many in each. What the host queues for it does not count.
 */
const WINDOW_MS = 60_000;

export interface Rate {
  /** True, and counted, if one more fits into the last minute. */
  allows(installationId: string, perMinute: number): boolean;
}

export function createRate(now: () => number): Rate {
  const added = new Map<string, number[]>();
  return {
    allows: (installationId, perMinute) => {
      const since = now() - WINDOW_MS;
      const recent = (added.get(installationId) ?? []).filter((at) => at > since);
      const fits = recent.length < perMinute;
      if (fits) recent.push(now());
      if (recent.length === 0) added.delete(installationId);
      else added.set(installationId, recent);
      return fits;
    },
  };
}
