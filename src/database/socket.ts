/**
 * Sockets to PostgreSQL, opened by us and not by postgres.js: a module's connection counts the bytes it receives, so that a result which is
 * too large is stopped before it is in memory; the host's own learns of a loss before postgres.js does (durable.ts).
 */
import { createConnection, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';

import { isUnixSocket, tlsOptions } from './endpoint.ts';
import type { PgEndpoint } from './endpoint.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** The length of the message, and the number that asks for TLS (PostgreSQL, "Message Formats": SSLRequest). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const AGREED = 'S'.charCodeAt(0);

/** A connected socket to the server. @throws Error with the system's code if there is none within five seconds */
export async function openSocket(endpoint: PgEndpoint): Promise<Socket> {
  const { host, port } = endpoint;
  const socket = isUnixSocket(endpoint)
    ? createConnection({ path: join(host, `.s.PGSQL.${port}`) })
    : createConnection({ host, port, noDelay: true });
  await settled(socket, 'connect');
  // postgres.js reads the name for TLS from here.
  return Object.assign(socket, { host, port });
}

/** The same with TLS upon it, where the endpoint wants it. @throws Error if the server does not offer it or cannot be trusted */
export async function openSecureSocket(endpoint: PgEndpoint): Promise<Socket> {
  const socket = await openSocket(endpoint);
  const tls = tlsOptions(endpoint);
  if (tls === false) return socket;
  socket.write(SSL_REQUEST);
  if ((await firstByte(socket)) !== AGREED) {
    socket.destroy();
    throw new Error('the server does not offer TLS');
  }
  const secure = connectTls({
    ...tls,
    socket,
    ...(isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}),
  });
  await settled(secure, 'secureConnect');
  return secure;
}

async function firstByte(socket: Socket): Promise<number | undefined> {
  const answer = Promise.withResolvers<Buffer | undefined>();
  const onClose = (): void => answer.resolve(undefined);
  socket.once('data', answer.resolve);
  socket.once('close', onClose);
  const bytes = await answer.promise;
  socket.removeListener('close', onClose);
  return bytes?.[0];
}

async function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('connect timed out')), CONNECT_TIMEOUT_MS);
  socket.once(event, resolve);
  socket.once('error', reject);
  try {
    await promise;
  } catch (cause) {
    socket.destroy();
    throw cause;
  } finally {
    clearTimeout(timer);
    socket.removeListener(event, resolve);
    socket.removeListener('error', reject);
  }
}
