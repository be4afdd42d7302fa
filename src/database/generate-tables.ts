/**
 * Writes the migrated schema down as TypeScript, so that a query naming a column that is not there does not compile.
 * The database is asked, not the SQL files: whatever PostgreSQL understood is what is true.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { HostSql } from './connect.ts';

interface Column {
  table_name: string;
  column_name: string;
  type_name: string;
  element_type: string | null;
  not_null: boolean;
  has_default: boolean;
  /** `a` always, `d` by default, empty: no identity. */
  identity: string;
  is_computed: boolean;
  checks: string[];
  enum_labels: string[] | null;
}

/** What the host's client gives and takes for each type (see connect.ts). */
const TYPES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  bytea: 'Bytes',
  date: 'string',
  float4: 'number',
  float8: 'number',
  inet: 'string',
  int2: 'number',
  int4: 'number',
  int8: 'number',
  interval: 'string',
  json: 'Json',
  jsonb: 'Json',
  numeric: 'Numeric',
  text: 'string',
  timestamptz: 'Date',
  tsvector: 'string',
  uuid: 'string',
  varchar: 'string',
};

const HEADER = `/** Generated from migrations/ by \`npm run generate\`: the host's tables as Kysely sees them. Not to be edited. */
import type { ColumnType } from 'kysely';
`;

/** The helper types; a generated file holds those that it uses. The brackets keep unions of literals whole. */
const HELPERS: Readonly<Record<string, string>> = {
  Defaulted: `/** A column that the database fills when an insert leaves it out. */
type Defaulted<T> = [T] extends [ColumnType<infer S, infer I, infer U>] ? ColumnType<S, I | undefined, U> : ColumnType<T, T | undefined, T>;
`,
  Computed: `/** A column that only the database fills. */
type Computed<T> = [T] extends [ColumnType<infer S, unknown, unknown>] ? ColumnType<S, never, never> : ColumnType<T, never, never>;
`,
  Nullable: `/** A column that may be null. */
type Nullable<T> = [T] extends [ColumnType<infer S, infer I, infer U>] ? ColumnType<S | null, I | null | undefined, U | null> : T | null;
`,
  Json: `/** Written as any JSON value but null; read as unknown, to be parsed. */
type Json = ColumnType<unknown, string | number | boolean | object, string | number | boolean | object>;
`,
  Bytes: `type Bytes = ColumnType<Buffer, Uint8Array, Uint8Array>;
`,
  Numeric: `/** Exact: read as text. */
type Numeric = ColumnType<string, string | number, string | number>;
`,
};

const BY_NAME = new Intl.Collator('en').compare;

async function readColumns(sql: HostSql, schema: string): Promise<Column[]> {
  return sql<Column[]>`
    select
      c.relname as table_name,
      a.attname as column_name,
      t.typname as type_name,
      e.typname as element_type,
      a.attnotnull as not_null,
      a.atthasdef and a.attgenerated = '' as has_default,
      a.attidentity::text as identity,
      a.attgenerated <> '' as is_computed,
      coalesce((
        select array_agg(pg_get_constraintdef(k.oid) order by k.conname)
        from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
      ), '{}') as checks,
      (select array_agg(l.enumlabel::text order by l.enumsortorder) from pg_enum l where l.enumtypid = t.oid) as enum_labels
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
    where c.relnamespace = ${schema}::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by c.relname, a.attnum`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** The values of `check (column in ('a', 'b'))`, which PostgreSQL writes back as `= ANY (ARRAY['a'::text, …])`. */
export function literalsOf(check: string): string[] | undefined {
  const list = /^CHECK \(\(\w+ = ANY \(ARRAY\[(.*)\]\)\)\)$/.exec(check)?.[1];
  if (list === undefined) return undefined;
  const item = /'((?:[^']|'')*)'::text(?:, |$)/y;
  const literals: string[] = [];
  while (item.lastIndex < list.length) {
    const value = item.exec(list)?.[1];
    if (value === undefined) return undefined;
    literals.push(value.replaceAll("''", "'"));
  }
  return literals;
}

function union(literals: readonly string[]): string {
  return literals.map(quote).join(' | ');
}

function baseType(column: Column): string {
  if (column.enum_labels !== null) return union(column.enum_labels);
  const literals = column.checks.map(literalsOf).find((found) => found !== undefined);
  if (column.type_name === 'text' && literals !== undefined) return union(literals);
  const name = column.element_type ?? column.type_name;
  const type = TYPES[name];
  if (type === undefined) {
    throw new HostError(
      'CONFLICT',
      `${column.table_name}.${column.column_name} is of type ${name}, which src/database/generate-tables.ts does not know yet.`,
    );
  }
  return column.element_type === null ? type : `${type}[]`;
}

function columnType(column: Column): string {
  const base = baseType(column);
  const nullable = column.not_null ? base : `Nullable<${base}>`;
  if (column.is_computed || column.identity === 'a') return `Computed<${nullable}>`;
  return column.has_default || column.identity === 'd' ? `Defaulted<${nullable}>` : nullable;
}

function interfaceName(table: string): string {
  const words = table.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}Table`;
}

function renderTable(table: string, columns: readonly Column[]): string {
  const lines = columns.map((column) => `  ${column.column_name}: ${columnType(column)};`);
  return `export interface ${interfaceName(table)} {\n${lines.join('\n')}\n}\n`;
}

/**
 * The text of src/database/tables.ts for a migrated database: one interface a table, and `Tables` for Kysely. The same
 * schema gives the same text. Lines may be longer than the formatter likes: run it over the file.
 * @throws HostError CONFLICT for a column type that has no TypeScript type yet
 */
export async function renderTables(sql: HostSql, schema = 'public'): Promise<string> {
  const byTable = Map.groupBy(await readColumns(sql, schema), (column) => column.table_name);
  const tables = [...byTable].toSorted(([a], [b]) => BY_NAME(a, b));
  const interfaces = tables.map(([table, columns]) => renderTable(table, columns));
  const list = tables.map(([table]) => `  ${table}: ${interfaceName(table)};`);
  const helpers = Object.keys(HELPERS).filter((name) =>
    interfaces.some((text) => new RegExp(`\\b${name}\\b`).test(text)),
  );
  return [
    HEADER,
    ...helpers.map((name) => HELPERS[name]),
    ...interfaces,
    `export interface Tables {\n${list.join('\n')}\n}\n`,
  ].join('\n');
}
