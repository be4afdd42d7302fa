/** One request of one invocation through the op `http.request`, and `fetch` over it. The host checks everything. */
import type { OpInput } from '../../contract/capabilities.ts';
import type { Env } from '../env.ts';
import { CapabilityError, TimeoutError } from '../errors.ts';
import type { BaseAbortSignal } from './abort.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { Body } from './body.ts';
import { Request } from './request.ts';
import type { RequestInit } from './request.ts';
import { Response } from './response.ts';
import type { URL } from './url.ts';

type RequestInput = OpInput<'http', 'request'>;
export type Method = RequestInput['method'];
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

const METHODS: readonly Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function methodOf(name: string): Method {
  const found = METHODS.find((method) => method === name.toUpperCase());
  if (found === undefined)
    throw new TypeError(`There is no request method ${name} here; there are ${METHODS.join(', ')}.`);
  return found;
}

/** Rejects when the signal aborts, whatever the host still does; the host's own time runs on. */
async function raceSignal<T>(work: Promise<T>, signal: BaseAbortSignal | null | undefined): Promise<T> {
  if (signal === null || signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Why a request could not be carried out (src/brokers/http/failure.ts); undefined for any other error. */
export function reasonOf(error: unknown): unknown {
  if (!(error instanceof CapabilityError) || error.code !== 'HTTP_FAILED') return undefined;
  const { data } = error;
  return typeof data === 'object' && data !== null && 'reason' in data ? data.reason : undefined;
}

/** In milliseconds; what is left out has the host's own bound. */
export type Timeouts = Pick<RequestInput, 'timeoutMs' | 'connectTimeoutMs'>;

/** One op. In a step each request takes the next number, by which the host's journal knows it again. */
export async function send(env: Env, request: Request, timeouts: Timeouts = {}): Promise<Response> {
  request.signal?.throwIfAborted();
  const content = Body.contentOf(request);
  const { step } = env;
  const input: RequestInput = {
    method: methodOf(request.method),
    url: request.url,
    headers: [...request.headers],
    redirect: request.redirect,
    ...(content === null
      ? {}
      : { body: typeof content === 'string' ? { text: content } : { base64: encodeBase64(content) } }),
    ...timeouts,
    ...(step === undefined ? {} : { step: { name: step.name, number: step.next++ } }),
  };
  try {
    const { status, statusText, headers, body, url, redirected } = await raceSignal(
      env.call('http', 'request', input),
      request.signal,
    );
    const received = 'text' in body ? body.text : decodeBase64(body.base64);
    return Response.from(received, { status, statusText, headers }, { url, redirected });
  } catch (error) {
    if (reasonOf(error) !== 'timeout' || !(error instanceof CapabilityError)) throw error;
    throw new TimeoutError({ code: 'TIMEOUT', message: error.message, data: error.data });
  }
}

/** The web's fetch: an answer of 404 is an answer. Rejects with a CapabilityError if there is none. */
export function createFetch(env: Env): Fetch {
  return async (input, init) => send(env, new Request(input, init));
}
