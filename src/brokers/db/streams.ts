/** The open streams of one invocation, by number. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { Column } from '../../database/modules/codec.ts';
import type { RunOptions } from '../../database/modules/connection.ts';
import { Cursor } from './cursor.ts';
import type { Chunk } from './cursor.ts';
import type { Held } from './held.ts';
import type { Statement } from './statement.ts';

/** Streams of one invocation; those outside a transaction leave a connection for its statements. */
const MAX_STREAMS = 16;
const MAX_OWN_STREAMS = LIMITS.dbConnectionsPerInstallation - 1;
const SAVEPOINT = 'bh_stream';

interface OpenOptions {
  readonly statement: Statement;
  readonly held: Held;
  /** The transaction around it is for it alone. */
  readonly own: boolean;
  /** A failure must not spoil the transaction it is in. */
  readonly guarded: boolean;
  readonly bounds: RunOptions;
}

export class Streams {
  readonly #cursors = new Map<number, Cursor>();
  #opening = 0;
  #openingOwn = 0;

  /** Connections that streams of their own hold. */
  get held(): Held[] {
    return [...this.#cursors.values()].filter((cursor) => cursor.own).map((cursor) => cursor.held);
  }

  /**
   * Keeps a place for a stream while `work` opens it: many that are asked for at once are counted too.
   * @throws HostError LIMIT
   */
  async reserve<T>(own: boolean, work: () => Promise<T>): Promise<T> {
    const all = this.#cursors.size + this.#opening;
    const owning = this.held.length + this.#openingOwn;
    if (all >= MAX_STREAMS || (own && owning >= MAX_OWN_STREAMS)) {
      throw new HostError(
        'LIMIT',
        'db: too many streams are open at once; read one to its end before the next.',
      );
    }
    this.#opening += 1;
    if (own) this.#openingOwn += 1;
    try {
      return await work();
    } finally {
      this.#opening -= 1;
      if (own) this.#openingOwn -= 1;
    }
  }

  /** @throws HostError what the statement did wrong; a transaction of its own is ended then */
  async open(id: number, options: OpenOptions): Promise<Column[]> {
    const { held, own, statement, bounds } = options;
    const cursor = new Cursor(held, { name: `bh_cursor_${id}`, own, verdict: statement.verdict });
    const declare = async (): Promise<Column[]> =>
      cursor.declare(statement.sql, statement.parameters, bounds);
    this.#cursors.set(id, cursor);
    try {
      return await held.turns.take(async () =>
        options.guarded ? held.guarded(SAVEPOINT, declare) : declare(),
      );
    } catch (error) {
      this.#cursors.delete(id);
      if (own) await held.abandon();
      throw error;
    }
  }

  /** @throws HostError CONFLICT for one that has ended */
  async next(id: number, bounds: RunOptions): Promise<Chunk> {
    const cursor = this.#cursors.get(id);
    if (cursor === undefined) throw new HostError('CONFLICT', 'db: this stream has ended.');
    try {
      const chunk = await cursor.held.turns.take(async () => cursor.next(bounds));
      if (chunk.done) await this.close(id);
      return chunk;
    } catch (error) {
      await this.close(id).catch(() => undefined);
      throw error;
    }
  }

  /** Ends a stream; nothing happens if it has ended. */
  async close(id: number): Promise<void> {
    const cursor = this.#cursors.get(id);
    if (cursor === undefined || !this.#cursors.delete(id)) return;
    await cursor.held.turns.take(async () => cursor.close());
  }

  /** The transaction is over, and with it the streams inside. */
  forget(held: Held): void {
    for (const [id, cursor] of this.#cursors) if (cursor.held === held) this.#cursors.delete(id);
  }
}
