/** A connection that an invocation keeps over several calls: for a transaction, a stream, or all of activate(). */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { Answer, ModuleConnection } from '../../database/modules/connection.ts';
import type { Lease } from '../../database/modules/pools.ts';
import { boundsUntil } from './statement.ts';
import { Turns } from './turns.ts';

const NEVER = new AbortController().signal;

export class Held {
  readonly turns = new Turns();
  readonly #lease: Lease;
  #released = false;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  /** @throws HostError CONFLICT once it was given back: it may be another invocation’s by now */
  get connection(): ModuleConnection {
    if (this.#released) throw new HostError('CONFLICT', 'db: this transaction has ended.');
    return this.#lease.connection;
  }

  /** A statement of ours, for example `begin`. Not bounded by the invocation: it must also end what ran out of time. */
  async control(sql: string): Promise<Answer> {
    return this.connection.run(sql, [], boundsUntil(performance.now() + LIMITS.dbStatementMs, NEVER));
  }

  /** @throws HostError DB_ERROR if the server rolled back instead, because an earlier statement had failed */
  async commit(): Promise<void> {
    const { command } = await this.control('commit');
    if (command === 'COMMIT') return;
    throw new HostError(
      'DB_ERROR',
      'db: an earlier statement of this transaction failed; nothing of it was saved.',
    );
  }

  /** Runs `work` so that its failure undoes it alone and leaves the transaction as it was. */
  async guarded<T>(savepoint: string, work: () => Promise<T>): Promise<T> {
    await this.control(`savepoint ${savepoint}`);
    try {
      const result = await work();
      await this.control(`release savepoint ${savepoint}`);
      return result;
    } catch (error) {
      if (this.connection.alive) await this.undo(savepoint);
      throw error;
    }
  }

  async undo(savepoint: string): Promise<void> {
    await this.control(`rollback to savepoint ${savepoint}`);
    await this.control(`release savepoint ${savepoint}`);
  }

  /** Rolls back what is open and gives the connection to the next; one that cannot be rolled back is thrown away. */
  async abandon(): Promise<void> {
    if (this.#released) return;
    const { connection } = this;
    try {
      if (connection.alive) await this.control('rollback');
    } catch {
      connection.abandon();
    } finally {
      this.release();
    }
  }

  release(): void {
    this.#released = true;
    this.#lease.release();
  }
}
