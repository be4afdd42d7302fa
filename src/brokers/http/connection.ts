/**
 * One connection to one of the addresses that were checked, for one request at a time. It connects once and never again: undici would
 * otherwise open another by itself, to addresses that were checked for an earlier request.
 */
import { Client } from 'undici';

import { pinnedConnector } from './connector.ts';
import type { PinnedConnector, PinnedOptions } from './connector.ts';
import { HTTP_LIMITS } from './limits.ts';

export interface ConnectionOptions extends PinnedOptions {
  /** `https://api.example.com:8443` */
  readonly origin: string;
  readonly responseHeaderBytes: number;
}

export class Connection {
  readonly client: Client;
  /** Told when the other side, or its idle time, has ended it. */
  onEnded: () => void = () => undefined;
  readonly #pinned: PinnedConnector;
  readonly #openedAt = performance.now();
  #ended = false;

  constructor({ origin, responseHeaderBytes, ...pinned }: ConnectionOptions) {
    this.#pinned = pinnedConnector(pinned);
    this.client = new Client(origin, {
      connect: this.#pinned.connect,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: responseHeaderBytes,
      keepAliveTimeout: HTTP_LIMITS.keptIdleMs,
      keepAliveMaxTimeout: HTTP_LIMITS.keptIdleMs,
      // exchange() counts the whole, not the pause between two parts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.client.on('disconnect', () => {
      this.#ended = true;
      this.onEnded();
    });
  }

  /** The checked address it is connected to. */
  get peer(): string | undefined {
    return this.#pinned.peer();
  }

  /** Whether another request may go over it. */
  get isUsable(): boolean {
    const isOld = performance.now() - this.#openedAt > HTTP_LIMITS.keptLifeMs;
    return !this.#ended && !isOld && this.peer !== undefined;
  }

  async end(): Promise<void> {
    await this.client.destroy();
  }
}
