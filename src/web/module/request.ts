/** Turns a browser's or a webhook's request into what a module is given: chosen headers, the raw body, never a cookie of ours. */
import type { Context } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { ModuleRequest } from '../../../sandbox/contract/invocation.ts';
import { CSRF_HEADER } from '../guard.ts';
import * as v from 'valibot';

/** Headers of a signed-in person's request that say something about the request and nothing about the person. */
const BROWSER_HEADERS = new Set(['content-type', 'accept', 'accept-language', 'user-agent']);
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
  const headers = [...c.req.raw.headers].filter(([name]) =>
    shape.headers === 'browser'
      ? BROWSER_HEADERS.has(name)
      : !DROPPED.has(name) && !name.startsWith('x-forwarded-') && !name.startsWith('sec-'),
  );
  const parsed = v.safeParse(ModuleRequest, {
    method: c.req.method === 'HEAD' ? 'GET' : c.req.method,
    url: shape.url,
    headers,
    body: bodyOf(Buffer.from(await c.req.arrayBuffer())),
    params: { ...shape.params },
  });
  if (!parsed.success) throw new HostError('BAD_INPUT', 'Modules answer GET, POST, PUT and DELETE only.');
  return parsed.output;
}

/** Text if the bytes are UTF-8 without loss (a signature is computed over them), else base64. */
function bodyOf(bytes: Buffer): ModuleRequest['body'] {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { base64: bytes.toString('base64') };
}
