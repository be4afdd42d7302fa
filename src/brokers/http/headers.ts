/** Which headers a module may send, and which of an answer it gets. Names are compared in lower case. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { HttpAnswer } from './journal.ts';
import { HTTP_LIMITS } from './limits.ts';

export type HeaderList = HttpAnswer['headers'];

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What describes the connection or the message’s frame: ours alone, since a second opinion about it is request smuggling. */
const OURS = new Set([
  'connection',
  'content-length',
  'cookie2',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
]);
/** What survives a redirect to another host. Everything else could be a credential under a name of its own. */
const SAFE_ELSEWHERE = new Set([
  'accept',
  'accept-language',
  'content-language',
  'content-type',
  'user-agent',
]);
/** Of no meaning once the answer is whole and decompressed. */
const DROPPED_FROM_ANSWERS = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const DEFAULTS: HeaderList = [
  ['user-agent', 'Bulkhead'],
  ['accept', '*/*'],
];

function bad(text: string): HostError {
  return new HostError('BAD_INPUT', `http: ${text}`);
}

export function headerOf(headers: HeaderList, name: string): string | undefined {
  return headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
}

function checkName(name: string): void {
  if (!NAME.test(name)) throw bad('a header name holds characters that HTTP does not allow.');
  const lower = name.toLowerCase();
  if (OURS.has(lower) || lower.startsWith('proxy-'))
    throw bad(`the header ${name} is set by the host; leave it out.`);
}

/**
 * The headers of a module’s request in lower case, checked. `accept-encoding` is replaced by ours: we decompress.
 * Called before secrets are put in; `checkFilled` looks again after.
 * @throws HostError BAD_INPUT
 */
export function requestHeaders(given: HeaderList): HeaderList {
  if (given.length > HTTP_LIMITS.requestHeaders)
    throw bad(`a request has at most ${HTTP_LIMITS.requestHeaders} headers.`);
  for (const [name] of given) checkName(name);
  const headers = given.map(([name, value]): [string, string] => [name.toLowerCase(), value.trim()]);
  checkFilled(headers);
  const own = headers.filter(([name]) => name !== 'accept-encoding');
  const missing = DEFAULTS.filter(([name]) => headerOf(own, name) === undefined);
  return [...own, ...missing, ['accept-encoding', 'gzip, deflate, br']];
}

/** @throws HostError BAD_INPUT naming the header, never its value */
export function checkFilled(headers: HeaderList): void {
  let sizeBytes = 0;
  for (const [name, value] of headers) {
    if (!VALUE.test(value))
      throw bad(`the value of ${name} holds a line break or another character that no header may hold.`);
    sizeBytes += name.length + value.length;
  }
  if (sizeBytes > HTTP_LIMITS.requestHeaderBytes)
    throw bad(`the headers are larger than ${HTTP_LIMITS.requestHeaderBytes} bytes.`);
}

/** What is sent on when a redirect leaves for another host. */
export function headersElsewhere(headers: HeaderList): HeaderList {
  return headers.filter(([name]) => SAFE_ELSEWHERE.has(name) || name === 'accept-encoding');
}

/** Without what described a body that is no longer sent. */
export function headersWithoutBody(headers: HeaderList): HeaderList {
  return headers.filter(([name]) => !name.startsWith('content-'));
}

/** Set-Cookie stays: services with a login by cookie need it, and it never reaches a browser. */
export function answerHeaders(headers: HeaderList): HeaderList {
  return headers
    .map(([name, value]): [string, string] => [name.toLowerCase(), value])
    .filter(([name]) => !DROPPED_FROM_ANSWERS.has(name));
}
