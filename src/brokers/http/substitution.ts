/**
 * Puts secret values in place of their handles, each in the encoding of the place it stands in, so that a value with a quote or an
 * ampersand can neither break a request nor add something to it. Nothing here decides where a secret may go; `mayGoTo` does, and
 * the caller asks it for each hop.
 */
import type { Grant } from '../../../sandbox/contract/capabilities.ts';
import { isRowName } from '../../../sandbox/contract/capabilities/secrets.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { handlePattern } from '../../../sandbox/contract/secret-handle.ts';
import { handlesIn } from '../../secrets/handle.ts';
import type { Secret } from '../../secrets/vault.ts';
import { headerOf } from './headers.ts';
import type { HeaderList } from './headers.ts';
import { matchingPattern } from './target.ts';
import type { Target } from './target.ts';

export type SecretsByHandle = ReadonlyMap<string, Secret>;

/** A part of a request with the values in, and the secrets that were put in. */
export interface Filled<T> {
  readonly value: T;
  readonly used: readonly Secret[];
}

const NO_SETTINGS = {};
const BASIC = /^basic +([A-Za-z0-9+/_-]+={0,2})$/i;

/** @throws HostError NOT_FOUND for a handle that this installation does not have: another's, or one that was removed */
export function secretOf(secrets: SecretsByHandle, handle: string): Secret {
  const secret = secrets.get(handle);
  if (secret === undefined)
    throw new HostError(
      'NOT_FOUND',
      'http: the request holds a secret that this installation does not have (any more).',
    );
  return secret;
}

function fillText(text: string, secrets: SecretsByHandle, encode: (value: string) => string): Filled<string> {
  const used = handlesIn(text).map((handle) => secretOf(secrets, handle));
  if (used.length === 0) return { value: text, used };
  return { value: text.replace(handlePattern(), (handle) => encode(secretOf(secrets, handle).value)), used };
}

/** Percent-encodes what could end a path segment or a query value; the rest stays as services document it (`bot123:abc`). */
function encodeUrlPart(value: string): string {
  return encodeURIComponent(value).replace(/%(?:3A|40|2C|3B|24)/g, decodeURIComponent);
}

/** A URL that begins with a handle is kept whole in the secret (a webhook’s address); elsewhere a value is one encoded part. */
export function fillUrl(url: string, secrets: SecretsByHandle): Filled<string> {
  const first = handlesIn(url)[0];
  if (first === undefined || !url.startsWith(first)) return fillText(url, secrets, encodeUrlPart);
  const whole = secretOf(secrets, first);
  const rest = fillText(url.slice(first.length), secrets, encodeUrlPart);
  return { value: whole.value + rest.value, used: [whole, ...rest.used] };
}

/** What is inside `Authorization: Basic …`, as one character a byte; undefined for any other header value. */
function basicCredentials(value: string): string | undefined {
  const encoded = BASIC.exec(value)?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('latin1');
}

const asLatin1 = (value: string): string => Buffer.from(value, 'utf8').toString('latin1');

function fillHeader(value: string, secrets: SecretsByHandle): Filled<string> {
  const credentials = basicCredentials(value);
  if (credentials === undefined || handlesIn(credentials).length === 0)
    return fillText(value, secrets, asLatin1);
  const filled = fillText(credentials, secrets, asLatin1);
  return { value: `Basic ${Buffer.from(filled.value, 'latin1').toString('base64')}`, used: filled.used };
}

export function fillHeaders(headers: HeaderList, secrets: SecretsByHandle): Filled<HeaderList> {
  const filled = headers.map(([name, value]) => ({ name, ...fillHeader(value, secrets) }));
  return { value: filled.map(({ name, value }) => [name, value]), used: filled.flatMap(({ used }) => used) };
}

function escapeXml(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}

function bodyEncoding(contentType: string): (value: string) => string {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type.endsWith('+json'))
    return (value) => JSON.stringify(value).slice(1, -1);
  if (type === 'application/x-www-form-urlencoded') return encodeURIComponent;
  if (type.endsWith('/xml') || type.endsWith('+xml')) return escapeXml;
  return (value) => value;
}

/** Encoded by the request’s content type: JSON, form or XML; as it is elsewhere. */
export function fillBody(body: Buffer, headers: HeaderList, secrets: SecretsByHandle): Filled<Buffer> {
  const encode = bodyEncoding(headerOf(headers, 'content-type') ?? '');
  const text = body.toString('latin1');
  const filled = fillText(text, secrets, (value) => asLatin1(encode(value)));
  return { value: filled.used.length === 0 ? body : Buffer.from(filled.value, 'latin1'), used: filled.used };
}

/**
 * True if the secret is granted and may go to the target: by the grant’s hosts, and by its own where it has some. That of a row, which the module
 * itself has put, goes to its own hosts only.
 */
export function mayGoTo(
  secret: Secret,
  target: Target,
  grant: Grant<'secrets'> | undefined,
  settings: Readonly<Record<string, unknown>>,
): boolean {
  if (isRowName(secret.name))
    return grant !== undefined && matchingPattern(target, secret.hosts, NO_SETTINGS) !== undefined;
  const entry =
    grant !== undefined && Object.hasOwn(grant.names, secret.name) ? grant.names[secret.name] : undefined;
  if (entry === undefined || matchingPattern(target, entry.hosts, settings) === undefined) return false;
  return secret.hosts.length === 0 || matchingPattern(target, secret.hosts, settings) !== undefined;
}
