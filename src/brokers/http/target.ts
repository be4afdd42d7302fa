/**
 * Where a request goes, as the host itself reads it. The module's own parser is never believed: the text is parsed once, here,
 * by the parser whose result is then checked and connected to.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { hostMatches, parseHostPattern, settingsReference } from '../../../sandbox/contract/host-pattern.ts';
import type { HostPattern } from '../../../sandbox/contract/host-pattern.ts';
import { HTTP_LIMITS } from './limits.ts';

export interface Target {
  readonly url: URL;
  readonly scheme: 'https' | 'http';
  /** As in URL.hostname: lower case, punycode, an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = { https: 443, http: 80 } as const;
const HOST_CHARACTERS = 253;
const LABELS = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const BRACKETED = /^\[[0-9a-f:.]+\]$/;
/** Characters that URL parsers drop or read differently: what we check must be what the author sees. */
const AMBIGUOUS = /[\0-\x20\x7f\\]/;

function bad(text: string): HostError {
  return new HostError('BAD_INPUT', `http: ${text}`);
}

function schemeOf(url: URL): 'https' | 'http' | undefined {
  if (url.protocol === 'https:') return 'https';
  return url.protocol === 'http:' ? 'http' : undefined;
}

/**
 * Reads a URL. Its errors hold nothing of the text, which may contain a secret by now.
 * @throws HostError BAD_INPUT
 */
export function parseTarget(text: string): Target {
  if (text.length > HTTP_LIMITS.urlCharacters)
    throw bad(`a URL has at most ${HTTP_LIMITS.urlCharacters} characters.`);
  if (AMBIGUOUS.test(text))
    throw bad('the URL contains a space, a backslash or a control character; encode it.');
  const url = URL.parse(text);
  if (url === null) throw bad('this is no absolute URL; one looks like https://api.example.com/path.');
  const scheme = schemeOf(url);
  if (scheme === undefined) throw bad('only https:// and http:// can be requested.');
  if (url.username !== '' || url.password !== '')
    throw bad('a URL must not hold a user or password; send an Authorization header.');
  const host = url.hostname;
  if (host.endsWith('.')) throw bad('write the host without a dot at its end.');
  if (host.length > HOST_CHARACTERS || !(LABELS.test(host) || BRACKETED.test(host)))
    throw bad('the URL’s host is no valid host name.');
  const port = url.port === '' ? DEFAULT_PORT[scheme] : Number(url.port);
  if (port === 0) throw bad('port 0 cannot be requested.');
  url.hash = '';
  return { url, scheme, host, port };
}

/** `example.com` or, where the port or scheme is not the usual one, as it has to stand in the manifest. */
export function describeTarget({ scheme, host, port }: Pick<Target, 'scheme' | 'host' | 'port'>): string {
  return `${scheme === 'http' ? 'http://' : ''}${host}${port === DEFAULT_PORT[scheme] ? '' : `:${port}`}`;
}

/** The address in a settings field: a URL's origin, or host[:port] (https). Undefined if it cannot be read as one. */
function patternOfSetting(value: unknown): HostPattern | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const text = value.trim();
  try {
    const { scheme, host, port } = parseTarget(
      /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`,
    );
    return { scheme, host, port, wildcard: false };
  } catch {
    return undefined;
  }
}

/** IPv6 addresses have many spellings; the URL parser's is the one compared. */
function canonical(pattern: HostPattern): HostPattern | undefined {
  if (!pattern.host.startsWith('[')) return pattern;
  const url = URL.parse(`http://${pattern.host}/`);
  return url === null ? undefined : { ...pattern, host: url.hostname };
}

function patternOf(text: string, settings: Readonly<Record<string, unknown>>): HostPattern | undefined {
  const field = settingsReference(text);
  if (field !== undefined)
    return Object.hasOwn(settings, field) ? patternOfSetting(settings[field]) : undefined;
  const parsed = parseHostPattern(text);
  return parsed === undefined ? undefined : canonical(parsed);
}

/** The first pattern (as it was granted) that allows the target. */
export function matchingPattern(
  target: Pick<Target, 'scheme' | 'host' | 'port'>,
  patterns: readonly string[],
  settings: Readonly<Record<string, unknown>>,
): string | undefined {
  return patterns.find((text) => {
    const pattern = patternOf(text, settings);
    return pattern !== undefined && hostMatches(pattern, target);
  });
}
