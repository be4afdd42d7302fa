/**
 * The storage an installation was granted. PostgreSQL has no quota, so the size is measured after writes, now and then; over it
 * the right to insert and update is taken from the role, which takes effect in every process and on open connections. Rows may
 * still be deleted; then the space is given back to the disk and the rights are restored.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { InstallationNames } from '../../database/modules/names.ts';
import type { ModuleConnection, RunOptions } from '../../database/modules/connection.ts';
import type { Lease, ModulePools } from '../../database/modules/pools.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { Verdict } from '../../database/guard/check-statement.ts';

/** Measured again after a write when any of these passed since the last time. */
const MEASURE_AFTER_MS = 1_000;
const MEASURE_AFTER_ROWS = 1_000;
const MEASURE_AFTER_BYTES = 1024 * 1024;
/** A full installation looks again this often even if it deleted nothing itself. */
const RECHECK_MS = 10_000;
/** Up to here tables are rewritten to free the space between rows; larger ones only lose their empty end. */
const REWRITE_BYTES = 256 * 1024 * 1024;
const MAINTENANCE_MS = 30_000;
const MAINTENANCE_LOCK_MS = 2_000;
const BYTES_PER_MB = 1024 * 1024;

/** What a write adds to the next decision to measure. */
export interface Written {
  readonly rows: number;
  readonly bytes: number;
  /** What an error of this statement would undo; absent if it is committed already. */
  readonly undoable: 'transaction' | 'lifecycle' | undefined;
}

/** Size of all tables and indexes of the schema; also what is not committed yet. */
export async function measure(
  connection: ModuleConnection,
  schema: string,
  options: RunOptions,
): Promise<number> {
  const { rows } = await connection.run(
    `select coalesce(sum(pg_total_relation_size(oid)), 0)::int8 from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'S')`,
    [schema],
    options,
  );
  return Number(rows[0]?.[0] ?? 0);
}

/** One installation's state in this process. The truth, the rights of the role, is in the database. */
export class Quota {
  readonly #pools: ModulePools;
  readonly #names: InstallationNames;
  #full = false;
  #deleted = false;
  #sizeBytes = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #rows = 0;
  #bytes = 0;
  #recovery: Promise<void> | undefined;

  constructor(pools: ModulePools, names: InstallationNames) {
    this.#pools = pools;
    this.#names = names;
  }

  get full(): boolean {
    return this.#full;
  }

