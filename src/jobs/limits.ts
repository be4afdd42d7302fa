/** The numbers of the queue that no module and no tenant sets, in one frozen table with units in their names. */
export const JOB_LIMITS = Object.freeze({
  /** A worker says this often that it lives. */
  beatMs: 2_000,
  /** Beats that a worker may miss before others take over its tasks. */
  beatsMissed: 3,
  /** Interruptions in a row (dead worker, stop, a neighbour's crash) after which a task fails instead of running again. */
  interruptionsInARow: 5,
  /** A run that was told to stop and has not ended after this long is given up by the worker. */
  abandonMs: 10_000,
  /** A graceful stop lets running tasks go on this long before it interrupts them. */
  stopGraceMs: 5_000,
  /** A finishing hook that threw is tried again after this long, and after growing times: 1, 5, 25, 125 s. */
  hookRetryS: 1,
  hookRetryGrowth: 5,
  /** Then the task is finished without it. */
  hookTries: 5,
  /** Tasks without a job that could run them are looked for this often. */
  sweepMs: 30_000,
  /** graphile-worker looks for due jobs this often; new ones are announced to it. */
  pollMs: 1_000,
  /** Jobs fetched ahead go back to the queue after this long, so that no long task holds them up. */
  fetchedAheadMs: 1_000,
  /** A worker that lost its queue connection (a restart of PostgreSQL) tries again after this long. */
  restartMs: 1_000,
  /** A graphile-worker pool that holds jobs and is not registered is taken for dead after this long. */
  unregisteredS: 30,
  /** So long a run is followed straight by the next task of its installation, whoever else waits in the queue. */
  successionMs: 500,
  /** After so many times as long it gives way to tasks of its own installation too. */
  ownSuccessions: 4,
  /** Then it is looked this often whether anybody waits in the queue for its place; while nobody does, it goes on. */
  yieldMs: 50,
  /** Runs that end together in one transaction. */
  successionBatch: 50,
  /** A run that takes longer than this is written down as begun; one that does something sooner. Below laneMs. */
  draftMs: 200,
  /** After so many runs of an installation in a row that did nothing outside, the next begin without being written down. */
  draftsAfter: 3,
  /** Processor time beyond which a run is none of those. */
  draftCpuUs: 20_000,
  /** Installations of which that is known. */
  quietKept: 1_000,
  /** So many of an installation's waiting tasks at most does a worker know beyond those that it runs. */
  aheadTasks: 32,
  /** Ends that nobody waits for are written together for so long. */
  lingerMs: 5,
  /** What a worker knows to be waiting it forgets after this long, and others may have the installation's places. */
  laneMs: 1_000,
  /** A task that a worker took without a job and does not run is queued again after this long. */
  strandedS: 30,
  /** A progress note is written at most this often; the last one always is. */
  progressMs: 500,
  taskPageRows: 50,
  taskPageMaxRows: 200,
});

/** graphile-worker keeps priorities in a smallint. */
export const MAX_PRIORITY = 32_767;

/** What a test makes smaller; everyone else has JOB_LIMITS. */
export interface JobTiming {
  readonly beatMs: number;
  readonly beatsMissed: number;
  readonly sweepMs: number;
  readonly pollMs: number;
  readonly abandonMs: number;
  readonly stopGraceMs: number;
  readonly hookRetryS: number;
  readonly successionMs: number;
}
