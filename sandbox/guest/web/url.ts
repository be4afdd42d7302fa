/** URL and URLSearchParams over the small parser. */
import { decodeUtf8, encodeUtf8 } from './encoding.ts';
import { percentDecode } from './url-host.ts';
import {
  encodeFragment,
  encodeQuery,
  encodeUserinfo,
  isSpecial,
  parseHostAndPort,
  parsePath,
  parsePort,
  parseUrl,
  serializeUrl,
} from './url-parser.ts';
import type { UrlRecord } from './url-parser.ts';
import { asText } from './text.ts';

export type SearchParamsInit =
  | string
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string>>;

function decodeForm(text: string): string {
  return decodeUtf8(percentDecode(text.replaceAll('+', ' ')));
}

function encodeForm(text: string): string {
  let encoded = '';
  for (const byte of encodeUtf8(text)) {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9*._-]/.test(character)) encoded += character;
    else encoded += byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function parseForm(text: string): [string, string][] {
  const parts = text.split('&').filter((part) => part !== '');
  return parts.map((part) => {
    const equals = part.indexOf('=');
    return equals < 0
      ? [decodeForm(part), '']
      : [decodeForm(part.slice(0, equals)), decodeForm(part.slice(equals + 1))];
  });
}

function pairsOf(init: SearchParamsInit): [string, string][] {
  if (typeof init === 'string') return parseForm(init.startsWith('?') ? init.slice(1) : init);
  const pairs: Iterable<readonly [string, string]> = Symbol.iterator in init ? init : Object.entries(init);
  return Array.from(pairs, ([name, value]) => [asText(name), asText(value)]);
}

export class URLSearchParams {
  #pairs: [string, string][];
  readonly #onChange: ((text: string) => void) | undefined;

  /** @param onChange called with the new query; URL passes it to follow its own searchParams */
  constructor(init: SearchParamsInit = '', onChange?: (text: string) => void) {
    this.#pairs = pairsOf(init);
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#pairs.length;
  }

  append(name: string, value: string): void {
    this.#update([...this.#pairs, [asText(name), asText(value)]]);
  }

