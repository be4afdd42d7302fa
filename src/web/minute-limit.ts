/** Counts of strangers' requests in windows of a minute; knows a bounded number of keys. */
import { WEB_LIMITS } from './limits.ts';

const MINUTE_MS = 60_000;

export function minuteLimit(perMinute: number): (key: string, nowMs: number) => boolean {
  let window = 0;
  let counts = new Map<string, number>();
  return (key, nowMs) => {
    const present = Math.floor(nowMs / MINUTE_MS);
    if (present !== window || counts.size > WEB_LIMITS.hookEntries) {
      window = present;
      counts = new Map();
    }
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count <= perMinute;
  };
}
