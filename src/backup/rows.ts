/**
 * The rows of a backup's tables, out of a database and into one. Each value travels as the text its type writes, in an array of JSON that
 * PostgreSQL makes and takes apart itself: an array line is never parsed here. COPY would do the same, but postgres.js waits for ever for one
 * that fails at its end.
 */
import type { SequenceOfBackup, TableOfBackup } from './lines.ts';
import type { Trx } from './module-schema.ts';

/** Rows fetched at a time; of tables with bytes (packages), where one may be many megabytes, few. */
const ROWS = 200;
const ROWS_OF_BYTES = 4;
/** One insert takes so much, or one row that is larger. */
const INSERT_CHARACTERS = 1_000_000;

/** The same text means the same value on both sides, whatever a server is set to. */
const PLAIN = [
  "set local datestyle = 'ISO, YMD'",
  "set local intervalstyle = 'postgres'",
  'set local extra_float_digits = 3',
  "set local bytea_output = 'hex'",
  "set local timezone = 'UTC'",
];

export async function usePlainTexts(trx: Trx): Promise<void> {
  for (const statement of PLAIN) await trx.unsafe(statement);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function target({ schema, name }: TableOfBackup): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** Tables of a schema with what must be kept. Unlogged ones hold what may be lost (caches, counts of tries), computed columns follow from others. */
export async function tablesOf(
  trx: Trx,
  database: TableOfBackup['database'],
  schema: string,
  leftOut: readonly string[] = [],
): Promise<TableOfBackup[]> {
  const columns = await trx<{ table: string; name: string; type: string }[]>`
    select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relnamespace = ${schema}::regnamespace and c.relkind = 'r' and c.relpersistence = 'p'
      and c.relname <> all(${leftOut})
    order by c.relname, a.attnum`;
  return [...Map.groupBy(columns, ({ table }) => table)].map(([name, own]) => ({
    is: 'table',
    database,
    schema,
    name,
    columns: own.map((column) => ({ name: column.name, type: column.type })),
  }));
}

/** Each row as a line. */
export async function* rowsOf(trx: Trx, table: TableOfBackup): AsyncGenerator<string[]> {
  const values = table.columns.map(({ name }) => `${quoted(name)}::text`).join(', ');
  const hasBytes = table.columns.some(({ type }) => type === 'bytea');
  const found = trx
    .unsafe<{ line: string }[]>(`select json_build_array(${values})::text as line from only ${target(table)}`)
    .cursor(hasBytes ? ROWS_OF_BYTES : ROWS);
  for await (const rows of found) yield rows.map(({ line }) => line);
}

/** Takes rows of one table and writes them in turns; `end` writes the rest. */
export class RowWriter {
  readonly #trx: Trx;
  readonly #statement: string;
  #held: string[] = [];
  #characters = 0;

  constructor(trx: Trx, table: TableOfBackup) {
    this.#trx = trx;
    const names = table.columns.map(({ name }) => quoted(name)).join(', ');
    const values = table.columns.map(({ type }, at) => `(r.v ->> ${at})::${type}`).join(', ');
    this.#statement = `insert into ${target(table)} (${names}) overriding system value select ${values} from json_array_elements($1::text::json) as r (v)`;
  }

  async write(line: string): Promise<void> {
    this.#held.push(line);
    this.#characters += line.length;
    if (this.#characters >= INSERT_CHARACTERS) await this.end();
  }

  async end(): Promise<void> {
    if (this.#held.length === 0) return;
    const rows = `[${this.#held.join(',')}]`;
    this.#held = [];
    this.#characters = 0;
    await this.#trx.unsafe(this.#statement, [rows]);
  }
}

export async function sequencesOf(
  trx: Trx,
  database: SequenceOfBackup['database'],
  schema: string,
): Promise<SequenceOfBackup[]> {
  const found = await trx<{ name: string }[]>`
    select format('%I.%I', ${schema}::text, relname) as name from pg_class
    where relnamespace = ${schema}::regnamespace and relkind = 'S' and relpersistence = 'p' order by relname`;
  const read: SequenceOfBackup[] = [];
  for (const { name } of found) {
    const [at] = await trx.unsafe<{ value: string; called: boolean }[]>(
      `select last_value::text as value, is_called as called from ${name}`,
    );
    if (at !== undefined) read.push({ is: 'sequence', database, name, ...at });
  }
  return read;
}

export async function setSequence(trx: Trx, { name, value, called }: SequenceOfBackup): Promise<void> {
  await trx`select setval(${name}::regclass, ${value}::text::bigint, ${called})`;
}
