/**
 * Values on their way to and from the host. Towards it: instants as ISO texts, bytes as {"$bytes"}, plain objects as JSON texts (so
 * that an object which happens to have a key "$bytes" stays an object). Back: by the type of each column.
 */
import type { OpOutput } from '../../contract/capabilities.ts';
import { decodeBase64, encodeBase64 } from '../web/base64.ts';

type Columns = OpOutput<'db', 'query'>['columns'];
type ColumnType = Columns[number]['type'];

/** One parameter as JSON. Lists stay lists: the host knows whether the column is an array or JSON. */
export function writeParameter(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return { $bytes: encodeBase64(value) };
  if (Array.isArray(value))
    return value.map((item: unknown) => (isPlain(item) ? item : writeParameter(item)));
  return JSON.stringify(value);
}

function isPlain(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !(value instanceof Date) && !(value instanceof Uint8Array)
  );
}

function isBytes(value: unknown): value is { $bytes: string } {
  return typeof value === 'object' && value !== null && '$bytes' in value && typeof value.$bytes === 'string';
}

function instant(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const date = new Date(value);
  // 'infinity' and years before Christ stay texts.
  return Number.isNaN(date.getTime()) ? value : date;
}

function same(value: unknown): unknown {
  return value;
}

const READERS: Readonly<Record<ColumnType, (value: unknown) => unknown>> = {
  text: same,
  boolean: same,
  json: same,
  array: same,
  /** A day is no instant: as a Date it would move with the time zone. */
  date: same,
  /** Exact: a text, as PostgreSQL writes it. */
  numeric: same,
  number: (value) => (typeof value === 'string' ? Number(value) : value),
  bigint: (value) => (typeof value === 'string' ? BigInt(value) : value),
  timestamp: instant,
  bytes: (value) => (isBytes(value) ? decodeBase64(value.$bytes) : value),
};

/** Rows as objects, with Date, Uint8Array and bigint (beyond 2^53) where the columns say so. */
export function readRows<R>(columns: Columns, rows: readonly (readonly unknown[])[]): R[] {
  const readers = columns.map(({ name, type }) => ({ name, read: READERS[type] }));
  // Each row begins as a copy of this one: a column may have any name, and to assign what is there already is the same for all names.
  const blank: Readonly<Record<string, unknown>> = Object.fromEntries(
    columns.map(({ name }) => [name, null]),
  );
  return rows.map((row) => {
    const made: Record<string, unknown> = { ...blank };
    readers.forEach(({ name, read }, index) => {
      const cell = row[index] ?? null;
      made[name] = cell === null ? null : read(cell);
    });
    // What a row is, only the author's own Tables interface says.
    return made as R;
  });
}
