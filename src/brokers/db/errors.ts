/**
 * What PostgreSQL said, as what a module's author may read: a closed code and a text that says what is wrong. Only errors about the
 * module's own statement, rows and tables keep PostgreSQL's words; "denied" and "absent" become one answer, so that nothing can
 * be learned about what is not the module's.
 */
import postgres from 'postgres';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Verdict } from '../../database/guard/check-statement.ts';

const UNIQUE = '23505';
const EXCLUSION = '23P01';
const ABORTED = '25P02';
const CANCELED = '57014';
/** insufficient_privilege, undefined_table, invalid_schema_name */
const NOT_THERE = new Set(['42501', '42P01', '3F000']);

/** Whose messages name nothing but what stands in the statement or the module's own tables. */
const SPEAKABLE_CLASSES = new Set(['21', '22', '23', '42', '44']);
const SPEAKABLE = new Set(['0A000', '2BP01', '428C9', '54000', '54001', '54011', '54023']);

const PLAIN: Readonly<Record<string, string>> = {
  [ABORTED]:
    'an earlier statement of this transaction failed; nothing more can run in it. End it and begin anew.',
  '40001': 'the rows were changed by someone else meanwhile; run the transaction again.',
  '40P01':
    'two transactions waited for each other (deadlock); change rows in the same order everywhere and run it again.',
  '55P03': 'a row is locked by another transaction; try again.',
  '53200': 'the statement needs more memory than there is; ask for less.',
  '53400': 'the statement needs more temporary space than there is; ask for less or add an index.',
  '53100': 'the disk of the database is full.',
};

function sayOf(error: postgres.PostgresError): string | undefined {
  const plain = PLAIN[error.code];
  if (plain !== undefined) return plain;
  if (SPEAKABLE_CLASSES.has(error.code.slice(0, 2)) || SPEAKABLE.has(error.code)) return `${error.message}.`;
  return undefined;
}

/** Columns of a unique violation: `Key (tenant, email)=(…)`. Its values stay out: the message may reach a client. */
function columnsOf(detail: string | undefined): string[] {
  const inside = /\(([^)=]*)\)=/.exec(detail ?? '')?.[1] ?? '';
  return inside === '' ? [] : inside.split(', ').map((name) => name.replace(/^"(.*)"$/, '$1'));
}

function notUnique(error: postgres.PostgresError): HostError {
  const columns = columnsOf(error.detail);
  const what = columns.length === 0 ? (error.constraint_name ?? 'this value') : columns.join(', ');
  const data = { constraint: error.constraint_name ?? null, table: error.table_name ?? null, columns };
  return new HostError('DB_UNIQUE', `db: there is a row with this ${what} already.`, { data, cause: error });
}

function notThere(verdict: Verdict, cause: unknown): HostError {
  const tables = verdict.tables.map((table) => `"${table}"`).join(', ');
  const text =
    verdict.tables.length > 1 ? `one of the tables ${tables} does not exist` : `there is no table ${tables}`;
  return new HostError(
    'DB_ERROR',
    `db: ${tables === '' ? 'a table does not exist' : text}; make it in activate().`,
    { cause },
  );
}

/** True for an error that may mean "over quota": the right to insert was taken. */
export function isDenied(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === '42501';
}

/**
 * The error for the module. HostErrors pass; what nobody foresaw becomes INTERNAL with its cause for the operator's log.
 */
export function toHostError(error: unknown, verdict: Verdict): HostError {
  if (error instanceof HostError) return error;
  if (!(error instanceof postgres.PostgresError)) {
    return new HostError('INTERNAL', 'The database call failed on our side.', { cause: error });
  }
  if (error.code === UNIQUE || error.code === EXCLUSION) return notUnique(error);
  if (NOT_THERE.has(error.code)) return notThere(verdict, error);
  if (error.code === CANCELED)
    return new HostError('TIMEOUT', 'db: the statement took too long and was cancelled.', { cause: error });
  const say = sayOf(error);
  if (say === undefined) {
    return new HostError('INTERNAL', 'The database failed on our side; the cause is in the operator’s log.', {
      cause: error,
    });
  }
  const data = {
    sqlstate: error.code,
    table: error.table_name ?? null,
    column: error.column_name ?? null,
    constraint: error.constraint_name ?? null,
  };
  return new HostError('DB_ERROR', `db: ${say}`, { data, cause: error });
}
