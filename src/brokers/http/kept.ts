/**
 * Connections that wait for the next request, because a handshake a request is most of what a request costs. One belongs to an
 * installation and an origin, and only to an address that was looked up and checked for the very request that takes it: no tenant's, no
 * other module's request ever goes over it, and a name that moved is followed at once. See docs/decisions/0042.
 */
import type { Connection } from './connection.ts';
import { HTTP_LIMITS } from './limits.ts';

/** Whose it is, and where it leads. */
export interface Place {
  readonly installationId: string;
  readonly origin: string;
}

interface Kept extends Place {
  readonly connection: Connection;
}

export class KeptConnections {
  /** Oldest first. */
  #idle: Kept[] = [];
  #closed = false;

  /** How many wait. */
  get size(): number {
    return this.#idle.length;
  }

  /**
   * Takes one out: it has one user at a time.
   * @param addresses checked for this request
   */
  take(place: Place, addresses: readonly string[]): Connection | undefined {
    this.#drop(({ connection }) => !connection.isUsable);
    const at = this.#idle.findLastIndex(
      ({ installationId, origin, connection }) =>
        installationId === place.installationId &&
        origin === place.origin &&
        addresses.includes(connection.peer ?? ''),
    );
    return at === -1 ? undefined : this.#idle.splice(at, 1)[0]?.connection;
  }

  /** Keeps one whose answer has been read to its end. */
  give(place: Place, connection: Connection): void {
    if (this.#closed || !connection.isUsable) {
      void connection.end();
      return;
    }
    this.#idle.push({ ...place, connection });
    connection.onEnded = () => this.#drop((kept) => kept.connection === connection);
    const own = this.#idle.filter(({ installationId }) => installationId === place.installationId);
    const [oldestOwn] = own;
    const [oldest] = this.#idle;
    if (own.length > HTTP_LIMITS.keptPerInstallation) this.#drop((kept) => kept === oldestOwn);
    if (this.#idle.length > HTTP_LIMITS.kept) this.#drop((kept) => kept === oldest);
  }

  /** Ends all; what is in use ends when it is given back. */
  close(): void {
    this.#closed = true;
    this.#drop(() => true);
  }

  #drop(which: (kept: Kept) => boolean): void {
    const dropped = this.#idle.filter(which);
    if (dropped.length === 0) return;
    this.#idle = this.#idle.filter((kept) => !dropped.includes(kept));
    for (const { connection } of dropped) void connection.end();
  }
}
