/** Headers: names in any case, several values joined, Set-Cookie apart. */
import { asText } from './text.ts';

export type HeadersInit = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[^\0\r\n]*$/;

function nameOf(name: string): string {
  const text = asText(name);
  if (!NAME.test(text)) throw new TypeError(`"${text}" is no header name.`);
  return text.toLowerCase();
}

function valueOf(value: string): string {
  const text = asText(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
  if (!VALUE.test(text)) throw new TypeError('A header value holds no line break.');
  return text;
}

export class Headers {
  #pairs: [string, string][] = [];

  constructor(init: HeadersInit = []) {
    const pairs: Iterable<readonly [string, string]> = Symbol.iterator in init ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name: string, value: string): void {
    this.#pairs.push([nameOf(name), valueOf(value)]);
  }

  set(name: string, value: string): void {
    const key = nameOf(name);
    const kept = this.#pairs.filter((pair) => pair[0] !== key);
    this.#pairs = [...kept, [key, valueOf(value)]];
  }

  delete(name: string): void {
    const key = nameOf(name);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key);
  }

  get(name: string): string | null {
    const key = nameOf(name);
    const values = this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
    return values.length === 0 ? null : values.join(', ');
  }

  getSetCookie(): string[] {
    return this.#pairs.filter((pair) => pair[0] === 'set-cookie').map((pair) => pair[1]);
  }

  has(name: string): boolean {
    const key = nameOf(name);
    return this.#pairs.some((pair) => pair[0] === key);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  /** Sorted by name; one entry for each Set-Cookie. */
  *entries(): IterableIterator<[string, string]> {
    const names = [...new Set(this.#pairs.map((pair) => pair[0]))].sort();
    for (const name of names) {
      if (name === 'set-cookie') for (const cookie of this.getSetCookie()) yield [name, cookie];
      else yield [name, this.get(name) ?? ''];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
}
