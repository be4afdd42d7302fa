/** Every number of the sign-in, in one place with its unit. */
export const AUTH_LIMITS = Object.freeze({
  passwordMinChars: 10,
  /** scrypt reads the whole text: a bound keeps a megabyte from being one. */
  passwordMaxChars: 256,
  /** scrypt cost: 2^15 × 8 × 1 needs 32 MB and some 60 ms (OWASP, password storage: N=2^15, r=8, p=3; p=1 with a rate limit). */
  scryptLogN: 15,
  scryptR: 8,
  scryptP: 1,
  scryptMaxMemoryBytes: 128 * 1024 * 1024,
  saltBytes: 16,
  hashBytes: 32,
  /** Hashes computed at once; the others wait, so that a flood of sign-ins takes no more memory than this. */
  hashesAtOnce: 2,
  /** Those that may wait; beyond it the sign-in is refused at once. */
  hashesWaiting: 64,

  tokenBytes: 32,
  /** A session ends this long after it was last used, */
  sessionIdleMs: 12 * 60 * 60_000,
  /** and this long after it began, whatever happens. */
  sessionTotalMs: 30 * 24 * 60 * 60_000,
  /** last_seen_at is written at most this often. */
  sessionTouchMs: 60_000,
  /** A session revoked by another process lives on here no longer than this. */
  sessionCacheMs: 5_000,
  sessionCacheEntries: 10_000,

  failuresPerAccount: 8,
  failuresPerAddress: 40,
  /** Asking for one's own password again, right or wrong, within failureWindowMs: each takes a hash. */
  passwordChecksPerAccount: 8,
  failureWindowMs: 15 * 60_000,
  failureEntries: 50_000,

  /** A link to a new password works this long, */
  resetLinkMs: 60 * 60_000,
  /** one that confirms an address this long, */
  confirmLinkMs: 24 * 60 * 60_000,
  /** after which nobody waits for it any more: the account is removed; */
  unconfirmedMs: 7 * 24 * 60 * 60_000,
  /** and a sign-in waits this long for its second factor. */
  secondFactorMs: 5 * 60_000,
  /** Codes tried for one account within failureWindowMs. */
  codesPerAccount: 8,
  /** Links by mail within failureWindowMs, for one address of mail and from one sender. */
  resetsPerEmail: 3,
  resetsPerSender: 20,
  /** Accounts that one sender may register within failureWindowMs. */
  registrationsPerSender: 5,
  /** Wrong tokens of the store from one sender, within failureWindowMs. */
  uploadTokensPerSender: 10,

  operatorLinkMs: 24 * 60 * 60_000,
});
