/**
 * What modules did, written down in batches: log lines, outbound calls, use by minute, use of grants. Bounded in memory, flushed every
 * second and at close, and what had to be dropped is counted and said in the log itself.
 */
import type { Insertable, Kysely } from 'kysely';
import { sql } from 'kysely';
import { storable } from '../database/storable.ts';
import type { CallsTable, LogsTable, Tables } from '../database/tables.ts';

export type LogLine = Insertable<LogsTable>;
export type CallLine = Insertable<CallsTable>;

export interface UsageDelta {
  readonly invocations?: number;
  readonly errors?: number;
  readonly killed?: number;
  readonly refused?: number;
  readonly capabilityCalls?: number;
  readonly cpuUs?: number;
  readonly wallMs?: number;
}

export interface Recorder {
  log(line: LogLine): void;
  call(line: CallLine): void;
  usage(installationId: string, delta: UsageDelta): void;
  /** `item` as grants name it: 'http.hosts:api.example.com'. */
  grantUse(installationId: string, item: string, outcome: 'used' | 'refused'): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

const FLUSH_MS = 500;
const LINES_KEPT = 20_000;
const ROWS_A_STATEMENT = 500;
const MINUTE_MS = 60_000;

interface UsageSum {
  installationId: string;
  minute: Date;
  invocations: number;
  errors: number;
  killed: number;
  refused: number;
  capabilityCalls: number;
  cpuUs: number;
  wallMs: number;
}
interface UseSum {
  installationId: string;
  item: string;
  uses: number;
  refusals: number;
}

/** One line that PostgreSQL cannot hold would take its whole batch, other tenants' lines included, with it. */
function clean(line: LogLine): LogLine {
  return {
    ...line,
    action: String(storable(line.action)),
    request: storable(line.request ?? null) as object | null,
    response: storable(line.response ?? null) as object | null,
  };
}

export function createRecorder(db: Kysely<Tables>, onFault: (error: unknown) => void): Recorder {
  return new BatchRecorder(db, onFault);
}

class BatchRecorder implements Recorder {
  readonly #db: Kysely<Tables>;
  readonly #onFault: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #logs: LogLine[] = [];
  #calls: CallLine[] = [];
  #usage = new Map<string, UsageSum>();
  #uses = new Map<string, UseSum>();
  #dropped = 0;
  #flushing: Promise<void> = Promise.resolve();

