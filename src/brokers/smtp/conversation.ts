/** One SMTP conversation over a socket that stands: greeting, TLS, sign-in, one message, goodbye. Nothing of it outlives the call. */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';

import type { SMTP_ENCRYPTIONS } from '../../../sandbox/contract/capabilities/smtp.ts';
import type { SmtpLimits } from './limits.ts';
import type { BuiltMessage } from './message.ts';

export interface Conversation {
  readonly socket: Socket;
  readonly host: string;
  readonly port: number;
  readonly encryption: (typeof SMTP_ENCRYPTIONS)[number];
  /** What we call ourselves in EHLO. */
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly message: BuiltMessage;
  readonly limits: SmtpLimits;
  readonly ca: readonly string[] | undefined;
  readonly signal: AbortSignal;
  /** Awaited when the server is ready to get the message. */
  readonly before: () => Promise<void>;
  /** All of the message is on its way, but for the line that ends it: from now on the server may take it. */
  readonly onHanded: () => void;
}

export interface Handed {
  readonly accepted: readonly string[];
  readonly rejected: readonly string[];
  readonly response: string;
}

function connectionOf(talk: Conversation): SMTPConnection {
  const { limits } = talk;
  return new SMTPConnection({
    connection: talk.socket,
    host: talk.host,
    port: talk.port,
    name: talk.name,
    secure: talk.encryption === 'tls',
    requireTLS: talk.encryption === 'starttls',
    ignoreTLS: talk.encryption === 'none',
    connectionTimeout: limits.totalMs,
    greetingTimeout: limits.silenceMs,
    socketTimeout: limits.silenceMs,
    socketCloseTimeout: 0,
    maxResponseSize: limits.responseBytes,
    logger: false,
    tls: {
      // Explicit: an environment variable that turns checks off for the process must not reach this place.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(talk.ca === undefined ? {} : { ca: [...talk.ca] }),
    },
  });
}

/** nodemailer's callback as a promise that the connection's own errors and the signal end as well. */
async function ask<T>(
  connection: SMTPConnection,
  signal: AbortSignal,
  start: (done: (error: Error | null | undefined, value?: T) => void) => void,
): Promise<T | undefined> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const stop = (): void => reject(signal.reason);
  const gone = (): void => reject(Object.assign(new Error('closed'), { code: 'ECONNECTION' }));
  signal.addEventListener('abort', stop, { once: true });
  connection.once('error', reject);
  connection.once('end', gone);
  try {
    start((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)));
    return await promise;
  } finally {
    signal.removeEventListener('abort', stop);
    connection.removeListener('error', reject);
    connection.removeListener('end', gone);
  }
}

async function* handing({ message, onHanded }: Conversation): AsyncGenerator<Buffer> {
  yield message.bytes;
  onHanded();
}

/** @throws nodemailer's errors, or the signal's reason */
export async function converse(talk: Conversation): Promise<Handed> {
  const { message, signal } = talk;
  const connection = connectionOf(talk);
  // What comes after the end of the conversation concerns nobody.
  connection.on('error', () => undefined);
  try {
    await ask(connection, signal, (done) => connection.connect(done));
    if (talk.username !== '') {
      const auth = { user: talk.username, pass: talk.password };
      await ask(connection, signal, (done) => connection.login(auth, done));
    }
    const envelope = { from: message.from, to: [...message.recipients], size: message.bytes.length };
    await talk.before();
    const info = await ask<SMTPConnection.SentMessageInfo>(connection, signal, (done) =>
      connection.send(envelope, Readable.from(handing(talk), { objectMode: false }), done),
    );
    connection.quit();
    return {
      accepted: info?.accepted ?? [],
      rejected: info?.rejected ?? [],
      response: info?.response ?? '',
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}
