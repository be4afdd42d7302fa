/**
 * The host's own connections: a postgres.js pool and a Kysely on top of it. Values come and go as what they are in
 * TypeScript: counts and minor units (bigint) as numbers, instants as Date, jsonb as any JSON value.
 */
import {
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryCompiler,
} from 'kysely';
import type { Socket } from 'node:net';
import postgres from 'postgres';

import { HostError } from '../../sandbox/contract/envelope.ts';
import { describeEndpoint, forPostgresJs, parseEndpoint } from './endpoint.ts';
import type { PgEndpoint } from './endpoint.ts';
import { HostDriver } from './host-driver.ts';
import { durableClient } from './durable.ts';
import { openSecureSocket } from './socket.ts';
import type { Tables } from './tables.ts';

/** The postgres.js client, with our own types named. */
export type HostSql = postgres.Sql<{ bigint: number; date: string }>;

export interface HostConnection extends AsyncDisposable {
  readonly sql: HostSql;
  readonly db: Kysely<Tables>;
  readonly endpoint: PgEndpoint;
  /** Waits for running queries (five seconds at most), then ends every connection; may be called again. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Connections at most; they are opened when first needed. */
  readonly max?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  readonly onNotice?: (message: string) => void;
}

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_S = 10;
const CLOSE_TIMEOUT_S = 5;
const INT8_OID = 20;
const DATE_OID = 1082;
/** No type of ours: PostgreSQL says what the parameter must be, and postgres.js renders the value as that. */
const SERVER_DECIDES = 0;

/** @throws HostError INTERNAL beyond ±(2^53 − 1), where a number would silently be another one */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new HostError('INTERNAL', `The database holds ${text}, which is too large for a number here.`);
  }
  return value;
}

const TYPES = {
  bigint: { to: INT8_OID, from: [INT8_OID], serialize: (value: number) => String(value), parse: parseInt8 },
  // A day is not an instant: as a Date it would move with the time zone.
  date: {
    to: DATE_OID,
    from: [DATE_OID],
    serialize: (value: string) => value,
    parse: (text: string) => text,
  },
};

/**
 * Hands every parameter over without a guessed type. postgres.js would guess from the JavaScript value, and send `true`
 * or `[true]` for a jsonb column as a boolean.
 */
class HostQueryCompiler extends PostgresQueryCompiler {
  readonly #sql: HostSql;

  constructor(sql: HostSql) {
    super();
    this.#sql = sql;
  }

  protected override addParameter(parameter: unknown): void {
    super.addParameter(this.#sql.typed(parameter, SERVER_DECIDES));
  }
}

class HostDialect implements Dialect {
  readonly #sql: HostSql;

  constructor(sql: HostSql) {
    this.#sql = sql;
  }

  createDriver = (): Driver => new HostDriver(this.#sql);
  createQueryCompiler = (): QueryCompiler => new HostQueryCompiler(this.#sql);
  createAdapter = (): DialectAdapter => new PostgresAdapter();
  createIntrospector = (db: Kysely<unknown>): DatabaseIntrospector => new PostgresIntrospector(db);
}

/**
 * Opens the pool (no connection yet) for a DATABASE_URL or an endpoint.
 * @throws HostError BAD_INPUT for an address that cannot be read
 */
export function connectHost(address: string | PgEndpoint, options: ConnectOptions = {}): HostConnection {
  const endpoint = typeof address === 'string' ? parseEndpoint(address) : address;
  const open = (socket: () => Promise<Socket>): HostSql => {
    // Named apart: postgres.js knows `socket`, its types do not.
    const settings = {
      ...forPostgresJs(endpoint),
      // Its sockets come with TLS upon them.
      ssl: false,
      socket,
      max: options.max ?? MAX_CONNECTIONS,
      max_lifetime: null,
      connect_timeout: CONNECT_TIMEOUT_S,
      connection: { application_name: options.applicationName ?? 'bulkhead', TimeZone: 'UTC' },
      types: TYPES,
      onnotice: (notice: postgres.Notice) => options.onNotice?.(notice['message'] ?? ''),
    };
    return postgres(settings);
  };
  const sql = durableClient(open, async () => openSecureSocket(endpoint));
  const db = new Kysely<Tables>({ dialect: new HostDialect(sql) });
  const close = async (): Promise<void> => sql.end({ timeout: CLOSE_TIMEOUT_S });
  return { sql, db, endpoint, close, [Symbol.asyncDispose]: close };
}

/**
 * Asks the server one question, so that a wrong address is told at start and by name.
 * @throws HostError CONFLICT
 */
export async function checkConnection(connection: HostConnection): Promise<void> {
  try {
    await connection.sql`select 1`;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HostError(
      'CONFLICT',
      `PostgreSQL cannot be reached as ${describeEndpoint(connection.endpoint)}: ${reason}. Check DATABASE_URL.`,
      { cause },
    );
  }
}
