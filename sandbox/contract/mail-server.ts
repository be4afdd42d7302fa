/**
 * Mail servers as smtp grants and secret bindings name them: `mail.example.com:587`, `{settings.server}:587`, or
 * `{settings.server}:{settings.port}` for one that the tenant's admin configures. The port always stands there: it is half of
 * what is granted, and without it a mail server could not be told from a web server of the same name.
 */
import * as v from 'valibot';
import { hostMatches, parseHostPattern, patternCovers, settingsReference } from './host-pattern.ts';

export interface MailServer {
  /** Lower case; an IPv6 address stands in brackets. */
  readonly host: string;
  readonly port: number;
}

const PATTERN = /^(\{settings\.[a-z0-9_]+\}|[^{}:[\]]+|\[[0-9a-f:.]+\]):(\{settings\.[a-z0-9_]+\}|\d{1,5})$/i;

/** Host and port as they were written, or undefined if the text names no mail server. */
function parts(text: string): { readonly host: string; readonly port: string } | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, host = '', port = ''] = match;
  const isKnown = (part: string): boolean => !part.startsWith('{') || settingsReference(part) !== undefined;
  if (!isKnown(host) || !isKnown(port)) return undefined;
  const literal = `${host.startsWith('{') ? 'a.example' : host}:${port.startsWith('{') ? '25' : port}`;
  return parseHostPattern(literal) === undefined ? undefined : { host, port };
}

function filled(part: string, settings: Readonly<Record<string, unknown>>): string {
  const field = settingsReference(part);
  if (field === undefined) return part;
  const value = Object.hasOwn(settings, field) ? settings[field] : undefined;
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
}

/** True if the pattern, with what the settings say, allows a connection to the server. */
export function allowsMailServer(
  pattern: string,
  server: MailServer,
  settings: Readonly<Record<string, unknown>>,
): boolean {
  const found = parts(pattern);
  if (found === undefined) return false;
  const host = filled(found.host, settings);
  // A wildcard is the manifest's to write and the admin's to read: as a setting it would widen the grant unseen.
  if (host !== found.host && host.includes('*')) return false;
  const parsed = parseHostPattern(`${host}:${filled(found.port, settings)}`);
  return parsed !== undefined && hostMatches(parsed, { ...server, scheme: 'https' });
}

export function mailServerCovers(granted: string, asked: string): boolean {
  return granted === asked || patternCovers(granted, asked);
}

/** A pattern as a person reads it. */
export function mailServerInWords(text: string): string {
  const found = parts(text);
  const host = found === undefined ? undefined : settingsReference(found.host);
  const port = found === undefined ? undefined : settingsReference(found.port);
  if (found === undefined || host === undefined) return text;
  return port === undefined
    ? `the server in its setting “${host}” on port ${found.port}`
    : `the server and port in its settings “${host}” and “${port}”`;
}

export const MailServerText = v.pipe(
  v.string('a mail server is expected, for example "mail.example.com:587".'),
  v.maxLength(260),
  v.check(
    (text) => parts(text) !== undefined,
    'a mail server with its port is expected: "mail.example.com:587", "{settings.server}:587" or "{settings.server}:{settings.port}".',
  ),
);
