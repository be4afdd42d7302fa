/**
 * Opens the socket of one request: to the addresses that were checked, and no other. undici’s own connector would look the name up again
 * and an attacker’s second answer would be private; here it is handed an address. Each address is checked once more before the socket
 * opens and the peer is checked after, so that a mistake further up does not become a connection.
 */
import { buildConnector } from 'undici';
import type { Socket } from 'node:net';

import { assertMayConnect, canonicalAddress } from './addresses.ts';
import type { EgressAllow } from './addresses.ts';
import { failed } from './failure.ts';

export interface PinnedOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly allow: EgressAllow;
  readonly connectMs: number;
  /** PEM certificates to trust instead of the public ones. */
  readonly ca?: readonly string[];
}

export interface PinnedConnector {
  readonly connect: buildConnector.connector;
  /**
   * The checked address that it is connected to: set once a connection (with TLS: a trusted one) was handed to undici. From then on
   * something may have been sent.
   */
  peer(): string | undefined;
}

/**
 * A second time the addresses would be those of an earlier request: whoever needs another connection has them checked anew. With
 * undici's own code for a lost socket it would try again and again.
 */
function over(): Error {
  return Object.assign(new Error('this connection is over'), { code: 'ECONNRESET' });
}

export function pinnedConnector(options: PinnedOptions): PinnedConnector {
  const { addresses, port, allow } = options;
  const open = buildConnector({
    timeout: options.connectMs,
    // Explicit: an environment variable that turns checks off for the process must not reach this place.
    rejectUnauthorized: true,
    maxCachedSessions: 0,
    ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
  });
  let connectedTo: string | undefined;

  /** @throws HostError NOT_GRANTED if the peer is another than the one asked for */
  function checkPeer(socket: Socket, address: string): void {
    const peer = socket.remoteAddress === undefined ? undefined : canonicalAddress(socket.remoteAddress);
    if (peer !== canonicalAddress(address) || socket.remotePort !== port) throw failed('protocol');
    assertMayConnect(peer, port, allow);
  }

  function attempt(index: number, to: buildConnector.Options, done: buildConnector.Callback): void {
    const address = addresses[index];
    if (address === undefined) return done(failed('dns'), null);
    const next = (error: Error): void =>
      index + 1 < addresses.length ? attempt(index + 1, to, done) : done(error, null);
    try {
      assertMayConnect(address, port, allow);
    } catch (error) {
      return done(error instanceof Error ? error : failed('protocol', error), null);
    }
    open({ ...to, hostname: address, port: String(port) }, (error, socket) => {
      if (error !== null) return next(error);
      try {
        checkPeer(socket, address);
      } catch (refused) {
        socket.destroy();
        return done(refused instanceof Error ? refused : failed('protocol', refused), null);
      }
      connectedTo = address;
      return done(null, socket);
    });
  }

  return {
    connect: (to, done) => (connectedTo === undefined ? attempt(0, to, done) : done(over(), null)),
    peer: () => connectedTo,
  };
}
