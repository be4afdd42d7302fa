/**
 * One POST to a webhook on this machine. The fake cloud posts to addresses that strangers' modules give it, so it must not be
 * a way out: only plain http to a loopback name is taken, and the connection goes to the loopback whatever the name resolves to.
 */
import { request } from 'node:http';

export interface PostAnswer {
  readonly status: number;
  readonly text: string;
}

const LOOPBACK = /^(localhost|[a-z0-9.-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The address as a URL when the fake cloud may post to it, else the reason why not. */
export function loopbackUrl(address: string): URL | string {
  if (!URL.canParse(address)) return 'Not a valid URL';
  const url = new URL(address);
  if (url.protocol !== 'http:' || !LOOPBACK.test(url.hostname)) {
    return 'The fake cloud sends webhooks only to http:// on this machine (127.0.0.1, [::1], localhost, *.localhost)';
  }
  return url;
}

/** @throws when the receiver cannot be reached, cuts the connection or takes longer than `limits.timeoutMs` */
export function postToLoopback(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  limits: { readonly timeoutMs: number; readonly answerChars: number },
): Promise<PostAnswer> {
  const bytes = Buffer.from(body);
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>();
  const outgoing = request(
    {
      method: 'POST',
      host: url.hostname === '[::1]' ? '::1' : url.hostname.startsWith('127.') ? url.hostname : '127.0.0.1',
      port: url.port === '' ? 80 : Number(url.port),
      path: url.pathname + url.search,
      headers: { host: url.host, 'content-length': bytes.length, ...headers },
      agent: false,
      signal: AbortSignal.timeout(limits.timeoutMs),
    },
    (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (part: string) => {
        text = (text + part).slice(0, limits.answerChars);
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
      incoming.on('error', reject);
    },
  );
  outgoing.on('error', reject);
  outgoing.end(bytes);
  return promise;
}
