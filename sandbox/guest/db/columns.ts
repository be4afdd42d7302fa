/**
 * The column types of the guide that Kysely has no word for, for `db.schema.createTable(...)`:
 *
 *     await this.db.schema
 *       .createTable('vps_servers')
 *       .ifNotExists()
 *       .$call(id)
 *       .addColumn('service_uuid', 'uuid', (column) => column.notNull())
 *       .addColumn('hostname', string(), (column) => column.notNull())
 *       .addColumn('ip_address', ipAddress)
 *       .addColumn('status', 'text', oneOf('status', ['creating', 'active'], (column) => column.notNull()))
 *       .addColumn('server_specs', 'jsonb')
 *       .$call(timestamps)
 *       .execute();
 *
 * text, integer, boolean, uuid, jsonb and the others are Kysely's own; unique(), defaultTo() and references() too.
 */
import { sql } from 'kysely';
import type { ColumnDefinitionBuilder, CreateTableBuilder, RawBuilder } from 'kysely';

type Define = (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;

const MAX_STRING = 10_485_760;

/** `$table->id()`: a number that counts up, the primary key. */
export function id<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
): CreateTableBuilder<T, C | 'id'> {
  return table.addColumn('id', 'bigint', (column) => column.primaryKey().generatedByDefaultAsIdentity());
}

/** `$table->uuid()->primary()`: a random uuid, the primary key. */
export function uuid<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
): CreateTableBuilder<T, C | 'uuid'> {
  return table.addColumn('uuid', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`));
}

/** `$table->timestamps()`: created_at and updated_at, both set when the row is made; model() keeps updated_at. */
export function timestamps<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
): CreateTableBuilder<T, C | 'created_at' | 'updated_at'> {
  return table
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`));
}

/** `$table->string('name', length)`. */
export function string(length = 255): `varchar(${number})` {
  if (!Number.isInteger(length) || length < 1 || length > MAX_STRING) {
    throw new RangeError(`string(${length}): a length from 1 to ${MAX_STRING} is expected.`);
  }
  return `varchar(${length})`;
}

/** `$table->ipAddress('ip')`: an IPv4 or IPv6 address, checked by the database. */
export const ipAddress: RawBuilder<string> = sql<string>`inet`;

/** `$table->enum('status', […])`: a text column that takes these values only. */
export function oneOf(
  column: string,
  values: readonly [string, ...string[]],
  define: Define = (builder) => builder,
): Define {
  const list = sql.join(values.map((value) => sql.lit(value)));
  return (builder) => define(builder.check(sql`${sql.ref(column)} in (${list})`));
}
