/**
 * One statement of a module on one connection: checked against the quota before, measured after, its error translated. Who holds
 * the connection and what transaction it is in is the session's affair.
 */
import type { Grant } from '../../../sandbox/contract/capabilities.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { Verdict } from '../../database/guard/check-statement.ts';
import { NotAnswered, tooLarge } from '../../database/modules/connection.ts';
import type { Answer, ModuleConnection, RunOptions } from '../../database/modules/connection.ts';
import { isDenied, toHostError } from './errors.ts';
import type { Quota, Written } from './quota.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly verdict: Verdict;
}

/** The server's form of a row is larger than its texts: four bytes a cell and a head. */
const WIRE_BYTES = 2 * LIMITS.resultBytes;

/** Bounds of a statement that begins now, in an invocation that ends at `deadlineAt`. */
export function boundsUntil(deadlineAt: number, signal: AbortSignal): RunOptions {
  return {
    stopAt: Math.min(performance.now() + LIMITS.dbStatementMs, deadlineAt),
    maxBytes: WIRE_BYTES,
    signal,
  };
}

function parameterBytes(parameters: readonly unknown[]): number {
  let bytes = 0;
  for (const value of parameters) {
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object' && value !== null) bytes += JSON.stringify(value).length;
  }
  return bytes;
}

export interface StatementOptions {
  readonly bounds: RunOptions;
  readonly quota: Quota;
  readonly grant: Grant<'db'>;
  /** What an error would undo; see Written. */
  readonly undoable: Written['undoable'];
}

/**
 * Runs a statement. A write that overfills the installation is an error where it can still be undone.
 * @throws HostError only
 */
export async function runStatement(
  connection: ModuleConnection,
  statement: Statement,
  options: StatementOptions,
): Promise<Answer> {
  const { verdict, sql, parameters } = statement;
  const { quota, grant, bounds, undoable } = options;
  try {
    const answer = await connection.run(sql, parameters, bounds);
    checkSize(answer);
    if (verdict.writes || verdict.grows) {
      const written = { rows: answer.affected, bytes: parameterBytes(parameters), undoable };
      await quota.afterWrite(connection, verdict, written, grant.storage_mb);
    }
    return answer;
  } catch (error) {
    if (verdict.grows && isDenied(error)) await foundFull(quota, grant.storage_mb);
    throw toHostError(error, verdict);
  }
}

/**
 * The answer of a plain SELECT that was sent already.
 * @throws HostError; NotAnswered as it is
 */
export async function readAnswer(answering: Promise<Answer>, verdict: Verdict): Promise<Answer> {
  try {
    const answer = await answering;
    checkSize(answer);
    return answer;
  } catch (error) {
    throw error instanceof NotAnswered ? error : toHostError(error, verdict);
  }
}

/**
 * The right to write is gone: this or another process found the installation full. Looks for itself.
 * @throws HostError DB_QUOTA, always
 */
async function foundFull(quota: Quota, storageMb: number): Promise<never> {
  await quota.recover(storageMb);
  await quota.beforeWrite(storageMb);
  throw new HostError('DB_QUOTA', 'db: the storage granted was full until now; run the statement again.');
}

/** @throws HostError LIMIT */
function checkSize(answer: Answer): void {
  if (answer.rows.length > LIMITS.dbRows) {
    throw new HostError('LIMIT', `db: more than ${LIMITS.dbRows} rows; add a limit, or use stream().`);
  }
  if (answer.sizeBytes > LIMITS.resultBytes) throw tooLarge();
}
