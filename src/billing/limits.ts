/** Numbers of billing that no tenant sets. */
export const BILLING_LIMITS = Object.freeze({
  /** One amount; far below what a number holds, so that sums stay exact. */
  amountMaxMinor: 1_000_000_000_000,
  invoiceItems: 100,
  /** Missed periods that one invoice catches up with; the rest follows on the next. */
  periodsAnInvoice: 60,
  /** Services billed in one page of a round. */
  servicesARound: 500,
  /** Services of one tenant that a round acts on; the rest is the next round's. */
  dutiesOfTenant: 20,
  /** Tenants whose modules are asked at a time. */
  tenantsAtOnce: 8,
  /** After this a round begins nothing more. */
  dutiesRoundMs: 10_000,
  /** How often the host looks for services it must act on: a client who paid waits so long at most. */
  actEveryMs: 1_000,
  /** How often periods, due dates and cancellations are looked at. */
  billEveryMs: 60_000,
  /** An order whose module was not asked within this time (its process died) is anybody's to make. */
  orderResumeMs: 60_000,
  /** An action that was refused or failed is tried again after this long, and then after twice as long each time, */
  retryActionMs: 600_000,
  /** but no longer than this: what else is to be done with the service waits as well. */
  retryActionMaxMs: 21_600_000,
  /** After so many tries (about a day) it is left to a person. */
  actionTries: 10,
  /** A module that refuses to renew is asked so often. */
  renewTries: 20,
  /** How often a client may begin to pay within the window of all tries (AUTH_LIMITS.failureWindowMs): each enters a module and asks its gateway. */
  paymentsBegun: 30,
  serviceNameChars: 100,
  payloadBytes: 65_536,
  /** How often an hour listeners (and the client, by mail) are told that one invoice could not be paid. */
  failuresAnHour: 5,
});