  delete(name: string, value?: string): void {
    this.#update(
      this.#pairs.filter((pair) => pair[0] !== name || (value !== undefined && pair[1] !== value)),
    );
  }

  get(name: string): string | null {
    return this.#pairs.find((pair) => pair[0] === name)?.[1] ?? null;
  }

  getAll(name: string): string[] {
    return this.#pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  }

  has(name: string, value?: string): boolean {
    return this.#pairs.some((pair) => pair[0] === name && (value === undefined || pair[1] === value));
  }

  set(name: string, value: string): void {
    const first = this.#pairs.findIndex((pair) => pair[0] === name);
    if (first < 0) return this.append(name, value);
    const others = this.#pairs.filter((pair, index) => pair[0] !== name || index === first);
    this.#update(others.map((pair) => (pair[0] === name ? [pair[0], asText(value)] : pair)));
  }

  sort(): void {
    this.#update(this.#pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  }

  forEach(callback: (value: string, name: string, params: URLSearchParams) => void): void {
    for (const [name, value] of this.#pairs) callback(value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    for (const [name, value] of this.#pairs) yield [name, value];
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.#pairs) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.#pairs) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  toString(): string {
    return this.#pairs.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join('&');
  }

  #update(pairs: [string, string][]): void {
    this.#pairs = pairs;
    this.#onChange?.(this.toString());
  }
}

function parse(url: unknown, base?: unknown): UrlRecord | undefined {
  const baseRecord = base === undefined ? undefined : parseUrl(asText(base));
  return base !== undefined && baseRecord === undefined ? undefined : parseUrl(asText(url), baseRecord);
}

export class URL {
  #record: UrlRecord;
  #searchParams: URLSearchParams | undefined;

  constructor(url: string | URL, base?: string | URL) {
    const record = parse(url, base);
    if (record === undefined) throw new TypeError('Invalid URL');
    this.#record = record;
  }

  static canParse(url: string | URL, base?: string | URL): boolean {
    return parse(url, base) !== undefined;
  }

  static parse(url: string | URL, base?: string | URL): URL | null {
    return URL.canParse(url, base) ? new URL(url, base) : null;
  }

  get href(): string {
    return serializeUrl(this.#record);
  }
  set href(value: string) {
    const record = parse(value);
    if (record === undefined) throw new TypeError('Invalid URL');
    this.#record = record;
    this.#searchParams = undefined;
  }

  get origin(): string {
    const { scheme, host, port } = this.#record;
    return isSpecial(scheme) ? `${scheme}://${host ?? ''}${port === '' ? '' : `:${port}`}` : 'null';
  }

  get protocol(): string {
    return `${this.#record.scheme}:`;
  }
  set protocol(value: string) {
    const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*)(?::|$)/.exec(asText(value))?.[1]?.toLowerCase();
    if (scheme === undefined || isSpecial(scheme) !== isSpecial(this.#record.scheme)) return;
    this.#record = { ...this.#record, scheme, port: parsePort(this.#record.port, scheme) ?? '' };
  }

  get username(): string {
    return this.#record.username;
  }
  set username(value: string) {
    if (this.#hasPlace()) this.#record = { ...this.#record, username: encodeUserinfo(asText(value)) };
  }

  get password(): string {
    return this.#record.password;
  }
  set password(value: string) {
    if (this.#hasPlace()) this.#record = { ...this.#record, password: encodeUserinfo(asText(value)) };
  }

  get host(): string {
    const { port } = this.#record;
    return `${this.hostname}${port === '' ? '' : `:${port}`}`;
  }
  set host(value: string) {
    const text = this.#authorityPart(value);
    const place = this.#record.isOpaque ? undefined : parseHostAndPort(text, this.#record.scheme);
    if (place === undefined) return;
    const hasPort = /:[0-9]+$/.test(text.replace(/^\[.*\]/, ''));
    this.#record = { ...this.#record, host: place.host, port: hasPort ? place.port : this.#record.port };
  }

  get hostname(): string {
    return this.#record.host ?? '';
  }
  set hostname(value: string) {
    const text = this.#authorityPart(value);
    if (this.#record.isOpaque || /^[^[]*:/.test(text)) return;
    const place = parseHostAndPort(text, this.#record.scheme);
    if (place !== undefined) this.#record = { ...this.#record, host: place.host };
  }

  get port(): string {
    return this.#record.port;
  }
  set port(value: string) {
    const digits = /^[0-9]*/.exec(asText(value))?.[0] ?? '';
    const port = digits === '' && asText(value) !== '' ? undefined : parsePort(digits, this.#record.scheme);
    if (port !== undefined && this.#hasPlace()) this.#record = { ...this.#record, port };
  }

  get pathname(): string {
    return this.#record.path;
  }
  set pathname(value: string) {
    const { scheme, isOpaque } = this.#record;
    if (isOpaque) return;
    const text = asText(value).replace(isSpecial(scheme) ? /^[/\\]/ : /^\//, '');
    this.#record = { ...this.#record, path: parsePath(text, scheme) };
  }

  get search(): string {
    const { query } = this.#record;
    return query === null || query === '' ? '' : `?${query}`;
  }
  set search(value: string) {
    const text = asText(value);
    const query =
      text === '' ? null : encodeQuery(text.startsWith('?') ? text.slice(1) : text, this.#record.scheme);
    this.#record = { ...this.#record, query };
    this.#searchParams = undefined;
  }

  get searchParams(): URLSearchParams {
    this.#searchParams ??= new URLSearchParams(this.#record.query ?? '', (text) => {
      this.#record = { ...this.#record, query: text === '' ? null : text };
    });
    return this.#searchParams;
  }

  get hash(): string {
    const { fragment } = this.#record;
    return fragment === null || fragment === '' ? '' : `#${fragment}`;
  }
  set hash(value: string) {
    const text = asText(value);
    const fragment = text === '' ? null : encodeFragment(text.startsWith('#') ? text.slice(1) : text);
    this.#record = { ...this.#record, fragment };
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  #hasPlace(): boolean {
    return this.#record.host !== null && this.#record.host !== '';
  }

  #authorityPart(value: string): string {
    return asText(value).split(isSpecial(this.#record.scheme) ? /[/\\?#]/ : /[/?#]/)[0] ?? '';
  }
}
