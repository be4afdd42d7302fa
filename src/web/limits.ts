/** The panel's own numbers, each with its unit. */
export const WEB_LIMITS = Object.freeze({
  /** A form or a module's call; a webhook delivery has the same bound. */
  bodyBytes: 1024 * 1024,
  /** Fields of one form; a consent page has at most three a line. */
  formFields: 2_000,
  packageBytes: 64 * 1024 * 1024,
  pageRows: 50,
  timelineRows: 400,
  /** A search in the log is given up after this. */
  searchMs: 3_000,
  /** A tenant row may be this old before it is read again. */
  tenantCacheMs: 5_000,
  tenantCacheEntries: 1_000,
  /** Live pages: how often the fingerprint of what they show is compared, */
  livePollMs: 1_000,
  /** how long one stream lives before the browser opens another, */
  liveStreamMs: 10 * 60_000,
  /** and how many one account may hold. */
  liveStreamsPerAccount: 10,
  /** Webhook deliveries a minute, by endpoint and by address. */
  hooksPerMinute: 600,
  hookEntries: 10_000,
  /** What a module may answer to a delivery. */
  hookAnswerBytes: 64 * 1024,
  /** Compressible files below this are sent as they are. */
  compressFromBytes: 1_024,
});
