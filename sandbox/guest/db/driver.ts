/** Kysely's driver: a connection is only the number of a transaction, if one is open. The host holds the real ones. */
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from 'kysely';

import type { Env } from '../env.ts';
import { readRows, writeParameter } from './values.ts';

class ModuleConnection implements DatabaseConnection {
  readonly #env: Env;
  /** The open transaction, as the host numbered it. */
  trx: number | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  #statement({ sql, parameters }: CompiledQuery): { sql: string; parameters: unknown[]; trx?: number } {
    const statement = { sql, parameters: parameters.map(writeParameter) };
    return this.trx === undefined ? statement : { ...statement, trx: this.trx };
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { columns, rows, affected } = await this.#env.call('db', 'query', this.#statement(query));
    return { rows: readRows<R>(columns, rows), numAffectedRows: BigInt(affected) };
  }

  /** The host decides how many rows come at once; `chunkSize` is its business. */
  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    const { cursor } = await this.#env.call('db', 'open', this.#statement(query));
    let done = false;
    try {
      while (!done) {
        const chunk = await this.#env.call('db', 'next', { cursor });
        done = chunk.done;
        if (chunk.rows.length > 0) yield { rows: readRows<R>(chunk.columns, chunk.rows) };
      }
    } catch (error) {
      // The host closed the cursor when it failed.
      done = true;
      throw error;
    } finally {
      if (!done) await this.#env.call('db', 'close', { cursor });
    }
  }
}

/** Kysely hands every connection back to the driver that made it; another one is a mistake in the runtime. */
function own(connection: DatabaseConnection): ModuleConnection {
  if (connection instanceof ModuleConnection) return connection;
  throw new TypeError('this connection is not of this database');
}

export class ModuleDriver implements Driver {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return new ModuleConnection(this.#env);
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    if (settings.isolationLevel !== undefined || settings.accessMode !== undefined) {
      throw new Error(
        'Transactions are read committed and read write; lock rows with forUpdate() where that is not enough.',
      );
    }
    own(connection).trx = (await this.#env.call('db', 'begin', {})).trx;
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#end(own(connection), true);
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#end(own(connection), false);
  }

  async #end(connection: ModuleConnection, commit: boolean): Promise<void> {
    const { trx } = connection;
    connection.trx = undefined;
    // Kysely rolls back what it could not commit; the host has ended it by then.
    if (trx !== undefined) await this.#env.call('db', 'end', { trx, commit });
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}