  constructor(db: Kysely<Tables>, onFault: (error: unknown) => void) {
    this.#db = db;
    this.#onFault = onFault;
    this.#timer = setInterval(() => void this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  log(line: LogLine): void {
    // Stamped now: a batch is written later than what it tells of.
    if (this.#logs.length < LINES_KEPT) this.#logs.push({ at: new Date(), ...clean(line) });
    else this.#dropped++;
  }

  call(line: CallLine): void {
    const target = String(storable(line.target));
    if (this.#calls.length < LINES_KEPT) this.#calls.push({ at: new Date(), ...line, target });
    else this.#dropped++;
  }

  usage(installationId: string, delta: UsageDelta): void {
    const minute = new Date(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
    const key = `${installationId} ${minute.getTime()}`;
    const sum = this.#usage.get(key) ?? {
      installationId,
      minute,
      invocations: 0,
      errors: 0,
      killed: 0,
      refused: 0,
      capabilityCalls: 0,
      cpuUs: 0,
      wallMs: 0,
    };
    sum.invocations += delta.invocations ?? 0;
    sum.errors += delta.errors ?? 0;
    sum.killed += delta.killed ?? 0;
    sum.refused += delta.refused ?? 0;
    sum.capabilityCalls += delta.capabilityCalls ?? 0;
    sum.cpuUs += delta.cpuUs ?? 0;
    sum.wallMs += delta.wallMs ?? 0;
    this.#usage.set(key, sum);
  }

  grantUse(installationId: string, item: string, outcome: 'used' | 'refused'): void {
    const key = `${installationId} ${item}`;
    const sum = this.#uses.get(key) ?? { installationId, item, uses: 0, refusals: 0 };
    if (outcome === 'used') sum.uses++;
    else sum.refusals++;
    this.#uses.set(key, sum);
  }

  /** One flush at a time, in order. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #write(): Promise<void> {
    const logs = this.#logs;
    const calls = this.#calls;
    const usage = [...this.#usage.values()];
    const uses = [...this.#uses.values()];
    this.#logs = [];
    this.#calls = [];
    this.#usage = new Map();
    this.#uses = new Map();
    await this.#each(logs, (rows) =>
      this.#db
        .insertInto('logs')
        .values([...rows])
        .execute(),
    );
    await this.#each(calls, (rows) =>
      this.#db
        .insertInto('calls')
        .values([...rows])
        .execute(),
    );
    await this.#each(usage, ([sum]) => sum && this.#addUsage(sum), 1);
    await this.#each(uses, ([sum]) => sum && this.#addUse(sum), 1);
    if (this.#dropped > 0) {
      this.#onFault(new Error(`${this.#dropped} log or call lines were dropped`));
      this.#dropped = 0;
    }
  }

  /**
   * Writes rows in batches. The lines of a module that was just removed cannot be written, and they stand among those of other tenants: a
   * batch that fails is written again line by line, and only what cannot be written is lost.
   */
  async #each<T>(all: readonly T[], write: (rows: readonly T[]) => unknown, size?: number): Promise<void> {
    for (const rows of chunks(all, size)) {
      try {
        await write(rows);
      } catch (error) {
        await this.#oneByOne(rows, write, error);
      }
    }
  }

  async #oneByOne<T>(
    rows: readonly T[],
    write: (rows: readonly T[]) => unknown,
    first: unknown,
  ): Promise<void> {
    if (!isOfRow(first)) {
      this.#dropped += rows.length;
      this.#onFault(first);
      return;
    }
    for (const row of rows) {
      try {
        await write([row]);
      } catch {
        this.#dropped++;
      }
    }
  }

  async #addUsage(sum: UsageSum): Promise<void> {
    await sql`
      insert into usage_minutes as u (installation_id, minute, invocations, errors, killed, refused, capability_calls, cpu_us, wall_ms)
      select ${sum.installationId}::uuid, ${sum.minute}, ${sum.invocations}::int, ${sum.errors}::int, ${sum.killed}::int, ${sum.refused}::int,
             ${sum.capabilityCalls}::int, ${sum.cpuUs}::bigint, ${sum.wallMs}::bigint
      where exists (select 1 from installations where id = ${sum.installationId}::uuid)
      on conflict (installation_id, minute) do update set
        invocations = u.invocations + excluded.invocations, errors = u.errors + excluded.errors, killed = u.killed + excluded.killed,
        refused = u.refused + excluded.refused, capability_calls = u.capability_calls + excluded.capability_calls,
        cpu_us = u.cpu_us + excluded.cpu_us, wall_ms = u.wall_ms + excluded.wall_ms`.execute(this.#db);
  }

  async #addUse(sum: UseSum): Promise<void> {
    await sql`
      insert into grant_use as g (installation_id, item, uses, refusals, last_used_at)
      select ${sum.installationId}::uuid, ${sum.item}, ${sum.uses}::bigint, ${sum.refusals}::bigint, now()
      where exists (select 1 from installations where id = ${sum.installationId}::uuid)
      on conflict (installation_id, item) do update set
        uses = g.uses + excluded.uses, refusals = g.refusals + excluded.refusals, last_used_at = now()`.execute(
      this.#db,
    );
  }
}

/** True if PostgreSQL refused what a row holds (SQLSTATE class 22, data, and 23, constraints), and not us altogether. */
function isOfRow(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code));
}

function chunks<T>(rows: readonly T[], size = ROWS_A_STATEMENT): T[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}