  /**
   * Call before a statement that adds. When the installation is full, looks whether there is room again.
   * @throws HostError DB_QUOTA
   */
  async beforeWrite(storageMb: number): Promise<void> {
    if (!this.#full) return;
    const hopeful = this.#deleted || this.#sizeBytes <= storageMb * BYTES_PER_MB;
    if (hopeful || performance.now() - this.#measuredAt > RECHECK_MS) await this.recover(storageMb);
    if (this.#full) throw this.#refusal(storageMb);
  }

  #refusal(storageMb: number): HostError {
    return new HostError(
      'DB_QUOTA',
      `db: the ${storageMb} MB granted are full (permissions.db.storage_mb); delete rows or ask for more.`,
      { data: { storage_mb: storageMb, used_bytes: this.#sizeBytes } },
    );
  }

  /**
   * Call after a statement that wrote, on its connection. Measures when it is time.
   * @throws HostError DB_QUOTA for a statement that can still be undone (`written.undoable`) and overfilled the installation
   */
  async afterWrite(
    connection: ModuleConnection,
    verdict: Verdict,
    written: Written,
    storageMb: number,
  ): Promise<void> {
    if (this.#full && !verdict.grows) this.#deleted = true;
    this.#rows += written.rows;
    this.#bytes += written.bytes;
    const due =
      verdict.kind === 'ddl' ||
      performance.now() - this.#measuredAt >= MEASURE_AFTER_MS ||
      this.#rows >= MEASURE_AFTER_ROWS ||
      this.#bytes >= MEASURE_AFTER_BYTES;
    if (!due || !verdict.grows) return;
    this.#note(await measure(connection, this.#names.schema, bounds(LIMITS.dbStatementMs)));
    if (this.#sizeBytes <= storageMb * BYTES_PER_MB) return;
    // Within activate() another connection would wait for the tables it has changed, and it for that connection.
    if (!this.#full && written.undoable !== 'lifecycle') await this.#asOwner((owner) => this.#close(owner));
    if (written.undoable === undefined) return;
    // What is undone is room again, once it was cleared away.
    this.#deleted = true;
    throw this.#refusal(storageMb);
  }

  #note(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    this.#measuredAt = performance.now();
    this.#rows = 0;
    this.#bytes = 0;
  }

  /** Takes or gives rights after what another process, or an update, may have done. One run at a time. */
  async recover(storageMb: number): Promise<void> {
    this.#recovery ??= this.#asOwner((owner) => this.#recover(owner, storageMb * BYTES_PER_MB)).finally(
      () => {
        this.#recovery = undefined;
      },
    );
    await this.#recovery;
  }

  async #recover(owner: ModuleConnection, limitBytes: number): Promise<void> {
    const { schema } = this.#names;
    this.#note(await measure(owner, schema, bounds(LIMITS.dbStatementMs)));
    if (this.#sizeBytes > limitBytes) {
      await this.#compact(owner, limitBytes);
      this.#note(await measure(owner, schema, bounds(LIMITS.dbStatementMs)));
    }
    this.#deleted = false;
    if (this.#sizeBytes > limitBytes) await this.#close(owner);
    else await this.#open(owner);
  }

  /** Gives space back: the empty ends of tables, and, where they are small, the gaps between rows. */
  async #compact(owner: ModuleConnection, limitBytes: number): Promise<void> {
    const { schema } = this.#names;
    const run = async (sql: string): Promise<void> => {
      await owner.run(sql, [], bounds(MAINTENANCE_MS));
    };
    await run(`set statement_timeout = ${MAINTENANCE_MS}`);
    await run(`set lock_timeout = ${MAINTENANCE_LOCK_MS}`);
    const tables = await owner.run(
      `select quote_ident(relname) from pg_class where relnamespace = $1::regnamespace and relkind = 'r'`,
      [schema],
      bounds(LIMITS.dbStatementMs),
    );
    for (const full of this.#sizeBytes > REWRITE_BYTES ? [''] : ['', 'full ']) {
      // A table that is in use is left for the next time.
      for (const [table] of tables.rows)
        await run(`vacuum ${full}${schema}.${String(table)}`).catch(() => undefined);
      if ((await measure(owner, schema, bounds(LIMITS.dbStatementMs))) <= limitBytes) return;
    }
  }

  async #close(owner: ModuleConnection): Promise<void> {
    await this.#rights(owner, 'revoke', 'from');
    this.#full = true;
  }

  async #open(owner: ModuleConnection): Promise<void> {
    await this.#rights(owner, 'grant', 'to');
    this.#full = false;
  }

  async #rights(owner: ModuleConnection, verb: 'grant' | 'revoke', towards: 'to' | 'from'): Promise<void> {
    const { schema, login } = this.#names;
    const sql = `${verb} insert, update on all tables in schema ${schema} ${towards} ${login}`;
    await owner.run(sql, [], bounds(LIMITS.dbStatementMs));
  }

  /** On a connection of the owner that is thrown away: maintenance changes its settings. */
  async #asOwner(work: (owner: ModuleConnection) => Promise<void>): Promise<void> {
    const { owner, schema } = this.#names;
    const lease: Lease = await this.#pools.acquire(
      { role: owner, schema },
      { deadlineAt: performance.now() + LIMITS.dbStatementMs },
    );
    try {
      await work(lease.connection);
    } finally {
      lease.connection.retire();
      lease.release();
    }
  }
}

function bounds(ms: number): RunOptions {
  return { stopAt: performance.now() + ms, maxBytes: LIMITS.resultBytes };
}
