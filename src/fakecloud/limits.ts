/**
 * The fake cloud's bounds. It runs for a whole demo or a whole test suite, fed by programs that are meant to misbehave, so
 * everything it keeps has an end; the oldest entry goes first.
 */
export const FAKECLOUD_LIMITS = Object.freeze({
  requestBytes: 1024 * 1024,
  ledgerEntries: 10_000,
  replays: 10_000,

  droplets: 500,
  snapshotsPerDroplet: 50,
  pageSize: 200,
  consoleMs: 5 * 60_000,
  metricsPoints: 240,

  faults: 100,
  faultTimes: 10_000,
  faultDelayMs: 120_000,
  slowBodyParts: 10,
  globChars: 200,
  globStars: 8,

  checkoutSessions: 5_000,
  checkoutOpenMs: 24 * 3_600_000,
  webhookEndpoints: 16,
  webhookDeliveries: 2_000,
  webhookCopies: 5,
  webhookDelayMs: 120_000,
  webhookAnswerMs: 10_000,
  webhookAnswerChars: 200,

  slackMessages: 500,
  slackAttachments: 100,

  mails: 500,
  mailBytes: 10 * 1024 * 1024,
  mailRecipients: 100,
  smtpCommandBytes: 12_288,
  smtpConnections: 50,
  smtpIdleMs: 5 * 60_000,
  smtpErrorsPerConnection: 20,

  readyMs: 15_000,
  stopMs: 3_000,
});
