/**
 * Billing periods. Every boundary is counted from the anchor, never from the boundary before: what began on the 31st ends on February's
 * last day and on March 31st after it. Days and months are those of the tenant's calendar, so a period begins at the same time of day
 * all year; hours are hours. Where the clock springs forward over a time of day, it is taken an hour later; where it falls back over
 * one, the second is meant: PostgreSQL's rules, and the tests compare with it.
 */
export const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MONTHS_A_YEAR = 12;

type Unit = 'hours' | 'days' | 'months';
interface PeriodRule {
  readonly unit: Unit;
  readonly count: number;
}

const RULES = {
  'one-time': null,
  hourly: { unit: 'hours', count: 1 },
  daily: { unit: 'days', count: 1 },
  weekly: { unit: 'days', count: 7 },
  biweekly: { unit: 'days', count: 14 },
  monthly: { unit: 'months', count: 1 },
  quarterly: { unit: 'months', count: 3 },
  semiannually: { unit: 'months', count: 6 },
  annually: { unit: 'months', count: MONTHS_A_YEAR },
  biennially: { unit: 'months', count: 2 * MONTHS_A_YEAR },
  triennially: { unit: 'months', count: 3 * MONTHS_A_YEAR },
} as const satisfies Readonly<Record<string, PeriodRule | null>>;

export type Period = keyof typeof RULES;
export type RecurringPeriod = Exclude<Period, 'one-time'>;

export function isPeriod(text: string): text is Period {
  return Object.hasOwn(RULES, text);
}

/** In the order of their length. */
export const PERIODS: readonly Period[] = Object.keys(RULES).filter(isPeriod);

export function isRecurring(period: string): period is RecurringPeriod {
  return isPeriod(period) && period !== 'one-time';
}

/** Not paid ahead, as the longer ones are, but for what was used: who takes something by the hour does not know for how many. */
export function isBilledByUse(period: string): boolean {
  return isRecurring(period) && RULES[period].unit === 'hours';
}

/** About: months have 30 days here. For leads and nothing that is charged. */
function roughLengthMs(period: RecurringPeriod): number {
  const { unit, count } = RULES[period];
  return count * (unit === 'hours' ? HOUR_MS : unit === 'days' ? DAY_MS : 30 * DAY_MS);
}

/**
 * How long before a period begins its invoice may be made at the earliest: half of one. Less than nothing for what is billed by use: a
 * day after, since an invoice an hour is of no use to anybody.
 */
export function longestLeadMs(period: RecurringPeriod): number {
  return isBilledByUse(period) ? -DAY_MS : roughLengthMs(period) / 2;
}

/** Where the `index`-th period after the anchor begins; 0 is the anchor itself. */
export function boundary(anchor: Date, period: RecurringPeriod, index: number, timeZone: string): Date {
  const { unit, count } = RULES[period];
  const steps = count * index;
  if (unit === 'hours' || steps === 0) return new Date(anchor.getTime() + steps * HOUR_MS);
  const wall = new Date(wallMs(anchor.getTime(), timeZone));
  const moved = unit === 'days' ? wall.getTime() + steps * DAY_MS : addMonths(wall, steps);
  return new Date(instantOf(moved, timeZone));
}

/** On a wall clock written as UTC; the last day of the month where it has no such day. */
function addMonths(wall: Date, months: number): number {
  const day = wall.getUTCDate();
  const moved = new Date(wall);
  moved.setUTCDate(1);
  moved.setUTCMonth(moved.getUTCMonth() + months);
  const days = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate();
  moved.setUTCDate(Math.min(day, days));
  return moved.getTime();
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}

/** What the zone's wall clock shows at an instant, written as if it were UTC. */
export function wallMs(instantMs: number, timeZone: string): number {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(instantMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  const thousandths = ((instantMs % 1_000) + 1_000) % 1_000;
  return Date.UTC(year, month - 1, day, hour, minute, second, thousandths);
}

function offsetMs(instantMs: number, timeZone: string): number {
  return wallMs(instantMs, timeZone) - instantMs;
}

/** The instant at which the zone's wall clock shows this. */
function instantOf(wall: number, timeZone: string): number {
  const before = offsetMs(wall - DAY_MS, timeZone);
  const after = offsetMs(wall + DAY_MS, timeZone);
  const byAfter = wall - after;
  if (before === after || offsetMs(byAfter, timeZone) === after) return byAfter;
  return wall - before;
}
