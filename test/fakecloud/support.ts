/** What the fake cloud's tests share: requests to its APIs, a receiver for webhooks, a client that speaks raw SMTP. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { isRecord } from '../../src/fakecloud/shape.ts';

export const CREATE = {
  name: 'web-1.example.com',
  region: 'us-east-1',
  size: 's-1vcpu-1gb',
  image: 'ubuntu-20.04',
};
export const HOUR_MS = 3_600_000;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, an empty object when it is none. */
  readonly json: Record<string, unknown>;
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

/** A call of the DigitalOcean-shaped API with its token. */
export async function cloudCall(
  cloud: FakeCloud,
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly key?: string } = {},
): Promise<Answer> {
  const headers = new Headers({
    authorization: `Bearer ${cloud.cloudToken}`,
    'content-type': 'application/json',
  });
  if (options.key !== undefined) headers.set('idempotency-key', options.key);
  const body = options.body === undefined ? null : JSON.stringify(options.body);
  return answerOf(await fetch(`${cloud.cloud}/v2${path}`, { method, headers, body }));
}

/** A call of the Stripe-shaped API; `form` makes it a POST. */
export async function stripeCall(
  cloud: FakeCloud,
  path: string,
  form?: Readonly<Record<string, string>>,
  options: { readonly key?: string; readonly account?: number } = {},
): Promise<Answer> {
  const headers = new Headers({
    authorization: `Bearer ${cloud.stripe.secretKeys[options.account ?? 0] ?? ''}`,
  });
  if (options.key !== undefined) headers.set('idempotency-key', options.key);
  const init =
    form === undefined ? { headers } : { method: 'POST', headers, body: new URLSearchParams(form) };
  return answerOf(await fetch(`${cloud.stripe.url}/v1${path}`, init));
}

export const CHECKOUT = {
  mode: 'payment',
  success_url: 'http://127.0.0.1/paid?session={CHECKOUT_SESSION_ID}',
  cancel_url: 'http://127.0.0.1/cancelled',
  client_reference_id: 'invoice-1',
  'metadata[invoice]': 'invoice-1',
  'payment_intent_data[metadata][invoice]': 'invoice-1',
  'line_items[0][price_data][currency]': 'EUR',
  'line_items[0][price_data][unit_amount]': '1250',
  'line_items[0][price_data][product_data][name]': 'Invoice #1',
  'line_items[0][quantity]': '2',
};

/** Presses a button of a hosted checkout page; redirects are not followed. */
export async function press(checkoutUrl: unknown, outcome: 'pay' | 'decline' | 'cancel'): Promise<Answer> {
  const body = new URLSearchParams({ outcome });
  return answerOf(await fetch(String(checkoutUrl), { method: 'POST', body, redirect: 'manual' }));
}

/** The value at a path of keys in JSON; undefined when a step is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((place, key) => {
    if (Array.isArray(place)) return place[Number(key)];
    return isRecord(place) ? place[key] : undefined;
  }, value);
}

/** Looks until `probe` gives something other than null or undefined, for 10 s at most. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined> | T | null | undefined,
): Promise<T> {
  for (let tries = 0; tries < 5_000; tries += 1) {
    const found = await probe();
    if (found !== null && found !== undefined) return found;
    await sleep(2);
  }
  throw new Error(`gave up waiting for ${what}`);
}

export interface Hook {
  readonly body: string;
  readonly signature: string;
  readonly event: Record<string, unknown>;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly hooks: Hook[];
  /** Gives the status of each next answer; 200 when there is none. */
  readonly answers: number[];
}

/** A webhook endpoint on a free port. */
export async function receiver(): Promise<Receiver> {
  const hooks: Hook[] = [];
  const answers: number[] = [];
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    incoming.on('end', () => {
      hooks.push({ body, signature: String(incoming.headers['stripe-signature']), event: parsed(body) });
      outgoing.writeHead(answers.shift() ?? 200).end('seen');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}/hook`, hooks, answers, [Symbol.asyncDispose]: close };
}

/** A hand-driven SMTP connection. */
export class SmtpTalk implements Disposable {
  readonly #socket: Socket;
  #received = '';

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (part: string) => {
      this.#received += part;
    });
    socket.on('error', () => undefined);
  }

  /** Connects and reads the greeting. */
  static async open(cloud: FakeCloud): Promise<SmtpTalk> {
    const talk = new SmtpTalk(connect(cloud.smtp.port, cloud.smtp.host));
    await talk.reply();
    return talk;
  }

  /** Sends a line and gives the whole reply to it. */
  async say(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next reply, or `closed` when the connection ends instead. */
  reply(): Promise<string> {
    return until('a reply', () => {
      const match = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(this.#received);
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length);
        return match[0];
      }
      return this.#socket.closed ? 'closed' : null;
    });
  }

  async logIn({ smtp }: FakeCloud): Promise<string> {
    await this.say('EHLO tester');
    return this.say(`AUTH PLAIN ${Buffer.from(`\0${smtp.username}\0${smtp.password}`).toString('base64')}`);
  }

  /** From MAIL to the reply to the message. */
  async mail(to: string, message: string): Promise<string> {
    await this.say('MAIL FROM:<panel@example.com>');
    await this.say(`RCPT TO:<${to}>`);
    await this.say('DATA');
    return this.say(`${message}\r\n.`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
