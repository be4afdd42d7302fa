/**
 * One connection as one role of an installation. It is held by one invocation at a time and bounded in what the client library
 * leaves open: time (the host cancels; a `set statement_timeout` cannot help), bytes of an answer, and life: once it is lost or
 * cancelled it is never used again, so that a statement meant for a transaction cannot run outside of it.
 */
import type { Socket } from 'node:net';
import postgres from 'postgres';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import { forPostgresJs } from '../endpoint.ts';
import type { PgEndpoint } from '../endpoint.ts';
import { openSocket } from '../socket.ts';
import { cellReader, columnType, PARAMETER_TYPES } from './codec.ts';
import type { Column } from './codec.ts';

export interface RunOptions {
  /** Milliseconds of performance.now(), which no clock change moves; the statement is cancelled then. */
  readonly stopAt: number;
  /** Of the answer, as the server sends it. */
  readonly maxBytes: number;
  /** Cancels the statement when aborted. */
  readonly signal?: AbortSignal;
}

/** One statement of several. */
export interface Text {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** The connection ended with a statement in front of this one, which may have run or not. */
export class NotAnswered extends Error {
  override readonly name = 'NotAnswered';
}

export interface Answer {
  readonly columns: Column[];
  readonly rows: unknown[][];
  /** Rows inserted, updated, deleted or returned. */
  readonly affected: number;
  /** The server's tag: SELECT, COMMIT … */
  readonly command: string;
  /** Of all cells as texts. */
  readonly sizeBytes: number;
}

const WATCH_MS = 25;
/** How long a cancelled statement may take to end before the connection is torn down. */
const CANCEL_GRACE_MS = 1_000;
/** The server's own clock is a second wall: it ends what an absent host cannot. */
const SERVER_GRACE_MS = 1_000;
/** The type of no parameter is guessed: the server decides. */
const SERVER_DECIDES = 0;
const TRANSACTION_IDLE = '15min';
/** Always the extended protocol, which takes one statement at a time. */
const EXTENDED = { prepare: false, simple: false };
const PREPARED = { prepare: true, simple: false };
/** Statements that a connection keeps prepared: each is memory of the server's, and a module may make texts without end. */
const PREPARED_MOST = 64;
const PREPARED_CHARACTERS = 4_000;
const SCHEMA_CHANGE = /^(?:ALTER|CREATE|DROP)\b/;

/** Sent at startup: `reset all` comes back to these, and no statement of a module may set any. */
function sessionSettings(schema: string): Record<string, string> {
  return {
    application_name: 'bulkhead module',
    search_path: schema,
    TimeZone: 'UTC',
    DateStyle: 'ISO, YMD',
    IntervalStyle: 'postgres',
    bytea_output: 'hex',
    standard_conforming_strings: 'on',
    statement_timeout: `${LIMITS.dbStatementMs + SERVER_GRACE_MS}`,
    idle_in_transaction_session_timeout: TRANSACTION_IDLE,
    max_parallel_workers_per_gather: '0',
    jit: 'off',
  };
}

type Client = ReturnType<typeof openClient>;
type Query = ReturnType<Client['unsafe']>;
type RawRows = Awaited<ReturnType<ReturnType<Query['raw']>['execute']>>;

function openClient(endpoint: PgEndpoint, schema: string, socket: () => Promise<Socket>, onLost: () => void) {
  const options = {
    ...forPostgresJs(endpoint),
    socket,
    max: 1,
    fetch_types: false,
    max_lifetime: null,
    connection: sessionSettings(schema),
    types: PARAMETER_TYPES,
    onnotice: () => undefined,
    onclose: onLost,
  };
  return postgres(options);
}

export class ModuleConnection {
  readonly #endpoint: PgEndpoint;
  readonly #client: Client;
  #socket: Socket | undefined;
  #watch: Watch | undefined;
  #lost = false;
  readonly #prepared = new PreparedTexts();

  /** @param endpoint the modules' database, with the role and its password. Connects with the first statement. */
  constructor(endpoint: PgEndpoint, schema: string) {
    this.#endpoint = endpoint;
    this.#client = openClient(
      endpoint,
      schema,
      async () => this.#open(),
      () => {
        this.#lost = true;
      },
    );
  }

