/** UTF-8, the one encoding there is here: TextEncoder and TextDecoder, and the functions under them. */
import { asText } from './text.ts';

const REPLACEMENT = 0xfffd;
const CHUNK_UNITS = 4_096;
const LABELS: readonly string[] = [
  'utf-8',
  'utf8',
  'unicode-1-1-utf-8',
  'unicode11utf8',
  'unicode20utf8',
  'x-unicode20utf8',
];

/** Lone surrogates become U+FFFD. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encodeAscii(text) ?? encodeAny(text);
}

/** Undefined if there is anything but ASCII in the text. */
function encodeAscii(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x80) return undefined;
    bytes[at] = code;
  }
  return bytes;
}

function encodeAny(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 3);
  const { written } = encodeInto(text, bytes);
  return bytes.slice(0, written);
}

function sizeOf(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}

function encodeInto(text: string, bytes: Uint8Array): { read: number; written: number } {
  let written = 0;
  let read = 0;
  while (read < text.length) {
    const found = text.codePointAt(read) ?? REPLACEMENT;
    const point = found >= 0xd800 && found <= 0xdfff ? REPLACEMENT : found;
    const size = sizeOf(point);
    if (written + size > bytes.length) break;
    if (size === 1) bytes[written] = point;
    else {
      for (let at = size - 1, rest = point; at >= 0; at--, rest >>= 6)
        bytes[written + at] = at === 0 ? rest | ((0xf00 >> size) & 0xff) : (rest & 0x3f) | 0x80;
    }
    written += size;
    read += found > 0xffff ? 2 : 1;
  }
  return { read, written };
}

interface Decoded {
  readonly text: string;
  /** Bytes of an unfinished sequence at the end; empty unless `isPart`. */
  readonly rest: Uint8Array;
}

/** How many bytes follow a first byte, and the bounds of the second: what keeps overlong forms and surrogates out. */
function sequence(first: number): { needed: number; lower: number; upper: number } | undefined {
  if (first >= 0xc2 && first <= 0xdf) return { needed: 1, lower: 0x80, upper: 0xbf };
  if (first >= 0xe0 && first <= 0xef)
    return { needed: 2, lower: first === 0xe0 ? 0xa0 : 0x80, upper: first === 0xed ? 0x9f : 0xbf };
  if (first >= 0xf0 && first <= 0xf4)
    return { needed: 3, lower: first === 0xf0 ? 0x90 : 0x80, upper: first === 0xf4 ? 0x8f : 0xbf };
  return undefined;
}

/** Reads one code point that starts at `at`; `size` bytes are used up. Point −1: not valid; −2: cut off by the end. */
function readPoint(bytes: Uint8Array, at: number, first: number): { point: number; size: number } {
  const shape = sequence(first);
  if (shape === undefined) return { point: -1, size: 1 };
  let point = first & (0x3f >> shape.needed);
  for (let index = 1; index <= shape.needed; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return { point: -2, size: index };
    const isFirst = index === 1;
    if (byte < (isFirst ? shape.lower : 0x80) || byte > (isFirst ? shape.upper : 0xbf))
      return { point: -1, size: index };
    point = (point << 6) | (byte & 0x3f);
  }
  return { point, size: shape.needed + 1 };
}

function decode(bytes: Uint8Array, fatal: boolean, isPart: boolean): Decoded {
  let text = '';
  let units: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at] ?? 0;
    const { point, size } = first < 0x80 ? { point: first, size: 1 } : readPoint(bytes, at, first);
    if (point === -2 && isPart) break;
    if (point < 0 && fatal) throw new TypeError('The bytes are not valid UTF-8.');
    const valid = point < 0 ? REPLACEMENT : point;
    if (valid > 0xffff) units.push(0xd7c0 + (valid >> 10), 0xdc00 + (valid & 0x3ff));
    else units.push(valid);
    at += size;
    if (units.length >= CHUNK_UNITS) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return { text: text + String.fromCharCode(...units), rest: bytes.slice(at) };
}

function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Invalid bytes become U+FFFD; a byte order mark at the start is dropped. */
export function decodeUtf8(bytes: Uint8Array): string {
  return withoutMark(decode(bytes, false, false).text);
}

/** The bytes of a buffer or of any view of one, without a copy. */
export function bytesOf(source: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}

export class TextEncoder {
  get encoding(): string {
    return 'utf-8';
  }

  encode(text = ''): Uint8Array<ArrayBuffer> {
    return encodeUtf8(asText(text));
  }

  encodeInto(text: string, bytes: Uint8Array): { read: number; written: number } {
    return encodeInto(asText(text), bytes);
  }
}

export interface TextDecoderOptions {
  readonly fatal?: boolean;
  readonly ignoreBOM?: boolean;
}

export class TextDecoder {
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  #rest: Uint8Array = new Uint8Array(0);
  #isStarted = false;

  constructor(label = 'utf-8', options: TextDecoderOptions = {}) {
    if (!LABELS.includes(asText(label).trim().toLowerCase()))
      throw new RangeError(`Only UTF-8 can be decoded here, not "${label}".`);
    this.fatal = options.fatal === true;
    this.ignoreBOM = options.ignoreBOM === true;
  }

  get encoding(): string {
    return 'utf-8';
  }

  decode(
    source: ArrayBuffer | ArrayBufferView = new Uint8Array(0),
    options: { stream?: boolean } = {},
  ): string {
    const isPart = options.stream === true;
    const added = bytesOf(source);
    const bytes = new Uint8Array(this.#rest.length + added.length);
    bytes.set(this.#rest);
    bytes.set(added, this.#rest.length);
    const { text, rest } = decode(bytes, this.fatal, isPart);
    const isFirst = !this.#isStarted;
    this.#rest = rest;
    this.#isStarted = isPart && (this.#isStarted || text !== '');
    return isFirst && !this.ignoreBOM ? withoutMark(text) : text;
  }
}
