/**
 * Kysely upon the host's postgres.js client. A connection is reserved for each query or transaction. One whose connection was lost fails with what was
 * said of the loss: the server has rolled it back, so that nothing needs to be, and nothing can be.
 */
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from 'kysely';

import type { HostSql } from './connect.ts';
import { isDatabaseAway } from './database-away.ts';

type Reserved = Awaited<ReturnType<HostSql['reserve']>>;
type Parameters = NonNullable<Arguments<Reserved['unsafe']>[1]>;
type Arguments<F> = F extends (...given: infer A) => unknown ? A : never;

/** What PostgreSQL counts rows of. */
const CHANGES: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE']);

class HostConnection implements DatabaseConnection {
  readonly reserved: Reserved;

  constructor(reserved: Reserved) {
    this.reserved = reserved;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    // The compiler has made each parameter one of postgres.js's own.
    const parameters = [...query.parameters] as Parameters;
    const result = await this.reserved.unsafe(query.sql, parameters, { prepare: true });
    // What a row is, only its reader knows: Kysely's types are those of src/database/tables.ts.
    const rows = Array.from(result) as R[];
    return CHANGES.has(result.command) ? { rows, numAffectedRows: BigInt(result.count) } : { rows };
  }

  /** A transaction whose statements are all known: they leave with one write, where each waits for the last one's answer otherwise. */
  async executeTogether(begin: string, queries: readonly CompiledQuery[]): Promise<readonly unknown[][]> {
    const { reserved } = this;
    const asked = [
      reserved.unsafe(begin),
      ...queries.map((query) =>
        reserved.unsafe(query.sql, [...query.parameters] as Parameters, { prepare: true }),
      ),
      // After one that failed, PostgreSQL refuses the others and takes this for a rollback.
      reserved.unsafe('commit'),
    ];
    const answers = await Promise.allSettled(asked);
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return answers
      .slice(1, -1)
      .map((answer) => (answer.status === 'fulfilled' ? Array.from(answer.value) : []));
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('The host reads its own tables in pages, not in streams.');
  }
}

/** Kysely hands every connection back to the driver that made it. */
function own(connection: DatabaseConnection): HostConnection {
  if (connection instanceof HostConnection) return connection;
  throw new TypeError('this connection is not of this database');
}

/** @see HostConnection.executeTogether @param connection one that nobody else uses meanwhile */
export async function executeTogether(
  connection: DatabaseConnection,
  begin: string,
  queries: readonly CompiledQuery[],
): Promise<readonly unknown[][]> {
  return own(connection).executeTogether(begin, queries);
}

export class HostDriver implements Driver {
  readonly #sql: HostSql;

  constructor(sql: HostSql) {
    this.#sql = sql;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<HostConnection> {
    return new HostConnection(await this.#sql.reserve());
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const level = settings.isolationLevel === undefined ? '' : ` isolation level ${settings.isolationLevel}`;
    const mode = settings.accessMode === undefined ? '' : ` ${settings.accessMode}`;
    await own(connection).reserved.unsafe(`begin${level}${mode}`);
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await own(connection).reserved.unsafe('commit');
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await own(connection).reserved.unsafe('rollback');
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    own(connection).reserved.release();
  }

  /** The client is closed by who opened it. */
  async destroy(): Promise<void> {}
}
