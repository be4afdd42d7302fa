/** Tells a lost connection from everything else that a query may fail with: then it is worth trying again, and nobody's fault. */

/** postgres.js's own codes, those of sockets, and PostgreSQL's classes 08 (connection) and 57P (shut down, starting up). */
const AWAY =
  /^(CONNECTION_CLOSED|CONNECTION_ENDED|CONNECTION_DESTROYED|CONNECT_TIMEOUT|ECONN[A-Z]+|EPIPE|ENOENT|ETIMEDOUT|08...|57P..)$/;

export function isDatabaseAway(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && AWAY.test(error.code);
}
