/**
 * A stream of rows: a cursor in SQL, fetched in chunks whose size follows the size of the rows, so that neither 10 million small rows
 * nor a few huge ones are ever in memory at once.
 */
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { Verdict } from '../../database/guard/check-statement.ts';
import type { Column } from '../../database/modules/codec.ts';
import type { RunOptions } from '../../database/modules/connection.ts';
import { toHostError } from './errors.ts';
import type { Held } from './held.ts';

/** Rows of the first fetch, when their size is not known yet. */
const FIRST_ROWS = 10;
const CHUNK_BYTES = 512 * 1024;

export interface Chunk {
  readonly columns: Column[];
  readonly rows: unknown[][];
  readonly done: boolean;
}

export class Cursor {
  readonly held: Held;
  /** True if the transaction around it was opened for it alone. */
  readonly own: boolean;
  readonly #name: string;
  readonly #verdict: Verdict;
  #rows = 0;
  #bytes = 0;

  constructor(held: Held, options: { name: string; own: boolean; verdict: Verdict }) {
    this.held = held;
    this.own = options.own;
    this.#name = options.name;
    this.#verdict = options.verdict;
  }

  /** Declares it; nothing is read yet. @throws HostError */
  async declare(sql: string, parameters: readonly unknown[], bounds: RunOptions): Promise<Column[]> {
    try {
      await this.held.connection.run(`declare ${this.#name} no scroll cursor for ${sql}`, parameters, bounds);
      const { columns } = await this.held.connection.run(`fetch 0 from ${this.#name}`, [], bounds);
      return [...columns];
    } catch (error) {
      throw toHostError(error, this.#verdict);
    }
  }

  /** Rows to ask for so that they fit the rest of a chunk, by what rows were so far. */
  #nextRows(rows: number, bytes: number): number {
    if (this.#rows === 0) return FIRST_ROWS;
    const average = Math.max(1, this.#bytes / this.#rows);
    const fitting = Math.floor((CHUNK_BYTES - bytes) / average);
    return Math.max(1, Math.min(LIMITS.dbStreamChunkRows - rows, fitting));
  }

  /** The next rows, at most dbStreamChunkRows and about half a megabyte. @throws HostError */
  async next(bounds: RunOptions): Promise<Chunk> {
    const rows: unknown[][] = [];
    let columns: Column[] = [];
    let bytes = 0;
    try {
      while (rows.length < LIMITS.dbStreamChunkRows && bytes < CHUNK_BYTES) {
        const wanted = this.#nextRows(rows.length, bytes);
        const answer = await this.held.connection.run(`fetch ${wanted} from ${this.#name}`, [], bounds);
        columns = [...answer.columns];
        for (const row of answer.rows) rows.push(row);
        bytes += answer.sizeBytes;
        this.#rows += answer.rows.length;
        this.#bytes += answer.sizeBytes;
        if (answer.rows.length < wanted) return { columns, rows, done: true };
      }
    } catch (error) {
      throw toHostError(error, this.#verdict);
    }
    return { columns, rows, done: false };
  }

  /** Closes it, and the transaction that was opened for it. */
  async close(): Promise<void> {
    if (this.own) await this.held.abandon();
    else if (this.held.connection.alive) await this.held.control(`close ${this.#name}`);
  }
}
