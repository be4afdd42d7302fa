/**
 * When a schedule is due. Cron is read by the tenant's clock. Where that clock jumps: what falls into the skipped hour runs once, right
 * after it; what falls into the repeated hour runs once, in its first pass, if it names hours, and in both if it repeats every hour
 * (docs/decisions/0010-schedules.md).
 */
import { Cron } from 'croner';

export interface Times {
  readonly cron: string | null;
  readonly everyS: number | null;
}

function parse(cron: string, timezone: string): Cron {
  return new Cron(cron, { timezone, paused: true, mode: '5-part' });
}

/** False for what cannot be read, and for the 31st of February. */
export function everComes(cron: string): boolean {
  try {
    return parse(cron, 'UTC').nextRun() !== null;
  } catch {
    return false;
  }
}

/** The first due moment after `after`; undefined if there is none. */
export function nextAfter({ cron, everyS }: Times, timezone: string, after: Date): Date | undefined {
  if (everyS !== null) return new Date(after.getTime() + everyS * 1_000);
  return cron === null ? undefined : (parse(cron, timezone).nextRun(after) ?? undefined);
}
