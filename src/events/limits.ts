/** The numbers of events and of their delivery. */
export const EVENT_LIMITS = Object.freeze({
  /** Undelivered events are looked for this often; new ones are announced. */
  pollMs: 1_000,
  /** Events that one round hands out, over all tenants. */
  perRound: 100,
  /** A handler that has not begun this long after its turn came holds up the others no longer. */
  turnMs: 30_000,
  /** A module's handler: tries, and seconds between them. */
  handlerTries: 3,
  handlerBackoffS: 30,
  handlerTimeoutS: 60,
  /** A subscriber of the host: tries, and seconds between them, growing. */
  subscriberTries: 6,
  subscriberBackoffS: 5,
  subscriberBackoffGrowth: 4,
  keptDays: 30,
  /** Old events are looked for this often, and removed this many at once. */
  cleanMs: 600_000,
  cleanRows: 5_000,
});
