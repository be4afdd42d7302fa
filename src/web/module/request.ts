/** Turns a browser's or a webhook's request into what a module is given: chosen headers, the raw body, never a cookie of ours. */
import { isUtf8 } from 'node:buffer';
import type { Context } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { ModuleRequest } from '../../../sandbox/contract/invocation.ts';
import { CSRF_HEADER } from '../guard.ts';

/** What modules are asked with, by what a browser sends. */
const METHODS: ReadonlyMap<string, ModuleRequest['method']> = new Map([
  ...ModuleRequest.entries.method.options.map((known) => [known, known] as const),
  ['HEAD', 'GET'],
]);
/** Headers of a signed-in person's request that say something about the request and nothing about the person. */
const BROWSER_HEADERS = ['content-type', 'accept', 'accept-language', 'user-agent'] as const;
/** Of a webhook everything may be signed; these are ours, or describe one hop only. */
const DROPPED = new Set([
  'authorization-proxy',
  'connection',
  'cookie',
  'expect',
  'forwarded',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  CSRF_HEADER,
]);

export interface RequestShape {
  /** URL as the module sees it, query included. */
  readonly url: string;
  readonly headers: 'browser' | 'webhook';
  readonly params?: Readonly<Record<string, string>>;
}

/** @throws BAD_INPUT for a method modules do not have */
export async function moduleRequest(c: Context, shape: RequestShape): Promise<ModuleRequest> {
  const method = METHODS.get(c.req.method);
  if (method === undefined)
    throw new HostError('BAD_INPUT', 'Modules answer GET, POST, PUT and DELETE only.');
  return {
    method,
    url: shape.url,
    headers: shape.headers === 'browser' ? browserHeaders(c) : webhookHeaders(c),
    body: method === 'GET' ? { text: '' } : bodyOf(Buffer.from(await c.req.arrayBuffer())),
    params: { ...shape.params },
  };
}

function browserHeaders(c: Context): [string, string][] {
  const found: [string, string][] = [];
  for (const name of BROWSER_HEADERS) {
    const value = c.req.header(name);
    if (value !== undefined) found.push([name, value]);
  }
  return found;
}

function webhookHeaders(c: Context): [string, string][] {
  return [...c.req.raw.headers].filter(
    ([name]) => !DROPPED.has(name) && !name.startsWith('x-forwarded-') && !name.startsWith('sec-'),
  );
}

/** Text if the bytes are UTF-8 without loss (a signature is computed over them), else base64. */
function bodyOf(bytes: Buffer): ModuleRequest['body'] {
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
}
