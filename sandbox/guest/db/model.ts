/**
 * A model as the guide has them, in the small: which columns may be filled from outside, and which are kept encrypted. A row is a plain
 * object; what the host encrypted reads as it was written.
 *
 *     const servers = model(this.db, 'cloud_servers', { fillable: ['name', 'host', 'password'], encrypted: ['password'] });
 *     const server = await servers.where('active', true).first();
 */
import type { Insertable, Kysely, Selectable, Updateable } from 'kysely';

import type { Env } from '../env.ts';
import { envOf } from './adapter.ts';

type Column<Row> = keyof Row & string;
type Row = Record<string, unknown>;
type AnyTables = Record<string, Row>;
export type Comparison =
  | '='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'like'
  | 'ilike'
  | 'in'
  | 'not in'
  | 'is'
  | 'is not';

export interface ModelOptions<Row> {
  /** Columns that create() and update() take; all others in their argument are left out. */
  readonly fillable: readonly Column<Row>[];
  /** Text columns that only the host's key opens. They cannot be searched. */
  readonly encrypted?: readonly Column<Row>[];
  /** The table has updated_at (timestamps()): update() sets it. */
  readonly timestamps?: boolean;
}

interface Condition {
  readonly column: string;
  readonly comparison: Comparison;
  readonly value: unknown;
}

interface Order {
  readonly column: string;
  readonly direction: 'asc' | 'desc';
}

interface Source {
  readonly db: Kysely<AnyTables>;
  readonly env: Env;
  readonly table: string;
  readonly fillable: ReadonlySet<string>;
  readonly encrypted: readonly string[];
  readonly timestamps: boolean;
}

/** A choice of rows. Each call makes a new one, so that a choice may be kept and refined. */
export class Model<R, New, Change> {
  readonly #source: Source;
  readonly #conditions: readonly Condition[];
  readonly #orders: readonly Order[];
  readonly #limit: number | undefined;

  constructor(
    source: Source,
    conditions: readonly Condition[] = [],
    orders: readonly Order[] = [],
    limit?: number,
  ) {
    this.#source = source;
    this.#conditions = conditions;
    this.#orders = orders;
    this.#limit = limit;
  }

  /** Rows where the column equals the value. */
  where<C extends Column<R>>(column: C, value: R[C]): Model<R, New, Change>;
  /** Rows where the column compares so with the value. */
  where<C extends Column<R>>(
    column: C,
    comparison: Comparison,
    value: R[C] | readonly R[C][],
  ): Model<R, New, Change>;
  where(column: string, ...rest: readonly unknown[]): Model<R, New, Change> {
    const [comparison, value] = rest.length === 1 ? ['=', rest[0]] : rest;
    const condition = {
      column,
      comparison: (value === null && comparison === '=' ? 'is' : comparison) as Comparison,
      value,
    };
    return new Model(this.#source, [...this.#conditions, condition], this.#orders, this.#limit);
  }

  orderBy(column: Column<R>, direction: 'asc' | 'desc' = 'asc'): Model<R, New, Change> {
    return new Model(this.#source, this.#conditions, [...this.#orders, { column, direction }], this.#limit);
  }

  limit(rows: number): Model<R, New, Change> {
    return new Model(this.#source, this.#conditions, this.#orders, rows);
  }

  /** All rows of the choice. */
  async get(): Promise<R[]> {
    let query = this.#source.db.selectFrom(this.#source.table).selectAll();
    for (const { column, comparison, value } of this.#conditions)
      query = query.where(column, comparison, value);
    for (const { column, direction } of this.#orders) query = query.orderBy(column, direction);
    if (this.#limit !== undefined) query = query.limit(this.#limit);
    const rows: R[] = [];
    // One row at a time: an invocation has a bounded number of calls in flight.
    for (const row of await query.execute()) rows.push(await this.#opened(row));
    return rows;
  }

  async first(): Promise<R | undefined> {
    return (await this.limit(1).get())[0];
  }

  async count(): Promise<number> {
    let query = this.#source.db
      .selectFrom(this.#source.table)
      .select(({ fn }) => fn.countAll<number>().as('rows'));
    for (const { column, comparison, value } of this.#conditions)
      query = query.where(column, comparison, value);
    return (await query.executeTakeFirstOrThrow()).rows;
  }

  /** Adds a row of the fillable columns and returns it as the database has it. */
  async create(values: New): Promise<R> {
    const { db, table } = this.#source;
    const row = await db
      .insertInto(table)
      .values(await this.#sealed(values))
      .returningAll()
      .executeTakeFirstOrThrow();
    return this.#opened(row);
  }

  /** Changes the fillable columns of all rows of the choice. Returns how many. */
  async update(values: Change): Promise<number> {
    const { db, table } = this.#source;
    const sealed = await this.#sealed(values);
    if (this.#source.timestamps) sealed['updated_at'] = new Date();
    let query = db.updateTable(table).set(sealed);
    for (const { column, comparison, value } of this.#conditions)
      query = query.where(column, comparison, value);
    return Number((await query.executeTakeFirstOrThrow()).numUpdatedRows);
  }

  /** Deletes all rows of the choice. Returns how many. */
  async delete(): Promise<number> {
    let query = this.#source.db.deleteFrom(this.#source.table);
    for (const { column, comparison, value } of this.#conditions)
      query = query.where(column, comparison, value);
    return Number((await query.executeTakeFirstOrThrow()).numDeletedRows);
  }

  async #sealed(values: New | Change): Promise<Row> {
    const { fillable, encrypted, env } = this.#source;
    const row: Row = Object.fromEntries(
      Object.entries(values as Row).filter(([column]) => fillable.has(column)),
    );
    for (const column of encrypted) {
      const text = row[column];
      if (text === undefined || text === null) continue;
      if (typeof text !== 'string') throw new TypeError(`${column} is encrypted: it takes a text.`);
      row[column] = (await env.call('crypt', 'encrypt', { text })).sealed;
    }
    return row;
  }

  async #opened(row: Row): Promise<R> {
    const opened = { ...row };
    for (const column of this.#source.encrypted) {
      const sealed = row[column];
      if (typeof sealed === 'string')
        opened[column] = (await this.#source.env.call('crypt', 'decrypt', { sealed })).text;
    }
    return opened as R;
  }
}

/**
 * A model of one table.
 * @param db this.db, or a transaction of it
 */
export function model<Tables, T extends keyof Tables & string>(
  db: Kysely<Tables>,
  table: T,
  options: ModelOptions<Selectable<Tables[T]>>,
): Model<Selectable<Tables[T]>, Insertable<Tables[T]>, Updateable<Tables[T]>> {
  return new Model({
    // The types are kept by the signature; inside, a column is a text.
    db: db as unknown as Kysely<AnyTables>,
    env: envOf(db),
    table,
    fillable: new Set<string>(options.fillable),
    encrypted: options.encrypted ?? [],
    timestamps: options.timestamps ?? false,
  });
}
