/**
 * The database as one invocation has it. Outside of a transaction each statement takes a connection for itself; a transaction or a
 * stream keeps one until it ends or the invocation does. activate() and update() run wholly in one transaction, as the
 * owner of the schema: all of it happens, or nothing.
 */
import type { Grant, OpArgument, OpOutput } from '../../../sandbox/contract/capabilities.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { checkStatement } from '../../database/guard/check-statement.ts';
import type { Mode, Verdict } from '../../database/guard/check-statement.ts';
import type { Answer, RunOptions } from '../../database/modules/connection.ts';
import type { ModulePools } from '../../database/modules/pools.ts';
import type { Scope } from '../broker.ts';
import { toHostError } from './errors.ts';
import { Held } from './held.ts';
import type { InstallationDatabase } from './installation.ts';
import { Reads } from './reads.ts';
import { checkAmounts } from './amounts.ts';
import { boundsUntil, runStatement } from './statement.ts';
import type { Statement } from './statement.ts';
import { Streams } from './streams.ts';

type Input<O extends 'query' | 'end' | 'open' | 'next' | 'close'> = OpArgument<'db', O>;

interface Transaction {
  readonly id: number;
  readonly held: Promise<Held>;
  ending: boolean;
}

const STATEMENT_SAVEPOINT = 'bh_statement';
const TRANSACTION_SAVEPOINT = 'bh_transaction';
/** A transaction that only control statements of ours ran in: nothing to name. */
const NO_VERDICT: Verdict = { kind: 'select', tables: [], writes: false, grows: false, returns: false };

