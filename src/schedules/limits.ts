/** The numbers of schedules that no module sets. */
export const SCHEDULE_LIMITS = Object.freeze({
  /** Due schedules are looked for this often. */
  tickMs: 1_000,
  /** Schedules of one round, over all tenants. */
  perTick: 200,
  /** One that could not be started is looked at again after this. */
  againMs: 60_000,
  /** Missed moments are counted up to this; beyond it, "this many or more". */
  missedCounted: 1_000,
  /** Runs of one schedule that are kept. */
  runsKept: 50,
  /** What a schedule in module.json runs with. */
  tries: 1,
  backoffS: 60,
  timeoutS: 600,
  maxExceptions: 1,
});
