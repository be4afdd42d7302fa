/**
 * Opens the socket of one SMTP conversation: to an address that was checked, and no other. nodemailer would look the name up itself, and
 * an attacker's second answer would be private; here it gets a socket that stands already.
 */
import { connect as connectTcp, type Socket } from 'node:net';

import { assertMayConnect, canonicalAddress, type EgressAllow } from '../http/addresses.ts';
import { smtpFailed } from './failure.ts';

export interface PinnedServer {
  /** Checked ones, in the order to try them. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly allow: EgressAllow;
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/** @throws the signal's reason, or a Node error */
async function open(address: string, { port, connectMs, signal }: PinnedServer): Promise<Socket> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
  const socket = connectTcp({ host: address, port });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
      const stop = (): void => reject(signal.aborted ? signal.reason : smtpFailed('timeout'));
      if (patience.aborted) stop();
      else patience.addEventListener('abort', stop, { once: true });
    });
    socket.removeAllListeners('error');
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
}

/**
 * A connected socket to the first address that answers.
 * @throws HostError NOT_GRANTED, SMTP_FAILED; the signal's reason
 */
export async function openPinned(server: PinnedServer): Promise<Socket> {
  let last: unknown;
  for (const address of server.addresses) {
    assertMayConnect(address, server.port, server.allow, 'smtp');
    try {
      const socket = await open(address, server);
      const peer = socket.remoteAddress === undefined ? undefined : canonicalAddress(socket.remoteAddress);
      if (peer === canonicalAddress(address) && socket.remotePort === server.port) return socket;
      socket.destroy();
      last = smtpFailed('protocol');
    } catch (error) {
      server.signal.throwIfAborted();
      last = error;
    }
  }
  throw smtpFailed('unreachable', '', last);
}