  /** False once it was lost, cancelled or closed; never true again. */
  get alive(): boolean {
    return !this.#lost;
  }

  /** The first socket is the connection's; later ones carry cancel requests. */
  async #open(): Promise<Socket> {
    const socket = await openSocket(this.#endpoint).catch((cause: unknown) => {
      throw new HostError('INTERNAL', 'The modules database cannot be reached.', { cause });
    });
    if (this.#socket === undefined) {
      this.#socket = socket;
      // Before postgres.js joins a row of a gigabyte from its pieces. Under TLS it takes listeners away, and the watch's clock counts.
      socket.on('data', () => this.#watch?.count());
    }
    return socket;
  }

  /**
   * Runs one statement.
   * @param parameters JSON values; their types are what the statement makes of them
   * @throws HostError TIMEOUT, LIMIT, CANCELLED or INTERNAL, after each of which the connection is lost
   * @throws PostgresError what the server said, after which it is as good as before
   */
  async run(sql: string, parameters: readonly unknown[], options: RunOptions): Promise<Answer> {
    if (this.#lost)
      throw new HostError('CONFLICT', 'db: the connection is gone, and with it the open transaction.');
    if (options.signal?.aborted === true) throw ended();
    const query = this.#query(sql, parameters);
    return this.#watched(query, query.raw(), options);
  }

  /**
   * Runs statements outside of a transaction with one write to the server and few reads. Each stands for itself: one's error is not
   * the next one's, and its time begins when the one before has ended.
   * @param bounds asked when a statement's turn comes
   * @returns as many promises as statements, each as of run(); but NotAnswered for those behind one that took the connection with it
   */
  runEach(statements: readonly Text[], bounds: () => RunOptions): Promise<Answer>[] {
    const sent = statements.map(({ sql, parameters }) => {
      const query = this.#query(sql, parameters);
      const rows = query.raw().execute();
      // Its turn to be awaited comes later.
      rows.catch(() => undefined);
      return { query, rows };
    });
    let before: Promise<unknown> = Promise.resolve();
    return sent.map(({ query, rows }, index) => {
      const answer = before.then(async () => {
        if (this.#lost && index > 0) throw new NotAnswered();
        return this.#watched(query, rows, bounds());
      });
      before = answer.catch(() => undefined);
      return answer;
    });
  }

  #query(sql: string, parameters: readonly unknown[]): Query {
    const values = parameters.map((value) => this.#parameter(value));
    return this.#client.unsafe(sql, values, this.#prepared.admits(sql) ? PREPARED : EXTENDED);
  }

  async #watched(query: Query, rows: PromiseLike<RawRows>, options: RunOptions): Promise<Answer> {
    const watch = new Watch(this, query, options);
    this.#watch = watch;
    try {
      const answer = decodeAnswer(await rows);
      // Within a transaction a plan that went stale could not be made anew: the transaction would be lost.
      if (SCHEMA_CHANGE.test(answer.command)) this.#prepared.stop();
      return answer;
    } catch (cause) {
      throw watch.reason(cause) ?? this.#connectionError(cause) ?? cause;
    } finally {
      watch.stop();
      this.#watch = undefined;
    }
  }

  #parameter(value: unknown) {
    return value === undefined || value === null ? null : this.#client.typed(value as never, SERVER_DECIDES);
  }

  #connectionError(cause: unknown): HostError | undefined {
    const said = cause instanceof postgres.PostgresError;
    if (said && cause.severity !== 'FATAL') return undefined;
    this.#lost = true;
    if (said || cause instanceof HostError) return undefined;
    return new HostError('INTERNAL', 'The connection to the modules database was lost.', { cause });
  }

  get receivedBytes(): number {
    return this.#socket?.bytesRead ?? 0;
  }

  /** Not to be used by anyone after its present holder. */
  retire(): void {
    this.#lost = true;
  }

  /** Torn down now: what it is doing ends with an error. */
  abandon(): void {
    this.#lost = true;
    this.#socket?.destroy();
  }

  /** Ends it. Idempotent. */
  async close(): Promise<void> {
    this.#lost = true;
    await this.#client.end({ timeout: 0 });
    this.#socket?.destroySoon();
  }
}

