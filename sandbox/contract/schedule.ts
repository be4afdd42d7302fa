/** What runs again and again: a cron expression in the tenant's time zone, or every so many seconds. */
import * as v from 'valibot';
import { LIMITS } from './limits.ts';

const Method = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'the name of a method is expected'),
);

/** Five fields; whether they mean a moment that ever comes is found out at install. */
export const Cron = v.pipe(
  v.string(),
  v.maxLength(100),
  v.regex(
    /^[0-9A-Za-z*,/#-]+(?: [0-9A-Za-z*,/#-]+){4}$/,
    'five fields are expected: minute, hour, day, month, weekday, for example "*/5 * * * *"',
  ),
);
export const EveryS = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(LIMITS.scheduleEveryMinS, `at least ${LIMITS.scheduleEveryMinS} seconds are expected`),
  v.maxValue(31 * 86_400),
);

const ONE_OF = 'either cron or every is expected';
export const ScheduleTimes = { cron: v.optional(Cron), every: v.optional(EveryS) } as const;

export function hasOneTime(times: {
  readonly cron?: string | undefined;
  readonly every?: number | undefined;
}): boolean {
  return (times.cron === undefined) !== (times.every === undefined);
}

/** One line of `schedule` in module.json. */
export const ManifestSchedule = v.pipe(
  v.strictObject({
    method: Method,
    title: v.optional(v.pipe(v.string(), v.maxLength(200)), ''),
    tags: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(LIMITS.taskTags)), []),
    ...ScheduleTimes,
  }),
  v.check((schedule) => hasOneTime(schedule), ONE_OF),
);
export type ManifestSchedule = v.InferOutput<typeof ManifestSchedule>;
