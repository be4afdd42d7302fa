/** What follows a redirect, by the rules of fetch: which method, which headers, and what is left behind when the host changes. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { RawAnswer } from './exchange.ts';
import { headerOf, headersElsewhere, headersWithoutBody } from './headers.ts';
import type { Hop, HttpMethod } from './hop.ts';
import type { Target } from './target.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Where an answer redirects to, or undefined if it does not. */
export function redirectLocation(answer: RawAnswer): string | undefined {
  return REDIRECTS.has(answer.status) ? headerOf(answer.headers, 'location') : undefined;
}

function methodAfter(status: number, method: HttpMethod): HttpMethod {
  if (status === 303) return method === 'HEAD' ? 'HEAD' : 'GET';
  return (status === 301 || status === 302) && method === 'POST' ? 'GET' : method;
}

/**
 * The next request. Its headers and body still hold handles; secrets that stood in the URL are not carried over, unless
 * the answer wrote them into the new one, which the caller looks for.
 * @throws HostError BAD_INPUT if the location cannot be read
 */
export function nextHop(hop: Hop, from: Target, answer: RawAnswer, location: string): Hop {
  // Bytes as they came: a location in UTF-8 is one character a byte here.
  const url = URL.parse(Buffer.from(location, 'latin1').toString('utf8'), from.url.href);
  if (url === null)
    throw new HostError('BAD_INPUT', 'http: the answer redirects to something that is no URL.');
  const method = methodAfter(answer.status, hop.method);
  const isElsewhere = url.origin !== from.url.origin;
  const kept = isElsewhere ? headersElsewhere(hop.headers) : hop.headers;
  const hasBody = method === hop.method && hop.body !== undefined;
  return {
    method,
    url: url.href,
    headers: hasBody ? kept : headersWithoutBody(kept),
    body: hasBody ? hop.body : undefined,
    isFollowed: true,
  };
}
