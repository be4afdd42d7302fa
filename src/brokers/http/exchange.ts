/**
 * One request and its whole answer over a connection of its own. Connections are not kept: nothing of one request (a desynchronised
 * answer, a half-closed socket) can reach the next, which may be another tenant's, and a request is never lost on a stale socket, which would put
 * a job's step in doubt. The price is a handshake a request.
 */
import { Client } from 'undici';
import type { Dispatcher } from 'undici';

import type { EgressAllow } from './addresses.ts';
import { readBody } from './body.ts';
import { pinnedConnector } from './connector.ts';
import { failed } from './failure.ts';
import { headerOf } from './headers.ts';
import type { HeaderList } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import type { Target } from './target.ts';

export interface ExchangeRequest {
  readonly target: Target;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
  /** Checked ones. */
  readonly addresses: readonly string[];
}

export interface ExchangeOptions {
  readonly allow: EgressAllow;
  readonly limits: HttpLimits;
  readonly ca?: readonly string[];
  /** Ends everything: the whole request's deadline and the invocation's end. Its reason is what is thrown. */
  readonly signal: AbortSignal;
}

export interface RawAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** `isUnsent` says that nothing of the request can have reached the other side. */
export class ExchangeError extends Error {
  readonly isUnsent: boolean;

  constructor(cause: unknown, isUnsent: boolean) {
    super('the exchange failed', { cause });
    this.isUnsent = isUnsent;
  }
}

/** undici types headers as a record; with `responseHeaders: 'raw'` they are a flat list of names and values. */
function headerPairs(raw: unknown): HeaderList {
  if (!Array.isArray(raw)) throw failed('protocol');
  const texts = raw.map((part: unknown) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)));
  return texts.flatMap((name, index): HeaderList =>
    index % 2 === 0 ? [[name, texts[index + 1] ?? '']] : [],
  );
}

/** @throws ExchangeError with the reason as its cause */
export async function exchange(request: ExchangeRequest, options: ExchangeOptions): Promise<RawAnswer> {
  const { target, addresses } = request;
  const { limits, allow, ca } = options;
  const pinned = pinnedConnector({
    addresses,
    port: target.port,
    allow,
    connectMs: limits.connectMs,
    ...(ca === undefined ? {} : { ca }),
  });
  const client = new Client(target.url.origin, {
    connect: pinned.connect,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: limits.responseHeaderBytes,
    // The bounds below count the whole, not the pause between two parts.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const firstByte = new AbortController();
  const timer = setTimeout(() => firstByte.abort(failed('timeout')), limits.firstByteMs);
  const signal = AbortSignal.any([options.signal, firstByte.signal]);
  try {
    const answer = await client.request({
      method: request.method,
      path: target.url.pathname + target.url.search,
      headers: request.headers.flat(),
      body: request.body ?? null,
      responseHeaders: 'raw',
      reset: true,
      signal,
    });
    clearTimeout(timer);
    const headers = headerPairs(answer.headers);
    const encoding = request.method === 'HEAD' ? '' : (headerOf(headers, 'content-encoding') ?? '');
    const body = await readBody(answer.body, encoding, limits);
    return { status: answer.statusCode, statusText: answer.statusText, headers, body };
  } catch (error) {
    throw new ExchangeError(signal.aborted ? signal.reason : error, !pinned.isConnected());
  } finally {
    clearTimeout(timer);
    await client.destroy();
  }
}
