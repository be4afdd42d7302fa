/** Periods, prices of their parts and names of services: pure rules, compared with PostgreSQL where it knows the answer. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeMinor, share } from '../../src/billing/money.ts';
import { boundary, isRecurring, PERIODS, type RecurringPeriod } from '../../src/billing/periods.ts';
import { serviceName } from '../../src/billing/service-name.ts';
import { useTestDatabase } from '../support/database.ts';

const database = useTestDatabase();
const ZONES = [
  'UTC',
  'Europe/Warsaw',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'America/St_Johns',
];
const RECURRING = PERIODS.filter(isRecurring);

/** The same boundaries as PostgreSQL's own calendar has them. */
const INTERVAL: Readonly<Record<RecurringPeriod, string>> = {
  hourly: '1 hour',
  daily: '1 day',
  weekly: '7 days',
  biweekly: '14 days',
  monthly: '1 month',
  quarterly: '3 months',
  semiannually: '6 months',
  annually: '1 year',
  biennially: '2 years',
  triennially: '3 years',
};

const anchors = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2030-12-31T00:00:00Z'),
  noInvalidDate: true,
});
const periods = fc.constantFrom(...RECURRING);
const zones = fc.constantFrom(...ZONES);

function days(anchor: string, period: RecurringPeriod, count: number, zone = 'UTC'): string[] {
  return Array.from({ length: count }, (_, index) =>
    boundary(new Date(anchor), period, index, zone).toISOString().slice(0, 10),
  );
}

describe('periods', () => {
  it('that begin on the 31st end on each month’s last day, and come back to the 31st', () => {
    expect(days('2027-01-31T10:00:00Z', 'monthly', 6)).toEqual([
      '2027-01-31',
      '2027-02-28',
      '2027-03-31',
      '2027-04-30',
      '2027-05-31',
      '2027-06-30',
    ]);
  });

  it('of a year from a leap day end on the 28th, and on the 29th when there is one', () => {
    expect(days('2024-02-29T10:00:00Z', 'annually', 5)).toEqual([
      '2024-02-29',
      '2025-02-28',
      '2026-02-28',
      '2027-02-28',
      '2028-02-29',
    ]);
  });

  it('keep the time of day where the clock changes', () => {
    const anchor = new Date('2026-03-15T11:00:00Z');
    expect(boundary(anchor, 'monthly', 1, 'Europe/Warsaw').toISOString()).toBe('2026-04-15T10:00:00.000Z');
    expect(boundary(anchor, 'hourly', 24 * 31, 'Europe/Warsaw').toISOString()).toBe(
      '2026-04-15T11:00:00.000Z',
    );
  });

  it('are those of PostgreSQL’s calendar, in every zone', async () => {
    const { sql } = database();
    await fc.assert(
      fc.asyncProperty(anchors, periods, zones, fc.nat(40), async (anchor, period, zone, index) => {
        const [row] = await sql<{ at: Date }[]>`
          select case when ${period} = 'hourly' then ${anchor}::timestamptz + ${index}::int * interval '1 hour'
            else ((${anchor}::timestamptz at time zone ${zone}) + ${index}::int * ${INTERVAL[period]}::interval) at time zone ${zone}
            end as at`;
        // An anchor in the hour that the clock shows twice stands for the second one in SQL; counting from it is what we test.
        if (index > 0) expect(boundary(anchor, period, index, zone)).toEqual(row?.at);
      }),
      { numRuns: 300 },
    );
  });

  it('follow each other, from the anchor on', () => {
    fc.assert(
      fc.property(anchors, periods, zones, fc.nat(60), (anchor, period, zone, index) => {
        expect(boundary(anchor, period, 0, zone)).toEqual(anchor);
        expect(boundary(anchor, period, index + 1, zone).getTime()).toBeGreaterThan(
          boundary(anchor, period, index, zone).getTime(),
        );
      }),
    );
  });
});

describe('shares of an amount', () => {
  const amounts = fc.nat(1_000_000_000_000);

  it('never add up to more than it, and lose less than one unit each', () => {
    fc.assert(
      fc.property(
        amounts,
        fc.integer({ min: 1, max: 1e12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (amount, whole, at) => {
          const part = Math.trunc(whole * at);
          const sum = share(amount, part, whole) + share(amount, whole - part, whole);
          expect(sum).toBeLessThanOrEqual(amount);
          expect(sum).toBeGreaterThanOrEqual(amount - 1);
        },
      ),
    );
  });

  it('of a change of price lie between nothing and the whole difference', () => {
    fc.assert(
      fc.property(
        amounts,
        amounts,
        fc.nat(10_000),
        fc.integer({ min: 1, max: 10_000 }),
        (oldMinor, newMinor, at, length) => {
          const [from, to] = [new Date(0), new Date(length * 1_000)];
          const change = changeMinor({
            oldMinor,
            newMinor,
            from,
            to,
            at: new Date(Math.min(at, length) * 1_000),
          });
          expect(Math.abs(change)).toBeLessThanOrEqual(Math.abs(newMinor - oldMinor) + 1);
          if (newMinor === oldMinor || at >= length) expect(change).toBe(0);
          if (at === 0) expect(change).toBe(newMinor - oldMinor);
        },
      ),
    );
  });
});

describe('a service’s name', () => {
  const context = { at: new Date('2026-02-03T23:05:06Z'), timeZone: 'Europe/Warsaw', country: 'PL' };
  const named = (pattern: string) => serviceName(pattern, 'VPS S', context);

  it.each([
    ['{YEAR}-{MONTH}-{DAY}', '2026-02-04'],
    ['{HOUR}:{MINUTE}:{SECOND}', '00:05:06'],
    ['t{TIMESTAMP}', 't1770159906'],
    ['{COUNTRY}-vps', 'PL-vps'],
    ['', 'VPS S'],
    ['   ', 'VPS S'],
    ['plain', 'plain'],
    ['{NOTHING} {YEAR:4} {RAND} {RAND:0} {RAND:33} {', '{NOTHING} {YEAR:4} {RAND} {RAND:0} {RAND:33} {'],
    ['{constructor} {toString}', '{constructor} {toString}'],
  ])('of %j is %j', (pattern, name) => {
    expect(named(pattern)).toBe(name);
  });

  it.each([
    ['vps-{RAND:6}', /^vps-\d{6}$/],
    ['{RSTR:12}', /^[a-z0-9]{12}$/],
    ['{8:abc}', /^[abc]{8}$/],
    ['{4:żół}', /^[żół]{4}$/],
  ])('of %j is random', (pattern, shape) => {
    const names = new Set(Array.from({ length: 20 }, () => named(pattern)));
    for (const name of names) expect(name).toMatch(shape);
    expect(names.size).toBeGreaterThan(5);
  });

  it('is never longer than a line', () => {
    expect(named('{32:x}'.repeat(10))).toHaveLength(100);
  });
});
