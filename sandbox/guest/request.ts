/** The request a controller gets: a WHATWG-like Request with the guide's all(), input(), params, rawBody and user (contract A15). */
import type { InvocationContext, ModuleRequest } from '../contract/invocation.ts';
import { decodeBase64 } from './web/base64.ts';
import { Headers } from './web/headers.ts';
import { decodeUtf8, encodeUtf8 } from './web/encoding.ts';
import { URLSearchParams } from './web/url.ts';

export class IncomingRequest {
  readonly method: string;
  readonly url: string;
  /** `{param}` parts of the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly user: InvocationContext['auth'];
  readonly #request: ModuleRequest;
  #headers: Headers | undefined;
  #rawBody: Uint8Array | undefined;
  #data: Readonly<Record<string, unknown>> | undefined;

  constructor(request: ModuleRequest, user: InvocationContext['auth']) {
    this.method = request.method;
    this.url = request.url;
    this.params = request.params;
    this.user = user;
    this.#request = request;
  }

  get headers(): Headers {
    return (this.#headers ??= new Headers(this.#request.headers));
  }

  /** The body's very bytes: what a webhook's signature was made over. */
  get rawBody(): Uint8Array {
    const { body } = this.#request;
    return (this.#rawBody ??= 'text' in body ? encodeUtf8(body.text) : decodeBase64(body.base64));
  }

  /** Most bodies came as text, and never have to be bytes. */
  #text(): string {
    const { body } = this.#request;
    return 'text' in body ? body.text : decodeUtf8(this.rawBody);
  }

  async text(): Promise<string> {
    return this.#text();
  }

  async json(): Promise<unknown> {
    return JSON.parse(this.#text());
  }

  /** Query, form or JSON body and route parameters in one record; a later source wins. */
  all(): Readonly<Record<string, unknown>> {
    this.#data ??= { ...this.#query(), ...this.#body(), ...this.params };
    return this.#data;
  }

  input(key: string, fallback?: unknown): unknown {
    const all = this.all();
    return Object.hasOwn(all, key) ? all[key] : fallback;
  }

  #query(): Record<string, unknown> {
    const mark = this.url.indexOf('?');
    return mark < 0 ? {} : fromPairs(new URLSearchParams(this.url.slice(mark + 1)));
  }

  #body(): Record<string, unknown> {
    const type = this.headers.get('content-type') ?? '';
    const text = this.#text();
    if (text === '') return {};
    if (type.includes('application/json')) {
      const parsed: unknown = JSON.parse(text);
      return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : {};
    }
    return type.includes('application/x-www-form-urlencoded') ? fromPairs(new URLSearchParams(text)) : {};
  }
}

/** `a[]=1&a[]=2` and repeated keys become lists. */
function fromPairs(pairs: Iterable<[string, string]>): Record<string, unknown> {
  const record: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [rawKey, value] of pairs) {
    const key = rawKey.endsWith('[]') ? rawKey.slice(0, -2) : rawKey;
    const held = record[key];
    if (rawKey.endsWith('[]') || held !== undefined)
      record[key] = [...(Array.isArray(held) ? held : held === undefined ? [] : [held]), value];
    else record[key] = value;
  }
  return record;
}
