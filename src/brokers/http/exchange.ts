/**
 * One request and its whole answer. What may change something, and all that a job's step sends, has a connection of its own: it is never lost
 * on a stale one, which would put the step in doubt. What only reads may take one that waits since an earlier request of the
 * same installation to the same origin (kept.ts), and is sent once more over a new one if the other side had closed that.
 */
import type { EgressAllow } from './addresses.ts';
import { readBody } from './body.ts';
import { Connection } from './connection.ts';
import { failed, failureReason } from './failure.ts';
import { headerOf } from './headers.ts';
import type { HeaderList } from './headers.ts';
import { BODILESS } from './hop.ts';
import type { HttpMethod } from './hop.ts';
import type { KeptConnections, Place } from './kept.ts';
import type { HttpLimits } from './limits.ts';
import type { Target } from './target.ts';

export interface ExchangeRequest {
  readonly target: Target;
  readonly method: HttpMethod;
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
  /** Checked ones. */
  readonly addresses: readonly string[];
}

export interface ExchangeOptions {
  readonly allow: EgressAllow;
  readonly limits: HttpLimits;
  readonly ca?: readonly string[];
  /** Connections of this installation that it may take and leave; each request has its own if absent. */
  readonly keep?: { readonly connections: KeptConnections; readonly installationId: string };
  /** Ends everything: the whole request's deadline and the invocation's end. Its reason is what is thrown. */
  readonly signal: AbortSignal;
}

export interface RawAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
}

export class ExchangeError extends Error {
  /** Nothing of the request can have reached the other side. */
  readonly isUnsent: boolean;
  /** The connection ended before an answer began: the other side may have closed it while it waited. */
  readonly isStale: boolean;

  constructor(cause: unknown, { isUnsent, isStale }: { isUnsent: boolean; isStale: boolean }) {
    super('the exchange failed', { cause });
    this.isUnsent = isUnsent;
    this.isStale = isStale;
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

function open({ target, addresses }: ExchangeRequest, { limits, allow, ca }: ExchangeOptions): Connection {
  return new Connection({
    origin: target.url.origin,
    addresses,
    port: target.port,
    allow,
    connectMs: limits.connectMs,
    responseHeaderBytes: limits.responseHeaderBytes,
    ...(ca === undefined ? {} : { ca }),
  });
}

/** Sends the request over this connection. @param last the other side is told that nothing will follow */
async function send(
  connection: Connection,
  request: ExchangeRequest,
  { limits, signal: ending }: ExchangeOptions,
  last: boolean,
): Promise<RawAnswer> {
  const { target } = request;
  const firstByte = new AbortController();
  const timer = setTimeout(() => firstByte.abort(failed('timeout')), limits.firstByteMs);
  const signal = AbortSignal.any([ending, firstByte.signal]);
  let isAnswering = false;
  try {
    const answer = await connection.client.request({
      method: request.method,
      path: target.url.pathname + target.url.search,
      headers: request.headers.flat(),
      body: request.body ?? null,
      responseHeaders: 'raw',
      reset: last,
      signal,
    });
    isAnswering = true;
    clearTimeout(timer);
    const headers = headerPairs(answer.headers);
    const encoding = request.method === 'HEAD' ? '' : (headerOf(headers, 'content-encoding') ?? '');
    const body = await readBody(answer.body, encoding, limits);
    return { status: answer.statusCode, statusText: answer.statusText, headers, body };
  } catch (error) {
    throw new ExchangeError(signal.aborted ? signal.reason : error, {
      isUnsent: connection.peer === undefined,
      isStale: !isAnswering && !signal.aborted && failureReason(error) === 'reset',
    });
  } finally {
    clearTimeout(timer);
  }
}

/** @throws ExchangeError with the reason as its cause */
export async function exchange(request: ExchangeRequest, options: ExchangeOptions): Promise<RawAnswer> {
  const { keep } = options;
  // What may change something is never sent over a connection that may be stale, and leaves none behind.
  if (keep === undefined || !BODILESS.has(request.method)) return alone(request, options);
  const place = { installationId: keep.installationId, origin: request.target.url.origin };
  const waiting = keep.connections.take(place, request.addresses);
  if (waiting !== undefined) {
    try {
      return await shared(waiting, place, request, options);
    } catch (error) {
      if (!(error instanceof ExchangeError && error.isStale)) throw error;
    }
  }
  return shared(open(request, options), place, request, options);
}

/** Over a connection that may serve the next request too. */
async function shared(
  connection: Connection,
  place: Place,
  request: ExchangeRequest,
  options: ExchangeOptions,
): Promise<RawAnswer> {
  try {
    const answer = await send(connection, request, options, false);
    options.keep?.connections.give(place, connection);
    return answer;
  } catch (error) {
    await connection.end();
    throw error;
  }
}

/** Over a connection that is opened for it and closed after it. */
async function alone(request: ExchangeRequest, options: ExchangeOptions): Promise<RawAnswer> {
  const connection = open(request, options);
  try {
    return await send(connection, request, options, true);
  } finally {
    await connection.end();
  }
}
