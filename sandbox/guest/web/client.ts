/** `http.client`: what Guzzle was in the guide, with seconds, `json` bodies, and HttpError from status 400 up. */
import { HANDLE_AT_START } from '../../contract/secret-handle.ts';
import type { Env } from '../env.ts';
import { HttpError, TimeoutError } from '../errors.ts';
import type { BaseAbortSignal } from './abort.ts';
import { encodeBase64 } from './base64.ts';
import type { BodyInit } from './body.ts';
import { decodeUtf8, encodeUtf8 } from './encoding.ts';
import { methodOf, reasonOf, send } from './fetch.ts';
import type { Method, Timeouts } from './fetch.ts';
import { Headers } from './headers.ts';
import type { HeadersInit } from './headers.ts';
import { Request } from './request.ts';
import type { Response } from './response.ts';
import { URLSearchParams } from './url.ts';

/** A request of these may be repeated: the second has no further effect. */
const REPEATABLE: readonly Method[] = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'];
const RETRIED_STATUSES: readonly number[] = [408, 425, 429, 502, 503, 504];
const RETRIED_REASONS: readonly unknown[] = ['refused', 'unreachable', 'reset', 'dns'];
const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 30_000;
const RETRIES = 5;
const LONGEST_TIMEOUT_MS = 60_000;
const BODY_IN_MESSAGE_CHARACTERS = 200;

export type QueryValue = string | number | boolean | null | undefined;

export interface ClientOptions {
  /** Put before each path; a whole URL is requested as it is. May be, or begin with, a secret’s handle. */
  readonly baseURL?: string;
  readonly headers?: HeadersInit;
  /** Seconds for the whole request, 60 at most. */
  readonly timeout?: number;
  /** Seconds until the connection stands; the host’s own bound is 10. */
  readonly connectTimeout?: number;
  /** How often a request that may be repeated (GET, HEAD, PUT, DELETE, OPTIONS) is tried again: on 408, 425, 429, 502 to 504 or a broken connection. */
  readonly retry?: number;
}

export interface RequestOptions extends Omit<ClientOptions, 'baseURL'> {
  readonly query?: Readonly<Record<string, QueryValue>>;
  /** The body as JSON. */
  readonly json?: unknown;
  /** The body as an urlencoded form. */
  readonly form?: Readonly<Record<string, QueryValue>>;
  readonly body?: BodyInit;
  /** User and password for Basic authentication; the password may be a secret’s handle. */
  readonly auth?: readonly [user: string, password: string];
  readonly redirect?: 'follow' | 'manual' | 'error';
  readonly signal?: BaseAbortSignal;
}

/** An answer, read whole. `data` is the parsed JSON, or the text if it is none. */
export interface HttpResponse<T = unknown> {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string;
  readonly data: T;
  text(): string;
  json(): T;
  bytes(): Uint8Array;
}

type WithoutBody = <T = unknown>(path: string, options?: RequestOptions) => Promise<HttpResponse<T>>;

export interface HttpClient {
  /** @throws HttpError from status 400 up; CapabilityError (NotGranted, TimeoutError) if there is no answer */
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<HttpResponse<T>>;
  readonly get: WithoutBody;
  readonly head: WithoutBody;
  readonly post: WithoutBody;
  readonly put: WithoutBody;
  readonly patch: WithoutBody;
  readonly delete: WithoutBody;
}

function joinURL(base: string | undefined, path: string): string {
  if (
    base === undefined ||
    base === '' ||
    /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ||
    HANDLE_AT_START.test(path)
  )
    return path;
  return path === '' ? base : `${base.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`;
}

function paramsOf(values: Readonly<Record<string, QueryValue>>): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) params.append(name, String(value));
  }
  return params;
}

function withQuery(url: string, query: RequestOptions['query']): string {
  const text = query === undefined ? '' : paramsOf(query).toString();
  if (text === '') return url;
  const [front, fragment] = url.split('#', 2);
  return `${front ?? ''}${url.includes('?') ? '&' : '?'}${text}${fragment === undefined ? '' : `#${fragment}`}`;
}

