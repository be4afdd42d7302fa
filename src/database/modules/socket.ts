/**
 * The socket of a module's connection, opened by us and not by postgres.js: its count of received bytes is how a result that is
 * too large is stopped before it is in memory.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { isUnixSocket } from '../endpoint.ts';
import type { PgEndpoint } from '../endpoint.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/** A connected socket to the server. @throws HostError INTERNAL if there is none within five seconds */
export async function openSocket(endpoint: PgEndpoint): Promise<Socket> {
  const { host, port } = endpoint;
  const socket = isUnixSocket(endpoint)
    ? createConnection({ path: join(host, `.s.PGSQL.${port}`) })
    : createConnection({ host, port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('connect timed out')), CONNECT_TIMEOUT_MS);
  socket.once('connect', resolve);
  socket.once('error', reject);
  try {
    await promise;
  } catch (cause) {
    socket.destroy();
    throw new HostError('INTERNAL', 'The modules database cannot be reached.', { cause });
  } finally {
    clearTimeout(timer);
    socket.removeListener('connect', resolve);
    socket.removeListener('error', reject);
  }
  // postgres.js reads the name for TLS from here.
  return Object.assign(socket, { host, port });
}
