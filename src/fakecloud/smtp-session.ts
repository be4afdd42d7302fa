/**
 * One SMTP conversation as a state machine: a line in, a reply out. It knows nothing of sockets, which keeps RFC 5321's rules
 * readable in one place. Lines end in CRLF and only CRLF, and only a lone dot between two of them ends a message: a receiver
 * that is generous there lets one mail smuggle in another.
 */
import type { Envelope } from './mail.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { sameSecret } from './secrets.ts';

export interface SmtpAccount {
  readonly username: string;
  readonly password: string;
  /** Whether MAIL is refused before AUTH. */
  readonly required: boolean;
}

export interface Reply {
  readonly code: number;
  readonly lines: readonly string[];
  /** The last reply of the connection. */
  readonly close?: boolean;
}

type Waiting = 'command' | 'data' | 'auth-plain' | 'auth-username' | 'auth-password';

const reply = (code: number, ...lines: string[]): Reply => ({ code, lines });
const BAD_SEQUENCE = reply(503, '5.5.1 Bad sequence of commands');
const AUTH_FAILED = reply(535, '5.7.8 Authentication credentials invalid');
/** What the base64 prompts of AUTH LOGIN say: "Username:" and "Password:". */
const ASK_USERNAME = reply(334, 'VXNlcm5hbWU6');
const ASK_PASSWORD = reply(334, 'UGFzc3dvcmQ6');

export class SmtpSession {
  waiting: Waiting = 'command';
  readonly #account: SmtpAccount;
  readonly #accept: (envelope: Envelope, message: Buffer) => number;
  #greeted = false;
  #user: string | null = null;
  #loginName = '';
  #from: string | null = null;
  #to: string[] = [];

  constructor(account: SmtpAccount, accept: (envelope: Envelope, message: Buffer) => number) {
    this.#account = account;
    this.#accept = accept;
  }

  /** A line while a command or an answer to AUTH is awaited. */
  line(line: string): Reply {
    if (this.waiting !== 'command') return this.#authLine(line);
    const [verb, argument] = splitAtSpace(line);
    switch (verb.toUpperCase()) {
      case 'EHLO':
        return this.#hello(argument, ehloLines());
      case 'HELO':
        return this.#hello(argument, ['fakecloud']);
      case 'AUTH':
        return this.#auth(argument);
      case 'MAIL':
        return this.#mail(argument);
      case 'RCPT':
        return this.#recipient(argument);
      case 'DATA':
        return this.#data(argument);
      case 'RSET':
        this.#forget();
        return reply(250, '2.0.0 OK');
      case 'NOOP':
        return reply(250, '2.0.0 OK');
      case 'VRFY':
        return reply(252, '2.1.5 Send some mail and see');
      case 'QUIT':
        return { ...reply(221, '2.0.0 Bye'), close: true };
      default:
        return reply(500, '5.5.2 Command unrecognized');
    }
  }

  /** The whole message, dots unstuffed; null when it was longer than allowed and was thrown away. */
  message(message: Buffer | null): Reply {
    const envelope = { from: this.#from ?? '', to: this.#to, authenticatedAs: this.#user };
    this.#forget();
    if (message === null) return reply(552, '5.3.4 Message too big');
    return reply(250, `2.0.0 OK queued as ${this.#accept(envelope, message)}`);
  }

  /** The client was told something else than this session said: await a command again, as after an error. */
  interrupt(): void {
    if (this.waiting === 'data') this.#forget();
    this.waiting = 'command';
  }

  #forget(): void {
    this.waiting = 'command';
    this.#from = null;
    this.#to = [];
  }

  #hello(name: string, lines: readonly string[]): Reply {
    if (name === '') return reply(501, '5.5.4 Say your name');
    this.#forget();
    this.#greeted = true;
    return reply(250, ...lines);
  }

  #auth(argument: string): Reply {
    if (!this.#greeted || this.#from !== null) return BAD_SEQUENCE;
    if (this.#user !== null) return reply(503, '5.5.1 Already authenticated');
    const [mechanism, initial] = splitAtSpace(argument);
    switch (mechanism.toUpperCase()) {
      case 'PLAIN':
        this.waiting = 'auth-plain';
        return initial === '' ? reply(334, '') : this.#authLine(initial);
      case 'LOGIN':
        this.waiting = 'auth-username';
        return initial === '' ? ASK_USERNAME : this.#authLine(initial);
      default:
        return reply(504, '5.5.4 Only PLAIN and LOGIN');
    }
  }

  #authLine(line: string): Reply {
    const step = this.waiting;
    this.waiting = 'command';
    if (line === '*') return reply(501, '5.7.0 Authentication cancelled');
    const value = Buffer.from(line, 'base64').toString('utf8');
    if (step === 'auth-username') {
      this.#loginName = value;
      this.waiting = 'auth-password';
      return ASK_PASSWORD;
    }
    const [, plainName = '', plainPassword = ''] = value.split('\0');
    return step === 'auth-plain'
      ? this.#logIn(plainName, plainPassword)
      : this.#logIn(this.#loginName, value);
  }

  #logIn(username: string, password: string): Reply {
    const { username: name, password: secret } = this.#account;
    if (!sameSecret(username, name) || !sameSecret(password, secret)) return AUTH_FAILED;
    this.#user = username;
    return reply(235, '2.7.0 Authentication successful');
  }

  #mail(argument: string): Reply {
    if (!this.#greeted || this.#from !== null) return BAD_SEQUENCE;
    if (this.#account.required && this.#user === null) return reply(530, '5.7.0 Authentication required');
    const match = /^FROM:\s?<([^<>\s]*)>((?: \S+)*)$/i.exec(argument);
    if (match === null) return reply(501, '5.1.7 Write MAIL FROM:<address>');
    const sizeBytes = Number(/ SIZE=(\d+)/i.exec(match[2] ?? '')?.[1] ?? 0);
    if (sizeBytes > FAKECLOUD_LIMITS.mailBytes) return reply(552, '5.3.4 Message too big');
    this.#from = match[1] ?? '';
    return reply(250, '2.1.0 OK');
  }

  #recipient(argument: string): Reply {
    if (this.#from === null) return BAD_SEQUENCE;
    const address = /^TO:\s?<([^<>\s]+@[^<>\s]+)>$/i.exec(argument)?.[1];
    if (address === undefined) return reply(501, '5.1.3 Write RCPT TO:<name@domain>');
    if (this.#to.length >= FAKECLOUD_LIMITS.mailRecipients) return reply(452, '4.5.3 Too many recipients');
    this.#to.push(address);
    return reply(250, '2.1.5 OK');
  }

  #data(argument: string): Reply {
    if (argument !== '') return reply(501, '5.5.4 DATA takes nothing');
    if (this.#to.length === 0) return BAD_SEQUENCE;
    this.waiting = 'data';
    return reply(354, 'End with <CRLF>.<CRLF>');
  }
}

function ehloLines(): string[] {
  return ['fakecloud', `SIZE ${FAKECLOUD_LIMITS.mailBytes}`, '8BITMIME', 'PIPELINING', 'AUTH PLAIN LOGIN'];
}

function splitAtSpace(line: string): [string, string] {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1).trim()];
}