export class Session {
  readonly #pools: ModulePools;
  readonly #scope: Scope;
  readonly #database: InstallationDatabase;
  readonly #grant: Grant<'db'>;
  readonly #wholeInvocation: boolean;
  readonly #mode: Mode;
  /** Ends every statement: the invocation failed. */
  readonly #stop = new AbortController();
  /** Ends statements in transactions and streams: nobody can end those any more. */
  readonly #leave = new AbortController();
  readonly #streams = new Streams();
  readonly #reads = new Reads({
    acquire: async () => this.#acquire(this.#database.names.login, this.#stop.signal),
    bounds: () => this.#bounds(this.#stop.signal),
    again: async (statement) => {
      this.#checkOpen();
      return this.#alone(statement);
    },
  });
  #main: Promise<Held> | undefined;
  #transaction: Transaction | undefined;
  #lastId = 0;
  #over = false;

  constructor(pools: ModulePools, scope: Scope, database: InstallationDatabase, grant: Grant<'db'>) {
    this.#pools = pools;
    this.#scope = scope;
    this.#database = database;
    this.#grant = grant;
    this.#wholeInvocation = scope.purpose === 'lifecycle';
    this.#mode = this.#wholeInvocation && scope.method !== 'deactivate' ? 'ddl' : 'dml';
  }

  /** @throws HostError */
  async query(input: Input<'query'>): Promise<OpOutput<'db', 'query'>> {
    this.#checkOpen();
    const statement = this.#statement(input);
    const held = this.#heldFor(input.trx);
    if (statement.verdict.grows) await this.#database.quota.beforeWrite(this.#grant.storage_mb);
    const answer =
      held === undefined
        ? await (isPlainRead(statement.verdict) ? this.#reads.run(statement) : this.#alone(statement))
        : await this.#within(await held, statement, input.trx);
    return { columns: answer.columns, rows: answer.rows, affected: answer.affected };
  }

  #checkOpen(): void {
    if (this.#over) throw new HostError('ENDED', 'db: the invocation has ended.');
  }

  #statement({ sql, parameters }: { sql: string; parameters: unknown[] }): Statement {
    const verdict = checkStatement(sql, { mode: this.#mode });
    this.#scope.used(verdict.grows ? 'db.storage_mb' : 'db.tables');
    return { sql, parameters, verdict };
  }

  /** The connection a statement belongs on, or undefined for one of its own. */
  #heldFor(trx: number | undefined): Promise<Held> | undefined {
    const open = this.#transaction;
    if (trx !== undefined) {
      if (open?.id !== trx || open.ending) throw new HostError('CONFLICT', 'db: this transaction has ended.');
      return open.held;
    }
    if (open !== undefined) {
      throw new HostError('DB_USE_TRX', 'db: a transaction is open: use trx inside of it, not this.db.');
    }
    return this.#wholeInvocation ? this.#lifecycle() : undefined;
  }

  async #acquire(role: string, signal: AbortSignal): Promise<Held> {
    const { schema } = this.#database.names;
    return new Held(
      await this.#pools.acquire({ role, schema }, { deadlineAt: this.#scope.deadlineAt, signal }),
    );
  }

  async #begun(role: string): Promise<Held> {
    const held = await this.#acquire(role, this.#leave.signal);
    try {
      await held.control('begin');
      return held;
    } catch (error) {
      await held.abandon();
      throw toHostError(error, NO_VERDICT);
    }
  }

  /** The one transaction of activate(), update() or deactivate(). */
  async #lifecycle(): Promise<Held> {
    const { owner, login } = this.#database.names;
    this.#main ??= handled(this.#begun(this.#mode === 'ddl' ? owner : login));
    return this.#main;
  }

  /** A statement by itself. One that writes and returns rows is committed only when its rows were not too many. */
  async #alone(statement: Statement): Promise<Answer> {
    const { writes, returns } = statement.verdict;
    const held = await this.#acquire(this.#database.names.login, this.#stop.signal);
    const run = async (undoable: 'transaction' | undefined): Promise<Answer> =>
      runStatement(held.connection, statement, { ...this.#runOptions(this.#stop.signal), undoable });
    try {
      if (!(writes && returns)) return await run(undefined);
      await held.control('begin');
      const answer = await run('transaction');
      await held.commit();
      return answer;
    } catch (error) {
      if (writes && returns && held.connection.alive) await held.control('rollback');
      throw toHostError(error, statement.verdict);
    } finally {
      held.release();
    }
  }

  #bounds(signal: AbortSignal): RunOptions {
    return boundsUntil(this.#scope.deadlineAt, signal);
  }

  #runOptions(signal: AbortSignal) {
    return { bounds: this.#bounds(signal), quota: this.#database.quota, grant: this.#grant };
  }

  async #within(held: Held, statement: Statement, trx: number | undefined): Promise<Answer> {
    const run = async (): Promise<Answer> => {
      const options = this.#runOptions(this.#leave.signal);
      const answer = await runStatement(held.connection, statement, {
        ...options,
        undoable: this.#wholeInvocation ? 'lifecycle' : 'transaction',
      });
      if (statement.verdict.kind === 'ddl')
        await checkAmounts(held.connection, this.#database.names, this.#grant, options.bounds);
      return answer;
    };
    // activate() may catch an error and go on; inside its own transaction it knows that it cannot.
    return held.turns.take(async () => (trx === undefined ? held.guarded(STATEMENT_SAVEPOINT, run) : run()));
  }

  /** Opens the invocation's transaction; there is one at a time. @throws HostError DB_USE_TRX */
  async begin(): Promise<OpOutput<'db', 'begin'>> {
    this.#checkOpen();
    if (this.#transaction !== undefined) {
      throw new HostError('DB_USE_TRX', 'db: a transaction is open already; transactions do not nest.');
    }
    const transaction = { id: ++this.#lastId, held: handled(this.#openTransaction()), ending: false };
    this.#transaction = transaction;
    try {
      await transaction.held;
      return { trx: transaction.id };
    } catch (error) {
      if (this.#transaction === transaction) this.#transaction = undefined;
      throw error;
    }
  }

  async #openTransaction(): Promise<Held> {
    if (!this.#wholeInvocation) return this.#begun(this.#database.names.login);
    const held = await this.#lifecycle();
    await held.turns.take(async () => held.control(`savepoint ${TRANSACTION_SAVEPOINT}`));
    return held;
  }

  /** Commits or rolls back. @throws HostError DB_ERROR if it cannot be committed; it is rolled back then */
  async end({ trx, commit }: Input<'end'>): Promise<void> {
    this.#checkOpen();
    const held = await this.#heldFor(trx);
    const open = this.#transaction;
    if (held === undefined || open === undefined)
      throw new HostError('CONFLICT', 'db: this transaction has ended.');
    open.ending = true;
    try {
      await held.turns.take(async () =>
        this.#wholeInvocation ? this.#endSavepoint(held, commit) : this.#endOwn(held, commit),
      );
    } finally {
      if (this.#transaction === open) this.#transaction = undefined;
    }
  }

  async #endOwn(held: Held, commit: boolean): Promise<void> {
    this.#streams.forget(held);
    if (!commit) return held.abandon();
    try {
      await held.commit();
    } catch (error) {
      throw toHostError(error, NO_VERDICT);
    } finally {
      held.release();
    }
  }

  async #endSavepoint(held: Held, commit: boolean): Promise<void> {
    try {
      if (!commit) return await held.undo(TRANSACTION_SAVEPOINT);
      await held.control(`release savepoint ${TRANSACTION_SAVEPOINT}`);
    } catch (error) {
      if (held.connection.alive) await held.undo(TRANSACTION_SAVEPOINT);
      throw toHostError(error, NO_VERDICT);
    }
  }

  /** Opens a stream. @throws HostError DB_REFUSED for what is not a plain SELECT */
  async open(input: Input<'open'>): Promise<OpOutput<'db', 'open'>> {
    this.#checkOpen();
    const statement = this.#statement(input);
    if (statement.verdict.kind !== 'select' || statement.verdict.writes) {
      throw new HostError(
        'DB_REFUSED',
        'db: only a SELECT can be streamed; run this statement with execute().',
      );
    }
    const within = this.#heldFor(input.trx);
    const own = within === undefined;
    const guarded = this.#wholeInvocation && input.trx === undefined;
    return this.#streams.reserve(own, async () => {
      const held = await (within ?? this.#begun(this.#database.names.login));
      if (this.#over) {
        // finish() could not know of it yet.
        if (own) await held.abandon();
        this.#checkOpen();
      }
      const id = ++this.#lastId;
      const columns = await this.#streams.open(id, {
        statement,
        held,
        own,
        guarded,
        bounds: this.#bounds(this.#leave.signal),
      });
      return { cursor: id, columns };
    });
  }

  async next({ cursor }: Input<'next'>): Promise<OpOutput<'db', 'next'>> {
    this.#checkOpen();
    return this.#streams.next(cursor, this.#bounds(this.#leave.signal));
  }

  async close({ cursor }: Input<'close'>): Promise<void> {
    this.#checkOpen();
    await this.#streams.close(cursor);
  }

  /**
   * The invocation ended. What activate() did is committed if `ok`; everything else that is open is rolled back.
   * @throws HostError DB_ERROR, DB_UNIQUE … if the commit fails: then nothing was done, and the invocation failed
   */
  async finish(ok: boolean): Promise<void> {
    this.#over = true;
    const keep = ok && this.#wholeInvocation;
    if (!ok) this.#stop.abort();
    if (!keep) this.#leave.abort();
    const held = await this.#allHeld();
    if (keep) return this.#commitAll();
    await Promise.all(held.map(async (one) => one.turns.take(async () => one.abandon())));
  }

  /** Every connection that is kept, each once. One that could not be had is not among them. */
  async #allHeld(): Promise<Held[]> {
    const opening = [this.#main, this.#transaction?.held].filter((held) => held !== undefined);
    const opened = await Promise.allSettled(opening);
    const kept = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    return [...new Set([...kept, ...this.#streams.held])];
  }

  async #commitAll(): Promise<void> {
    const held = await this.#main;
    if (held === undefined) return;
    try {
      await held.turns.take(async () => {
        if (this.#transaction !== undefined) await held.undo(TRANSACTION_SAVEPOINT);
        await held.commit();
      });
    } catch (error) {
      throw toHostError(error, NO_VERDICT);
    } finally {
      held.release();
    }
  }
}

/** Nothing is lost or done twice if it runs again. */
function isPlainRead({ kind, writes }: Verdict): boolean {
  return kind === 'select' && !writes;
}

/** The same promise; that nobody awaits it is no accident of the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
