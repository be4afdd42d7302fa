/**
 * A door between the host and the fake cloud, which a test can shut: before a request goes through, or before its answer comes back. So a
 * kill falls exactly where it is meant to, and the cloud's ledger says what had happened by then.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';

export type Side = 'request' | 'answer';

export interface Hold {
  /** Somebody stands at the door. */
  readonly reached: Promise<void>;
  /** Lets it through. */
  open(): void;
  /** It never goes through. */
  drop(): void;
}

interface Held {
  readonly match: string;
  readonly side: Side;
  readonly reached: PromiseWithResolvers<void>;
  readonly through: PromiseWithResolvers<boolean>;
}

export class Gate implements AsyncDisposable {
  readonly #server = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing));
  readonly #target: URL;
  readonly #holds: Held[] = [];

  private constructor(target: string) {
    this.#target = new URL(target);
  }

  static async to(target: string): Promise<Gate> {
    const gate = new Gate(target);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Shuts the door for the next request that is `match`: 'POST /v2/droplets', without its query. */
  shut(match: string, side: Side): Hold {
    const held = {
      match,
      side,
      reached: Promise.withResolvers<void>(),
      through: Promise.withResolvers<boolean>(),
    };
    this.#holds.push(held);
    return {
      reached: held.reached.promise,
      open: () => held.through.resolve(true),
      drop: () => held.through.resolve(false),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const held of this.#holds) held.through.resolve(false);
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    outgoing.on('error', () => undefined);
    const name = `${incoming.method} ${(incoming.url ?? '').replace(/\?.*/, '')}`;
    const body = await buffer(incoming).catch(() => undefined);
    if (body === undefined || !(await this.#stands(name, 'request'))) return void outgoing.destroy();
    const { status, headers, answer } = await this.#forward(incoming, body);
    if (!(await this.#stands(name, 'answer'))) return void outgoing.destroy();
    outgoing.writeHead(status, headers).end(answer);
  }

  async #stands(name: string, side: Side): Promise<boolean> {
    const index = this.#holds.findIndex((held) => held.match === name && held.side === side);
    const [held] = index < 0 ? [] : this.#holds.splice(index, 1);
    if (held === undefined) return true;
    held.reached.resolve();
    return held.through.promise;
  }

  async #forward(incoming: IncomingMessage, body: Buffer) {
    const { method, url: path, headers } = incoming;
    const { hostname, port, host } = this.#target;
    const outgoing = request({ hostname, port, method, path, headers: { ...headers, host }, agent: false });
    outgoing.end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 502, headers: response.headers, answer: await buffer(response) };
  }
}
