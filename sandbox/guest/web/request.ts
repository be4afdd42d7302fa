/** The WHATWG Request over a whole body. */
import { HANDLE_AT_START } from '../../contract/secret-handle.ts';
import type { BaseAbortSignal } from './abort.ts';
import { Body } from './body.ts';
import type { BodyInit } from './body.ts';
import type { HeadersInit } from './headers.ts';
import { URL } from './url.ts';

export type RedirectMode = 'follow' | 'manual' | 'error';

export interface RequestInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: BodyInit | null;
  readonly redirect?: RedirectMode;
  readonly signal?: BaseAbortSignal | null;
}

const BODILESS: readonly string[] = ['GET', 'HEAD'];
const NORMALIZED: readonly string[] = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];

function methodOf(name: string): string {
  const upper = name.toUpperCase();
  return NORMALIZED.includes(upper) ? upper : name;
}

function urlOf(input: string | URL): string {
  const text = String(input);
  // A URL kept as a secret is a handle here; the host puts the value in.
  return HANDLE_AT_START.test(text) ? text : new URL(text).href;
}

export class Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly redirect: RedirectMode;
  readonly signal: BaseAbortSignal | null;

  constructor(input: string | URL | Request, init: RequestInit = {}) {
    const from = input instanceof Request ? input : undefined;
    const method = methodOf(init.method ?? from?.method ?? 'GET');
    const body = init.body === undefined ? (from === undefined ? null : Body.contentOf(from)) : init.body;
    if (body !== null && BODILESS.includes(method)) throw new TypeError(`A ${method} request has no body.`);
    super(body, init.headers ?? from?.headers);
    this.url = input instanceof Request ? input.url : urlOf(input);
    this.method = method;
    this.redirect = init.redirect ?? from?.redirect ?? 'follow';
    this.signal = init.signal === undefined ? (from?.signal ?? null) : init.signal;
  }

  clone(): Request {
    return new Request(this);
  }
}
