/** The WHATWG Response over a whole body. */
import { Body } from './body.ts';
import type { BodyInit } from './body.ts';
import type { HeadersInit } from './headers.ts';
import { asText } from './text.ts';

export interface ResponseInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeadersInit;
}

/** What only fetch can say of a response. */
export interface ResponseOrigin {
  readonly url: string;
  readonly redirected: boolean;
}

const NO_BODY: readonly number[] = [101, 204, 205, 304];
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export class Response extends Body {
  readonly status: number;
  readonly statusText: string;
  #type: 'default' | 'error' = 'default';
  #origin: ResponseOrigin = { url: '', redirected: false };

  constructor(body: BodyInit | null = null, init: ResponseInit = {}) {
    const status = init.status ?? 200;
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError('A status is a whole number from 200 to 599.');
    if (body !== null && NO_BODY.includes(status))
      throw new TypeError(`A response of ${status} has no body.`);
    super(body, init.headers);
    this.status = status;
    this.statusText = init.statusText ?? '';
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get url(): string {
    return this.#origin.url;
  }

  get redirected(): boolean {
    return this.#origin.redirected;
  }

  get type(): 'default' | 'error' {
    return this.#type;
  }

  clone(): Response {
    return Response.from(Body.contentOf(this), this, this.#origin);
  }

  static json(data: unknown, init: ResponseInit = {}): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError('This value has no JSON.');
    const response = new Response(text, init);
    const hasType =
      init.headers !== undefined && new Response(null, { headers: init.headers }).headers.has('content-type');
    if (!hasType) response.headers.set('content-type', 'application/json');
    return response;
  }

  static error(): Response {
    const response = new Response();
    response.#type = 'error';
    return response;
  }

  static redirect(url: string, status = 302): Response {
    if (!REDIRECTS.includes(status)) throw new RangeError('A redirect has status 301, 302, 303, 307 or 308.');
    return new Response(null, { status, headers: { location: asText(url) } });
  }

  /** What fetch received: any status, and only the headers that came. */
  static from(body: BodyInit | null, init: ResponseInit, origin: ResponseOrigin): Response {
    const status = init.status ?? 200;
    const response = new Response(NO_BODY.includes(status) || body === '' ? null : body, { ...init, status });
    const hadType =
      init.headers !== undefined &&
      [...new Response(null, { headers: init.headers }).headers.keys()].includes('content-type');
    if (!hadType) response.headers.delete('content-type');
    response.#origin = origin;
    return response;
  }
}
