/**
 * The mail server: SmtpSession on real sockets, with the faults that say `SMTP`. Each step is a path a fault can name:
 * /smtp/connect, /smtp/ehlo, /smtp/auth, /smtp/mail, /smtp/rcpt, /smtp/data (the command) and /smtp/message (what follows it).
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Faults } from './faults.ts';
import type { Ledger, RequestEntry } from './ledger.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import type { Mailbox } from './mail.ts';
import { SmtpSession } from './smtp-session.ts';
import type { Reply, SmtpAccount } from './smtp-session.ts';

export interface SmtpParts {
  readonly mailbox: Mailbox;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly account: SmtpAccount;
}

/** Not yet listening; `server.listen(port, '127.0.0.1')` is the caller's. */
export function smtpServer(parts: SmtpParts): Server {
  const server = createServer((socket) => {
    converse(parts, socket).catch(() => socket.destroy());
  });
  server.maxConnections = FAKECLOUD_LIMITS.smtpConnections;
  return server;
}

async function converse(parts: SmtpParts, socket: Socket): Promise<void> {
  socket.setTimeout(FAKECLOUD_LIMITS.smtpIdleMs, () => socket.destroy());
  let entry: RequestEntry | null = null;
  const session = new SmtpSession(parts.account, (envelope, message) => {
    const mail = parts.mailbox.add(envelope, message);
    parts.ledger.effect('mail.received', mail.seq, entry);
    return mail.seq;
  });
  const step = async (name: string, work: () => Reply): Promise<boolean> => {
    entry = parts.ledger.begin('SMTP', `/smtp/${name}`, null);
    const { reply, replaced } = await play(parts.faults, entry, work);
    if (replaced) session.interrupt();
    if (reply === null) {
      socket.destroy();
      return false;
    }
    await say(socket, reply);
    if (reply.close === true) socket.end();
    return reply.close !== true;
  };

  if (!(await step('connect', () => ({ code: 220, lines: ['fakecloud ESMTP'] })))) return;
  const input = new SmtpInput();
  let errors = 0;
  for await (const chunk of socket) {
    if (!Buffer.isBuffer(chunk)) return;
    input.push(chunk);
    for (
      let item = input.next(session.waiting === 'data');
      item !== null;
      item = input.next(session.waiting === 'data')
    ) {
      const { kind, bytes } = item;
      const name = kind === 'message' ? 'message' : nameOf(session, bytes);
      const work = kind === 'message' ? () => session.message(bytes) : () => lineReply(session, bytes);
      const open = await step(name, () => {
        const reply = work();
        errors += reply.code >= 500 ? 1 : 0;
        return errors > FAKECLOUD_LIMITS.smtpErrorsPerConnection
          ? { code: 421, lines: ['4.7.0 Too many errors'], close: true }
          : reply;
      });
      if (!open) return;
    }
  }
}

function nameOf(session: SmtpSession, bytes: Buffer | null): string {
  if (session.waiting !== 'command') return 'auth';
  const verb = /^[a-z]{4}(?= |$)/i.exec(bytes?.toString('latin1') ?? '')?.[0];
  return verb === undefined ? 'unknown' : verb.toLowerCase();
}

function lineReply(session: SmtpSession, bytes: Buffer | null): Reply {
  if (bytes === null) return { code: 500, lines: ['5.5.2 Line too long'], close: true };
  const line = bytes.toString('utf8');
  if (/[\r\n\0]/.test(line)) return { code: 500, lines: ['5.5.2 Lines end in CRLF'] };
  return session.line(line);
}

interface Played {
  /** null when the connection is to be cut. */
  readonly reply: Reply | null;
  /** The client hears something else than the session said, or the session was never asked. */
  readonly replaced: boolean;
}

/** The reply, with the first matching fault played on it. There is no body to slow, so `slow-body` is a delay here. */
async function play(faults: Faults, entry: RequestEntry, work: () => Reply): Promise<Played> {
  const fault = faults.take('SMTP', entry.path);
  const delaysOnly = fault === null || fault.kind === 'delay' || fault.kind === 'slow-body';
  let reply: Reply | null = delaysOnly || fault.when === 'after' ? work() : null;
  if (fault !== null) {
    entry.fault = fault.id;
    await sleep(fault.delayMs);
    if (fault.kind === 'drop') reply = null;
    if (fault.kind === 'status')
      reply = { code: fault.status, lines: [`${fault.id} is switched on in the fake cloud`] };
    if (fault.kind === 'garbage') reply = { code: 999, lines: ['\u0007<html> garbage'] };
  }
  entry.outcome = reply === null ? 'dropped' : 'answered';
  entry.status = reply?.code ?? null;
  return { reply, replaced: !delaysOnly };
}

function say(socket: Socket, reply: Reply): Promise<void> {
  const last = reply.lines.length - 1;
  const text = reply.lines
    .map((line, index) => `${reply.code}${index === last ? ' ' : '-'}${line}\r\n`)
    .join('');
  return new Promise((resolve, reject) => {
    socket.write(text, (error) => (error instanceof Error ? reject(error) : resolve()));
  });
}

interface Item {
  readonly kind: 'line' | 'message';
  /** null when it was longer than allowed. */
  readonly bytes: Buffer | null;
}

/** Cuts what arrives into command lines and messages; a client may send several commands at once (PIPELINING). */
class SmtpInput {
  #pending: Buffer = Buffer.alloc(0);
  #message: Buffer[] = [];
  #messageBytes = 0;

  push(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
  }

  next(inMessage: boolean): Item | null {
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end < 0) return this.#unfinished(inMessage);
      const line = this.#pending.subarray(0, end);
      this.#pending = this.#pending.subarray(end + 2);
      if (!inMessage) return { kind: 'line', bytes: end > FAKECLOUD_LIMITS.smtpCommandBytes ? null : line };
      if (line.equals(Buffer.from('.'))) return this.#finish();
      this.#take(line[0] === 0x2e ? line.subarray(1) : line);
    }
  }

  #unfinished(inMessage: boolean): Item | null {
    const maxBytes = inMessage ? FAKECLOUD_LIMITS.mailBytes : FAKECLOUD_LIMITS.smtpCommandBytes;
    if (this.#pending.length <= maxBytes) return null;
    this.#pending = Buffer.alloc(0);
    return { kind: 'line', bytes: null };
  }

  #take(line: Buffer): void {
    this.#messageBytes += line.length + 2;
    if (this.#messageBytes <= FAKECLOUD_LIMITS.mailBytes)
      this.#message.push(Buffer.concat([line, Buffer.from('\r\n')]));
  }

  #finish(): Item {
    const bytes = this.#messageBytes > FAKECLOUD_LIMITS.mailBytes ? null : Buffer.concat(this.#message);
    this.#message = [];
    this.#messageBytes = 0;
    return { kind: 'message', bytes };
  }
}
