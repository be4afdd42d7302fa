/** First keys of our two-part advisory locks in the host's database, one a purpose; the second is a hash of what is locked. */
export const LOCKS = Object.freeze({
  /** Held for a transaction by whoever changes the status of an installation's tasks. */
  installationTasks: 1_148_218,
  /** Held by a worker on its own connection for as long as it lives. */
  worker: 1_148_219,
  /** Held for a transaction by the one process that looks for orphans. */
  sweep: 1_148_220,
  /** Held for a transaction by whoever renumbers a tenant's waiting jobs. */
  tenantQueue: 1_148_221,
  /** Held for a transaction by whoever stores an installation's secret: how many there are is counted before. */
  secrets: 1_148_222,
  /** The same for hosts that an installation asks for. */
  hostRequests: 1_148_223,
  /** Held for a transaction by whoever counts a try to sign in. */
  tries: 1_148_224,
});
