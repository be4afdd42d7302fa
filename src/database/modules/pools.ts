/**
 * Connections of all installations, under one budget for the process: 500 installations with pools of their own would not fit the
 * server. A connection is opened when it is first needed, kept for its role while there is room, and closed by least recent use
 * when another installation needs the place. Waiting is in order of arrival and ends with the invocation's deadline.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { PgEndpoint } from '../endpoint.ts';
import { ModuleConnection } from './connection.ts';
import type { RolePassword } from './passwords.ts';

export interface PoolLimits {
  /** Of the whole process. */
  readonly connections: number;
  /** Of one role. */
  readonly connectionsPerRole: number;
  /** An unused connection is closed after this long. */
  readonly idleMs: number;
}

export interface PoolOptions {
  /** The modules' database; its user and password are not used. */
  readonly endpoint: PgEndpoint;
  readonly rolePassword: RolePassword;
  readonly limits?: Partial<PoolLimits>;
}

/** As whom, and where tables are found. */
export interface Identity {
  readonly role: string;
  readonly schema: string;
}

export interface Wait {
  /** Milliseconds of performance.now(). */
  readonly deadlineAt: number;
  readonly signal?: AbortSignal;
}

/** A connection for one holder. Release it once; a lost connection is thrown away, another is kept for the next. */
export interface Lease {
  readonly connection: ModuleConnection;
  release(): void;
}

interface Idle {
  readonly role: string;
  readonly connection: ModuleConnection;
  readonly since: number;
}

interface Waiter {
  readonly identity: Identity;
  readonly resolve: (connection: ModuleConnection) => void;
}

const NO_CONNECTION =
  'db: no connection became free in time; hold fewer transactions and streams open at once.';
const DEFAULTS: PoolLimits = {
  connections: LIMITS.dbConnections,
  connectionsPerRole: LIMITS.dbConnectionsPerInstallation,
  idleMs: 60_000,
};

export class ModulePools {
  readonly #endpoint: PgEndpoint;
  readonly #rolePassword: RolePassword;
  readonly #limits: PoolLimits;
  /** Oldest first. */
  readonly #idle: Idle[] = [];
  /** Connections of each role, idle or held. */
  readonly #perRole = new Map<string, number>();
  readonly #waiters: Waiter[] = [];
  readonly #closing = new Set<Promise<void>>();
  readonly #sweep: NodeJS.Timeout;
  #total = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#endpoint = options.endpoint;
    this.#rolePassword = options.rolePassword;
    this.#limits = { ...DEFAULTS, ...options.limits };
    this.#sweep = setInterval(
      () => this.#closeIdle(performance.now() - this.#limits.idleMs),
      this.#limits.idleMs,
    ).unref();
  }

  /** Connections there are now, idle or held. */
  get size(): number {
    return this.#total;
  }

  /**
   * A connection as this role, as soon as one may be had.
   * @throws HostError TIMEOUT when the deadline passes first, CANCELLED when the signal aborts, INTERNAL after close()
   */
  async acquire(identity: Identity, wait: Wait): Promise<Lease> {
    if (this.#closed) throw new HostError('INTERNAL', 'The modules database is closed.');
    const connection = this.#waitersBefore(identity) ? undefined : this.#take(identity);
    return this.#lease(identity, connection ?? (await this.#wait(identity, wait)));
  }

  /** Someone of the same role already waits: no overtaking. */
  #waitersBefore(identity: Identity): boolean {
    return this.#waiters.some((waiter) => waiter.identity.role === identity.role);
  }

  #count(role: string): number {
    return this.#perRole.get(role) ?? 0;
  }

  /** An idle connection of the role, or a new one in a free place, or in the place of the longest unused. */
  #take(identity: Identity): ModuleConnection | undefined {
    const { role } = identity;
    this.#dropLost();
    const index = this.#idle.findLastIndex((idle) => idle.role === role);
    if (index !== -1) return this.#idle.splice(index, 1)[0]?.connection;
    if (this.#count(role) >= this.#limits.connectionsPerRole) return undefined;
    if (this.#total >= this.#limits.connections) {
      const oldest = this.#idle.shift();
      if (oldest === undefined) return undefined;
      this.#discard(oldest.role, oldest.connection);
    }
    this.#total += 1;
    this.#perRole.set(role, this.#count(role) + 1);
    return new ModuleConnection(
      { ...this.#endpoint, user: role, password: this.#rolePassword(role) },
      identity.schema,
    );
  }

  async #wait(identity: Identity, { deadlineAt, signal }: Wait): Promise<ModuleConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<ModuleConnection>();
    const waiter = { identity, resolve };
    // Out of the queue at once: a connection handed to someone who left would be held for ever.
    const leave = (code: 'TIMEOUT' | 'CANCELLED', message: string): void => {
      const at = this.#waiters.indexOf(waiter);
      if (at !== -1) this.#waiters.splice(at, 1);
      reject(new HostError(code, message));
    };
    const onAbort = (): void => leave('CANCELLED', 'db: the invocation ended.');
    const onTimeout = (): void => leave('TIMEOUT', NO_CONNECTION);
    this.#waiters.push(waiter);
    const timer = setTimeout(onTimeout, Math.max(0, deadlineAt - performance.now()));
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #lease(identity: Identity, connection: ModuleConnection): Lease {
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#giveBack(identity.role, connection);
    };
    return { connection, release };
  }

  #giveBack(role: string, connection: ModuleConnection): void {
    if (connection.alive && !this.#closed) this.#idle.push({ role, connection, since: performance.now() });
    else this.#discard(role, connection);
    this.#serveWaiters();
  }

  /** First come first served among those who can be served now. */
  #serveWaiters(): void {
    if (this.#closed) return;
    for (const waiter of this.#waiters.slice()) {
      const connection = this.#take(waiter.identity);
      if (connection === undefined) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(connection);
    }
  }

  #discard(role: string, connection: ModuleConnection): void {
    this.#total -= 1;
    const left = this.#count(role) - 1;
    if (left === 0) this.#perRole.delete(role);
    else this.#perRole.set(role, left);
    const closing = connection.close().catch(() => undefined);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }

  /** What the server closed while nobody held it, for example when it was restarted. */
  #dropLost(): void {
    for (const idle of this.#idle.filter(({ connection }) => !connection.alive)) {
      this.#idle.splice(this.#idle.indexOf(idle), 1);
      this.#discard(idle.role, idle.connection);
    }
  }

  #closeIdle(before: number, role?: string): void {
    const old = this.#idle.filter(
      (idle) => idle.since <= before && (role === undefined || idle.role === role),
    );
    for (const idle of old) {
      this.#idle.splice(this.#idle.indexOf(idle), 1);
      this.#discard(idle.role, idle.connection);
    }
  }

  /** Closes what a role has idle: before its installation is dropped. */
  async drain(role: string): Promise<void> {
    this.#closeIdle(Number.POSITIVE_INFINITY, role);
    await Promise.all(this.#closing);
  }

  /** Closes all that is idle, and what is held as soon as it is released. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#closeIdle(Number.POSITIVE_INFINITY);
    await Promise.all(this.#closing);
  }
}
