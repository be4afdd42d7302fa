/**
 * A small URL parser: the WHATWG rules for http, https, ws, wss and ftp, and enough of them for other schemes. It is for modules' own
 * use; the host parses every URL again and believes none of this.
 */
import { encodeUtf8 } from './encoding.ts';
import { parseHost, parseIpv6, FORBIDDEN_HOST } from './url-host.ts';

export interface UrlRecord {
  readonly scheme: string;
  readonly username: string;
  readonly password: string;
  /** Null: there is none (mailto:). */
  readonly host: string | null;
  /** Empty if it is the scheme's own. */
  readonly port: string;
  /** With its leading slash, or opaque. */
  readonly path: string;
  readonly isOpaque: boolean;
  readonly query: string | null;
  readonly fragment: string | null;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  http: '80',
  https: '443',
  ws: '80',
  wss: '443',
  ftp: '21',
};
const FRAGMENT = ' "<>`';
const QUERY = ' "#<>';
const PATH = `${QUERY}?^\`{}`;
const USERINFO = `${PATH}/:;=@[\\]|`;

export function isSpecial(scheme: string): boolean {
  return Object.hasOwn(DEFAULT_PORTS, scheme);
}

/** Encodes control characters, everything beyond ASCII, and the characters of `set`. */
function percentEncode(text: string, set: string): string {
  let encoded = '';
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code > 0x1f && code < 0x7f && !set.includes(character)) encoded += character;
    else
      for (const byte of encodeUtf8(character))
        encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

export const encodeFragment = (text: string): string => percentEncode(text, FRAGMENT);
export const encodeUserinfo = (text: string): string => percentEncode(text, USERINFO);

export function encodeQuery(text: string, scheme: string): string {
  return percentEncode(text, isSpecial(scheme) ? `${QUERY}'` : QUERY);
}

/** `segments` of an absolute path, dots resolved, appended to those of `base`. */
export function parsePath(text: string, scheme: string, base: readonly string[] = []): string {
  const segments = text.split(isSpecial(scheme) ? /[/\\]/ : '/');
  const path = [...base];
  for (const [index, segment] of segments.entries()) {
    const plain = segment.replace(/%2e/gi, '.');
    const isLast = index === segments.length - 1;
    if (plain === '..') path.pop();
    if (plain !== '.' && plain !== '..') path.push(percentEncode(segment, PATH));
    else if (isLast) path.push('');
  }
  return `/${path.join('/')}`;
}

/** Undefined if it is none; empty if it is the scheme's own. */
export function parsePort(text: string, scheme: string): string | undefined {
  if (!/^[0-9]*$/.test(text) || Number(text) > 65_535) return undefined;
  const port = text === '' ? '' : String(Number(text));
  return port === DEFAULT_PORTS[scheme] ? '' : port;
}

/** Of a scheme whose hosts are not ours to read. */
function parseOpaqueHost(text: string): string | undefined {
  if (text.startsWith('[')) return text.endsWith(']') ? parseIpv6(text.slice(1, -1)) : undefined;
  return FORBIDDEN_HOST.test(text) ? undefined : percentEncode(text, '');
}

/** `host:port`. */
export function parseHostAndPort(text: string, scheme: string): Pick<UrlRecord, 'host' | 'port'> | undefined {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text);
  if (match === null) return undefined;
  const [hostText, portText] = [match[1] ?? '', match[2] ?? ''];
  if (hostText === '' && portText !== '') return undefined;
  const host = isSpecial(scheme) ? parseHost(hostText) : parseOpaqueHost(hostText);
  const port = parsePort(portText, scheme);
  return host === undefined || port === undefined ? undefined : { host, port };
}

interface Rest {
  readonly text: string;
  readonly query: string | null;
  readonly fragment: string | null;
}

function splitTail(text: string, scheme: string): Rest {
  const hash = text.indexOf('#');
  const fragment = hash < 0 ? null : encodeFragment(text.slice(hash + 1));
  const front = hash < 0 ? text : text.slice(0, hash);
  const mark = front.indexOf('?');
  const query = mark < 0 ? null : encodeQuery(front.slice(mark + 1), scheme);
  return { text: mark < 0 ? front : front.slice(0, mark), query, fragment };
}

/** `text` stands after the two slashes. */
function parseAuthority(scheme: string, text: string, { query, fragment }: Rest): UrlRecord | undefined {
  const end = text.search(isSpecial(scheme) ? /[/\\]/ : /\//);
  const authority = end < 0 ? text : text.slice(0, end);
  const pathText = end < 0 ? '' : text.slice(end + 1);
  const at = authority.lastIndexOf('@');
  const [user, ...password] = at < 0 ? [''] : authority.slice(0, at).split(':');
  const place = parseHostAndPort(authority.slice(at + 1), scheme);
  if (place === undefined || (at >= 0 && place.host === '')) return undefined;
  const path = end < 0 && !isSpecial(scheme) ? '' : parsePath(pathText, scheme);
  return {
    scheme,
    username: encodeUserinfo(user ?? ''),
    password: encodeUserinfo(password.join(':')),
    ...place,
    path,
    isOpaque: false,
    query,
    fragment,
  };
}

function parseRelative(rest: Rest, base: UrlRecord): UrlRecord | undefined {
  const { text, query, fragment } = rest;
  const slash = isSpecial(base.scheme) ? /^[/\\]/ : /^\//;
  if (base.isOpaque)
    return text === '' && query === null && fragment !== null ? { ...base, fragment } : undefined;
  if (slash.test(text) && slash.test(text.slice(1))) {
    const authority = isSpecial(base.scheme) ? text.replace(/^[/\\]+/, '') : text.slice(2);
    return parseAuthority(base.scheme, authority, rest);
  }
  if (slash.test(text)) return { ...base, path: parsePath(text.slice(1), base.scheme), query, fragment };
  if (text === '') return { ...base, query: query ?? base.query, fragment };
  const folder = base.path.split('/').slice(1, -1);
  return { ...base, path: parsePath(text, base.scheme, folder), query, fragment };
}

/** Undefined if the text is no URL. */
export function parseUrl(input: string, base?: UrlRecord): UrlRecord | undefined {
  const text = input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text);
  if (match === null)
    return base === undefined ? undefined : parseRelative(splitTail(text, base.scheme), base);
  const scheme = (match[1] ?? '').toLowerCase();
  const rest = splitTail(text.slice(match[0].length), scheme);
  if (isSpecial(scheme)) {
    if (base?.scheme === scheme && !/^[/\\]{2}/.test(rest.text)) return parseRelative(rest, base);
    return parseAuthority(scheme, rest.text.replace(/^[/\\]+/, ''), rest);
  }
  if (rest.text.startsWith('//')) return parseAuthority(scheme, rest.text.slice(2), rest);
  const { query, fragment } = rest;
  const isOpaque = !rest.text.startsWith('/');
  const path = isOpaque ? percentEncode(rest.text, '') : parsePath(rest.text.slice(1), scheme);
  return { scheme, username: '', password: '', host: null, port: '', path, isOpaque, query, fragment };
}

export function serializeUrl(url: UrlRecord): string {
  const password = url.password === '' ? '' : `:${url.password}`;
  const user = url.username === '' && password === '' ? '' : `${url.username}${password}@`;
  const place = url.host === null ? '' : `//${user}${url.host}${url.port === '' ? '' : `:${url.port}`}`;
  const guard = url.host === null && url.path.startsWith('//') ? '/.' : '';
  const query = url.query === null ? '' : `?${url.query}`;
  return `${url.scheme}:${place}${guard}${url.path}${query}${url.fragment === null ? '' : `#${url.fragment}`}`;
}
