/**
 * A postgres.js client that outlives the connections it loses. postgres.js 3.4.9 does not: what is still said on a lost connection (the
 * rollback of its transaction, a query on a reserved one) writes to a socket that is gone, which ends the process, or is
 * never sent, which leaves the caller waiting for ever (its issues 1154, 1208). So a connection's end is kept from postgres.js until the whole
 * client was put out of use, which rejects whatever is asked of it; the next query is the first of a new client. What runs on the
 * client's other connections ends with an error too: a loss is rare, and is mostly the server's and so everybody's.
 */
import type { Socket } from 'node:net';
import type { HostSql } from './connect.ts';

/** Opens a client whose sockets come from `socket` only. It must close none by itself (no idle or life time). */
export type OpenClient = (socket: () => Promise<Socket>) => HostSql;

type Reserved = Awaited<ReturnType<HostSql['reserve']>>;

class Client {
  readonly sql: HostSql;
  readonly #openSocket: () => Promise<Socket>;
  readonly #onRetired: () => void;
  /** Of the queries that run on reserved connections: postgres.js keeps a list for each, and forgets it with the connection. */
  readonly #running = new Set<(reason: Error) => void>();
  #retired: Promise<void> | undefined;
  #isLost = false;

  constructor(open: OpenClient, openSocket: () => Promise<Socket>, onRetired: () => void) {
    this.#openSocket = openSocket;
    this.#onRetired = onRetired;
    this.sql = open(async () => this.#socket());
  }

  async #socket(): Promise<Socket> {
    try {
      return this.#watched(await this.#openSocket());
    } catch (error) {
      // postgres.js forgets a place in its pool for each socket that it did not get.
      void this.lost();
      throw error;
    }
  }

  #watched(socket: Socket): Socket {
    const emit = socket.emit.bind(socket);
    socket.emit = (event: string, ...details: unknown[]): boolean => {
      if (event !== 'close') return emit(event, ...details);
      void this.lost().finally(() => emit('close', false));
      return true;
    };
    return socket;
  }

  /** A connection was lost: after this the client answers nothing. */
  lost(): Promise<void> {
    this.#retired ??= (async () => {
      this.#onRetired();
      await this.sql.end({ timeout: 0 });
      this.#isLost = true;
      for (const reject of this.#running) reject(connectionClosed());
    })();
    return this.#retired;
  }

  /** Closes it in good order. @param timeoutS what runs may take so long */
  async end(timeoutS: number): Promise<void> {
    // Its sockets need not wait: it waits for them.
    this.#retired ??= Promise.resolve();
    await this.sql.end({ timeout: timeoutS });
  }

  async reserve(): Promise<Reserved> {
    const reserved = await this.sql.reserve();
    return new Proxy(reserved, {
      apply: (query, self, given) => this.#settled(Reflect.apply(query, self, given)),
      get: (target, key) => {
        if (key !== 'unsafe') return Reflect.get(target, key);
        return (...given: Parameters<Reserved['unsafe']>) => this.#settled(target.unsafe(...given));
      },
    });
  }

  async #settled<T>(query: PromiseLike<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    if (this.#isLost) throw connectionClosed();
    this.#running.add(reject);
    try {
      return await Promise.race([query, promise]);
    } finally {
      this.#running.delete(reject);
    }
  }
}

function connectionClosed(): Error {
  return Object.assign(new Error('The connection to PostgreSQL was lost.'), { code: 'CONNECTION_CLOSED' });
}

/** @param open see OpenClient */
export function durableClient(open: OpenClient, openSocket: () => Promise<Socket>): HostSql {
  let ended: Promise<void> | undefined;
  const fresh = (): Client => {
    const opened: Client = new Client(open, openSocket, () => {
      // The last one stays: it refuses what is asked of it.
      if (current === opened && ended === undefined) current = fresh();
    });
    return opened;
  };
  let current = fresh();
  const own = {
    reserve: async () => current.reserve(),
    end: async ({ timeout = 0 }: { timeout?: number } = {}) => (ended ??= current.end(timeout)),
  };
  return new Proxy(current.sql, {
    apply: (_first, _self, given) => Reflect.apply(current.sql, undefined, given),
    get: (_first, key) => (Object.hasOwn(own, key) ? Reflect.get(own, key) : Reflect.get(current.sql, key)),
  });
}
