/**
 * Who runs a flow: whoever holds its lock. All flows of a process hold theirs on one connection, opened for the first of them and given
 * back after the last: PostgreSQL frees them when the process dies, however it dies, and flows cannot use up the pool that
 * their own steps need. It is held as a transaction, since postgres.js tells of a transaction whose connection was lost; a reserved
 * connection that was lost ends the whole process with the next query.
 */
import type { HostSql } from '../database/connect.ts';

/** The first key of our advisory locks that stand for a flow; the second is a hash of its id. */
const FLOW = 1_148_222;

type Transaction = Parameters<Parameters<HostSql['begin']>[1]>[0];

interface Connection {
  readonly sql: Transaction;
  readonly locked: Set<string>;
  /** Ends the transaction; the locks are given back before. */
  end(): Promise<void>;
}

export class FlowLocks {
  readonly #sql: HostSql;
  /** What is run here, whether its lock is held or was lost. */
  readonly #mine = new Set<string>();
  #connection: Promise<Connection> | undefined;
  /** What #connection resolved to, for as long as it is connected. */
  #live: Connection | undefined;

  constructor(sql: HostSql) {
    this.#sql = sql;
  }

  /** False if another process, or another call in this one, has it. */
  async take(id: string): Promise<boolean> {
    if (this.#mine.has(id)) return false;
    this.#mine.add(id);
    let taken = false;
    try {
      taken = await this.#lock(id);
      return taken;
    } finally {
      if (!taken) await this.release(id);
    }
  }

  /** Whether it is still ours; takes it again if the connection was lost meanwhile. */
  async keep(id: string): Promise<boolean> {
    return this.#live?.locked.has(id) === true || this.#lock(id);
  }

  /** What a lost connection held has been given back already. */
  async release(id: string): Promise<void> {
    this.#mine.delete(id);
    const live = this.#live;
    if (live === undefined) return;
    if (live.locked.delete(id))
      await live.sql`select pg_advisory_unlock(${FLOW}, hashtext(${id}))`.catch(() => undefined);
    if (this.#mine.size === 0 && this.#live === live) await live.end();
  }

  async #lock(id: string): Promise<boolean> {
    const connection = await (this.#connection ??= this.#open());
    const [row] = await connection.sql<{ free: boolean }[]>`
      select pg_try_advisory_lock(${FLOW}, hashtext(${id})) as free`;
    if (row?.free !== true) return false;
    connection.locked.add(id);
    return true;
  }

  #open(): Promise<Connection> {
    const opened = Promise.withResolvers<Connection>();
    const over = Promise.withResolvers<void>();
    const forget = (): void => {
      this.#connection = undefined;
      this.#live = undefined;
    };
    const ended = this.#sql
      .begin(async (sql) => {
        const end = async (): Promise<void> => {
          forget();
          over.resolve();
          await ended;
        };
        this.#live = { sql, locked: new Set(), end };
        opened.resolve(this.#live);
        await over.promise;
      })
      .then(forget, (error: unknown) => {
        forget();
        opened.reject(error);
      });
    return opened.promise;
  }
}