/**
 * Which texts a connection prepares: those that come again, the first of them. Preparing saves a way to the server and back and the
 * planning with each further use; postgres.js prepares anew what a change of tables made void.
 */
class PreparedTexts {
  readonly #texts = new Set<string>();
  readonly #once = new Set<string>();
  #stopped = false;

  /** From now on nothing is prepared, and nothing that was is used. */
  stop(): void {
    this.#stopped = true;
  }

  admits(sql: string): boolean {
    if (this.#stopped) return false;
    if (this.#texts.has(sql)) return true;
    if (sql.length > PREPARED_CHARACTERS || this.#texts.size >= PREPARED_MOST) return false;
    if (this.#once.delete(sql)) {
      this.#texts.add(sql);
      return true;
    }
    if (this.#once.size >= PREPARED_MOST) this.#once.clear();
    this.#once.add(sql);
    return false;
  }
}

/** Looks after one running statement: time, bytes, and the end of the invocation. */
class Watch {
  readonly #connection: ModuleConnection;
  readonly #query: Query;
  readonly #options: RunOptions;
  readonly #startBytes: number;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => this.#cancel(ended());
  #reason: HostError | undefined;
  #cancelledAt: number | undefined;

  constructor(connection: ModuleConnection, query: Query, options: RunOptions) {
    this.#connection = connection;
    this.#query = query;
    this.#options = options;
    this.#startBytes = connection.receivedBytes;
    this.#timer = setInterval(() => this.#look(), WATCH_MS);
    options.signal?.addEventListener('abort', this.#onAbort);
    // Its turn may come when all is over.
    if (options.signal?.aborted === true) this.#onAbort();
  }

  /** Ends an answer that is too large while it arrives. */
  count(): void {
    if (this.#connection.receivedBytes - this.#startBytes <= this.#options.maxBytes) return;
    this.#reason ??= tooLarge();
    this.#connection.abandon();
  }

  #look(): void {
    const { stopAt } = this.#options;
    this.count();
    if (this.#cancelledAt !== undefined) {
      if (performance.now() > this.#cancelledAt + CANCEL_GRACE_MS) this.#connection.abandon();
    } else if (performance.now() >= stopAt) {
      this.#cancel(
        new HostError(
          'TIMEOUT',
          'db: the statement took too long and was cancelled; add an index or ask for less.',
        ),
      );
    }
  }

  #cancel(reason: HostError): void {
    if (this.#cancelledAt !== undefined) return;
    this.#reason = reason;
    this.#cancelledAt = performance.now();
    // A request that cannot be sent is followed by the teardown above.
    Promise.resolve(this.#query.cancel()).catch(() => undefined);
  }

  /** Why the statement failed, if it was this watch that ended it. */
  reason(cause: unknown): HostError | undefined {
    return this.#reason === undefined || cause instanceof HostError ? undefined : this.#reason;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    // A cancel request may arrive late and would end the next statement instead.
    if (this.#reason !== undefined) this.#connection.abandon();
  }
}

function ended(): HostError {
  return new HostError('CANCELLED', 'db: the invocation ended.');
}

export function tooLarge(): HostError {
  return new HostError(
    'LIMIT',
    `db: the result is larger than ${LIMITS.resultBytes / 1024 / 1024} MB; ask for fewer rows or columns, or use stream().`,
  );
}

function decodeAnswer(result: RawRows): Answer {
  const described = result.columns ?? [];
  const readers = described.map(({ type }) => cellReader(type));
  let sizeBytes = 0;
  const read = (cell: Buffer | null, index: number): unknown => {
    if (cell === null) return null;
    sizeBytes += cell.length;
    return readers[index]?.(cell.toString('utf8'));
  };
  return {
    columns: described.map(({ name, type }) => ({ name, type: columnType(type) })),
    rows: result.map((row: readonly (Buffer | null)[]) => row.map(read)),
    affected: result.count ?? 0,
    command: result.command ?? '',
    sizeBytes,
  };
}
