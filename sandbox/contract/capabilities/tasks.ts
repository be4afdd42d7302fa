/** tasks: background jobs, which are methods of the module itself, run later with retries, a time limit and a visible history. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { notification, op } from '../op.ts';
import { hasOneTime, ScheduleTimes } from '../schedule.ts';

export const TASK_STATUSES = [
  'queued',
  'pending',
  'processing',
  'completed',
  'failed',
  'cancelled',
  'duplicate',
] as const;

/** Options of a job with the guide's defaults; times in seconds, as there. */
export const JobOptions = v.object({
  tries: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)), 1),
  backoff: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(86_400)), 10),
  timeout: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400)), 600),
  maxExceptions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)), 2),
});

export const TaskRequest = v.object({
  /** A method of the module's class; anything else is refused. */
  method: v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/)),
  params: v.optional(v.record(v.string(), v.unknown()), {}),
  tags: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(LIMITS.taskTags)), []),
  /** The instance to run with; the one this call runs with if absent. */
  instance: v.optional(v.pipe(v.string(), v.uuid())),
  ...JobOptions.entries,
  /** Seconds from now; or run_at as an ISO instant. */
  delay: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(31_536_000))),
  run_at: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

export const tasks = capability({
  title: 'Background jobs',
  doc: 'Run its own methods later, with retries.',
  icon: 'list-check',
  inherent: false,
  grant: {
    concurrency: {
      sort: 'amount',
      doc: 'Jobs at once.',
      risk: 'low',
      unit: 'jobs at once',
      fallback: 2,
      max: 50,
      words: (n: number) => `Run up to ${n} background jobs at once.`,
    },
    per_minute: {
      sort: 'amount',
      doc: 'Jobs queued a minute.',
      risk: 'low',
      unit: 'jobs a minute',
      fallback: 60,
      max: 10_000,
      words: (n: number) => `Queue up to ${n} jobs a minute.`,
    },
  },
  ops: {
    add: op(
      'Queues a job. `status` is "duplicate" when the same method, params and tags wait or run already (a job re-adding itself never is).',
      TaskRequest,
      v.object({ uuid: v.string(), status: v.picklist(['queued', 'duplicate']) }),
    ),
    instances: op(
      'The instances of this module that `add` may name: one for each set of settings (two mail servers), those in use only.',
      v.object({}),
      v.object({ instances: v.array(v.object({ uuid: v.string(), name: v.string() })) }),
    ),
    get: op(
      'One of the installation’s own tasks.',
      v.object({ uuid: v.pipe(v.string(), v.uuid()) }),
      v.object({
        uuid: v.string(),
        method: v.string(),
        status: v.picklist(TASK_STATUSES),
        attempts: v.number(),
        result: v.unknown(),
        tags: v.array(v.string()),
      }),
    ),
    cancel: op(
      'Cancels one of its own tasks; a running one is interrupted.',
      v.object({ uuid: v.pipe(v.string(), v.uuid()) }),
      v.object({ cancelled: v.boolean() }),
    ),
    schedule: op(
      'Runs a method again and again: by cron in the tenant’s time zone, or every so many seconds. Asking again for the same method, params and tags changes its times.',
      v.pipe(
        v.object({
          ...v.omit(TaskRequest, ['instance', 'delay', 'run_at']).entries,
          title: v.optional(v.pipe(v.string(), v.maxLength(200)), ''),
          ...ScheduleTimes,
        }),
        v.check((schedule) => hasOneTime(schedule), 'either cron or every is expected'),
      ),
      v.object({ uuid: v.string(), next_at: v.string() }),
    ),
    unschedule: op(
      'Ends what its code scheduled for a method; what module.json schedules stays.',
      v.object({ method: TaskRequest.entries.method }),
      v.object({ removed: v.number() }),
    ),
    progress: notification(
      'Says how far the running job is.',
      v.object({
        percent: v.pipe(v.number(), v.minValue(0), v.maxValue(100)),
        note: v.optional(v.pipe(v.string(), v.maxLength(200)), ''),
      }),
    ),
  },
});
