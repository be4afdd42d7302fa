/**
 * Host patterns of http grants and secret bindings: `api.example.com`, `*.example.com:8443`, `http://10.0.0.5:8080`, or
 * `{settings.field}` for an address the tenant's admin configures. Only hosts are compared, never whole URLs: as a glob over a
 * URL `*.example.com` would also match `https://evil.test/?.example.com/`. A wildcard stands for one or more whole labels.
 */
import * as v from 'valibot';

export interface HostPattern {
  readonly scheme: 'https' | 'http';
  /** Lower case; an IPv6 address stands in brackets. */
  readonly host: string;
  readonly wildcard: boolean;
  readonly port: number;
}

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const PATTERN = new RegExp(
  `^(?:(https?)://)?(\\*\\.)?((?:${LABEL}\\.)*${LABEL}|\\[[0-9a-f:.]+\\])(?::(\\d{1,5}))?$`,
);
const SETTINGS_REFERENCE = /^\{settings\.([a-z][a-z0-9_]{0,39})\}$/;
const DEFAULT_PORT = { https: 443, http: 80 } as const;

/** Undefined if the text is no pattern. IDN hosts are written in punycode. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const match = PATTERN.exec(text.toLowerCase());
  if (match === null) return undefined;
  const scheme = match[1] === 'http' ? 'http' : 'https';
  const host = match[3] ?? '';
  const wildcard = match[2] !== undefined;
  const port = match[4] === undefined ? DEFAULT_PORT[scheme] : Number(match[4]);
  if (port < 1 || port > 65_535 || (wildcard && (!host.includes('.') || /^[\d.]+$/.test(host))))
    return undefined;
  return { scheme, host, wildcard, port };
}

/** True if a connection to scheme://host:port is what the pattern allows. */
export function hostMatches(
  pattern: HostPattern,
  target: Pick<HostPattern, 'scheme' | 'host' | 'port'>,
): boolean {
  if (pattern.scheme !== target.scheme || pattern.port !== target.port) return false;
  return pattern.wildcard ? target.host.endsWith(`.${pattern.host}`) : target.host === pattern.host;
}

/** True if everything `asked` matches is matched by `granted` too. */
export function patternCovers(granted: string, asked: string): boolean {
  const wide = parseHostPattern(granted);
  const narrow = parseHostPattern(asked);
  if (wide === undefined || narrow === undefined) return false;
  if (wide.scheme !== narrow.scheme || wide.port !== narrow.port) return false;
  if (!wide.wildcard) return !narrow.wildcard && wide.host === narrow.host;
  return narrow.host.endsWith(`.${wide.host}`) || (narrow.wildcard && narrow.host === wide.host);
}

/** The settings field a `{settings.field}` pattern refers to. */
export function settingsReference(text: string): string | undefined {
  return SETTINGS_REFERENCE.exec(text)?.[1];
}

/** Every settings field that a text refers to. */
export function settingsReferences(text: string): readonly string[] {
  return [...text.matchAll(/\{settings\.([^}]*)\}/g)].map((match) => match[1] ?? '');
}

/** A pattern as a person reads it. */
export function hostInWords(text: string): string {
  const field = settingsReference(text);
  return field === undefined ? text : `the address in its setting “${field}”`;
}

export const HostPatternText = v.pipe(
  v.string('a host is expected, for example "api.example.com".'),
  v.maxLength(260),
  v.check(
    (text) => parseHostPattern(text) !== undefined || settingsReference(text) !== undefined,
    'a host is expected: "api.example.com", "*.example.com:8443", "http://10.0.0.5:8080" or "{settings.field}".',
  ),
);
