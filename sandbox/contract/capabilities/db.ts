/**
 * db: tables of the module's own, in a schema of its own, as a database role of its own. Kysely compiles in the isolate; the
 * host parses every text with PostgreSQL's own parser and runs only what a closed list allows.
 * Values: parameters and cells are JSON. Instants are ISO texts; bytes are {"$bytes": base64}. `columns` says each cell's type, so
 * that the guest gives back Date, Uint8Array, number or parsed JSON.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

const Statement = {
  sql: v.pipe(v.string(), v.maxLength(LIMITS.dbTextBytes)),
  parameters: v.pipe(v.array(v.unknown()), v.maxLength(LIMITS.dbParameters)),
  /** The transaction this statement belongs to; absent: one of its own. */
  trx: v.optional(v.number()),
};
const Column = v.object({
  name: v.string(),
  type: v.picklist([
    'text',
    'number',
    'bigint',
    'numeric',
    'boolean',
    'json',
    'date',
    'timestamp',
    'bytes',
    'array',
  ]),
});
const Rows = v.array(v.array(v.unknown()));

export const db = capability({
  title: 'Database',
  doc: 'Keep data in tables of its own.',
  icon: 'database',
  inherent: false,
  grant: {
    tables: {
      sort: 'amount',
      doc: 'How many tables the module may have.',
      risk: 'low',
      unit: 'tables',
      fallback: 10,
      max: 200,
      words: (n: number) => `Keep data in up to ${n} tables of its own. It cannot see any other table.`,
    },
    storage_mb: {
      sort: 'amount',
      doc: 'How much the tables and indexes may hold.',
      risk: 'low',
      unit: 'MB',
      fallback: 50,
      max: 100_000,
      words: (n: number) => `Store up to ${n} MB.`,
    },
  },
  ops: {
    query: op(
      'Runs one statement and returns all its rows (at most dbRows).',
      v.object(Statement),
      v.object({ columns: v.array(Column), rows: Rows, affected: v.number() }),
    ),
    begin: op(
      'Opens a transaction; while it is open, statements outside it are refused with DB_USE_TRX.',
      v.object({}),
      v.object({ trx: v.number() }),
    ),
    end: op('Commits or rolls back.', v.object({ trx: v.number(), commit: v.boolean() }), v.object({})),
    open: op(
      'Opens a cursor for reading in chunks.',
      v.object(Statement),
      v.object({ cursor: v.number(), columns: v.array(Column) }),
    ),
    next: op(
      'Reads the next chunk (dbStreamChunkRows rows, or fewer by bytes).',
      v.object({ cursor: v.number() }),
      v.object({ columns: v.array(Column), rows: Rows, done: v.boolean() }),
    ),
    close: op('Closes a cursor before its end.', v.object({ cursor: v.number() }), v.object({})),
  },
});