function headersOf(base: HeadersInit | undefined, options: RequestOptions): Headers {
  const headers = new Headers(base);
  for (const [name, value] of new Headers(options.headers)) headers.set(name, value);
  if (options.auth !== undefined)
    headers.set('authorization', `Basic ${encodeBase64(encodeUtf8(options.auth.join(':')))}`);
  if (options.json !== undefined && !headers.has('content-type'))
    headers.set('content-type', 'application/json');
  if (!headers.has('accept')) headers.set('accept', 'application/json, */*;q=0.5');
  return headers;
}

function bodyOf(options: RequestOptions): BodyInit | null {
  if (options.json !== undefined) return JSON.stringify(options.json);
  return options.form === undefined ? (options.body ?? null) : paramsOf(options.form);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function readWhole<T>(response: Response): Promise<HttpResponse<T>> {
  const bytes = await response.bytes();
  const text = decodeUtf8(bytes);
  return {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers,
    url: response.url,
    data: parsed(text) as T,
    text: () => text,
    json: () => JSON.parse(text) as T,
    bytes: () => bytes.slice(),
  };
}

function httpError(method: Method, response: HttpResponse): HttpError {
  const text = response.text().slice(0, BODY_IN_MESSAGE_CHARACTERS);
  return new HttpError(
    response.status,
    response.data,
    `${method} answered ${response.status}${text === '' ? '' : `: ${text}`}`,
  );
}

function isWorthRetrying(outcome: { response?: HttpResponse; error?: unknown }): boolean {
  if (outcome.response !== undefined) return RETRIED_STATUSES.includes(outcome.response.status);
  return outcome.error instanceof TimeoutError || RETRIED_REASONS.includes(reasonOf(outcome.error));
}

/** What Retry-After asks for, or twice as long each time. */
function pauseMs(attempt: number, response: HttpResponse | undefined): number {
  const asked = Number(response?.headers.get('retry-after') ?? Number.NaN) * 1_000;
  return Math.min(
    RETRY_LONGEST_MS,
    Number.isFinite(asked) && asked >= 0 ? asked : RETRY_FIRST_MS * 2 ** attempt,
  );
}

/** Seconds as the guide has them; none, zero and less mean the host's own bound. */
function milliseconds(name: keyof Timeouts, seconds: number | undefined): Timeouts {
  if (seconds === undefined || seconds <= 0) return {};
  return { [name]: Math.min(LONGEST_TIMEOUT_MS, Math.ceil(seconds * 1_000)) };
}

export function createClient(env: Env, defaults: ClientOptions): HttpClient {
  async function attemptOnce<T>(
    request: Request,
    timeouts: Timeouts,
  ): Promise<{ response?: HttpResponse<T>; error?: unknown }> {
    try {
      return { response: await readWhole<T>(await send(env, request, timeouts)) };
    } catch (error) {
      return { error };
    }
  }

  async function request<T>(
    name: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<HttpResponse<T>> {
    const method = methodOf(name);
    const timeouts = {
      ...milliseconds('timeoutMs', options.timeout ?? defaults.timeout),
      ...milliseconds('connectTimeoutMs', options.connectTimeout ?? defaults.connectTimeout),
    };
    const made = new Request(withQuery(joinURL(defaults.baseURL, path), options.query), {
      method,
      headers: headersOf(defaults.headers, options),
      body: bodyOf(options),
      redirect: options.redirect ?? 'follow',
      signal: options.signal ?? null,
    });
    const retries = REPEATABLE.includes(method) ? Math.min(RETRIES, options.retry ?? defaults.retry ?? 0) : 0;
    for (let attempt = 0; ; attempt++) {
      const outcome = await attemptOnce<T>(made, timeouts);
      if (attempt < retries && isWorthRetrying(outcome)) {
        await new Promise<void>((resolve) => void env.setTimer(resolve, pauseMs(attempt, outcome.response)));
        continue;
      }
      if (outcome.response === undefined) throw outcome.error;
      if (outcome.response.status >= 400) throw httpError(method, outcome.response);
      return outcome.response;
    }
  }

  const verb =
    (method: Method): WithoutBody =>
    async <T>(path: string, options?: RequestOptions) =>
      request<T>(method, path, options);
  return Object.freeze({
    request,
    get: verb('GET'),
    head: verb('HEAD'),
    post: verb('POST'),
    put: verb('PUT'),
    patch: verb('PATCH'),
    delete: verb('DELETE'),
  });
}
