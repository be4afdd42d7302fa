/** Hosts of URLs as the WHATWG URL standard reads them: IPv4 in all its spellings, IPv6, and names in ASCII (punycode). */
import { decodeUtf8, encodeUtf8 } from './encoding.ts';

export const FORBIDDEN_HOST = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_DOMAIN = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;
/** Code points that UTS 46 drops, and full stops it reads as one. */
const IGNORED = /[\u00ad\u200b\u2060\ufeff]/g;
const FULL_STOPS = /[\u3002\uff0e\uff61]/g;

export function percentDecode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encodeUtf8(text);
  const decoded = new Uint8Array(bytes.length);
  let size = 0;
  for (let at = 0; at < bytes.length; at++) {
    const hex = bytes[at] === 0x25 ? String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0) : '';
    const isEncoded = /^[0-9a-fA-F]{2}$/.test(hex);
    decoded[size++] = isEncoded ? Number.parseInt(hex, 16) : (bytes[at] ?? 0);
    if (isEncoded) at += 2;
  }
  return decoded.slice(0, size);
}

/** RFC 3492. */
function punycode(label: string): string | undefined {
  const points = Array.from(label, (character) => character.codePointAt(0) ?? 0);
  let output = String.fromCharCode(...points.filter((point) => point < 0x80));
  const basic = output.length;
  let [n, delta, bias, handled] = [0x80, 0, 72, basic];
  if (basic > 0) output += '-';
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= n));
    delta += (next - n) * (handled + 1);
    if (delta > 0x7fffffff) return undefined;
    n = next;
    for (const point of points) {
      if (point < n) delta += 1;
      if (point !== n) continue;
      output += variableLength(delta, bias);
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled += 1;
    }
    delta += 1;
    n += 1;
  }
  return output;
}

const digit = (value: number): string => String.fromCharCode(value < 26 ? value + 97 : value + 22);

function variableLength(delta: number, bias: number): string {
  let text = '';
  let rest = delta;
  for (let k = 36; ; k += 36) {
    const threshold = k <= bias ? 1 : Math.min(k - bias, 26);
    if (rest < threshold) return text + digit(rest);
    text += digit(threshold + ((rest - threshold) % (36 - threshold)));
    rest = Math.floor((rest - threshold) / (36 - threshold));
  }
}

function adapt(delta: number, count: number, isFirst: boolean): number {
  let rest = isFirst ? Math.floor(delta / 700) : delta >> 1;
  rest += Math.floor(rest / count);
  let k = 0;
  for (; rest > 455; k += 36) rest = Math.floor(rest / 35);
  return k + Math.floor((36 * rest) / (rest + 38));
}

function domainToAscii(domain: string): string | undefined {
  // Bytes that were no UTF-8.
  if (domain.includes('\ufffd')) return undefined;
  const labels = domain.replace(IGNORED, '').replace(FULL_STOPS, '.').toLowerCase().split('.');
  const encoded = labels.map((label) => {
    if (/^[\0-\x7f]*$/.test(label)) return label;
    const code = punycode(label);
    return code === undefined ? undefined : `xn--${code}`;
  });
  return encoded.includes(undefined) ? undefined : encoded.join('.');
}

function ipv4Number(text: string): number | undefined {
  if (text === '') return undefined;
  const hex = /^0[xX]([0-9a-fA-F]*)$/.exec(text);
  if (hex !== null) return Number.parseInt(`0${hex[1] ?? ''}`, 16);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^[0-9]+$/.test(text) && !/^0./.test(text) ? Number(text) : undefined;
}

/** Undefined: not one; null: one that is not valid. */
function parseIpv4(domain: string): string | null | undefined {
  const parts = domain.split('.');
  if (parts.at(-1) === '' && parts.length > 1) parts.pop();
  const last = parts.at(-1) ?? '';
  if (!/^[0-9]+$/.test(last) && !/^0[xX][0-9a-fA-F]*$/.test(last)) return undefined;
  const numbers = parts.map(ipv4Number);
  let address = numbers.at(-1) ?? Infinity;
  if (parts.length > 4 || address >= 256 ** (5 - parts.length)) return null;
  for (const [index, number] of numbers.slice(0, -1).entries()) {
    if (number === undefined || number > 255) return null;
    address += number * 256 ** (3 - index);
  }
  return [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join('.');
}

function ipv6Pieces(text: string): number[] | undefined {
  if (text === '') return [];
  const pieces = text.split(':');
  const last = pieces.at(-1) ?? '';
  if (last.includes('.')) {
    if (!/^(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})$/.test(last)) return undefined;
    const [a, b, c, d] = last.split('.').map(Number);
    if (
      a === undefined ||
      b === undefined ||
      c === undefined ||
      d === undefined ||
      Math.max(a, b, c, d) > 255
    )
      return undefined;
    pieces.splice(-1, 1, (a * 256 + b).toString(16), (c * 256 + d).toString(16));
  }
  if (!pieces.every((piece) => /^[0-9a-fA-F]{1,4}$/.test(piece))) return undefined;
  return pieces.map((piece) => Number.parseInt(piece, 16));
}

/** The longest run of two or more zero pieces, the first of equals. */
function longestZeros(pieces: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < pieces.length; start++) {
    let length = 0;
    while (pieces[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** In brackets and shortened; undefined if it is none. */
export function parseIpv6(text: string): string | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [ipv6Pieces(halves[0] ?? ''), ipv6Pieces(halves[1] ?? '')];
  if (head === undefined || tail === undefined) return undefined;
  if (halves.length === 2 && (halves[0] ?? '').includes('.')) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const pieces = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  const zeros = longestZeros(pieces);
  const hex = (list: readonly number[]): string => list.map((piece) => piece.toString(16)).join(':');
  if (zeros.start < 0) return `[${hex(pieces)}]`;
  return `[${hex(pieces.slice(0, zeros.start))}::${hex(pieces.slice(zeros.start + zeros.length))}]`;
}

/** The host of an http, https, ws, wss or ftp URL, serialised; undefined if it is not valid. */
export function parseHost(text: string): string | undefined {
  if (text.startsWith('[')) return text.endsWith(']') ? parseIpv6(text.slice(1, -1)) : undefined;
  const domain = domainToAscii(decodeUtf8(percentDecode(text)));
  if (domain === undefined || domain === '' || FORBIDDEN_DOMAIN.test(domain)) return undefined;
  const ipv4 = parseIpv4(domain);
  return ipv4 === undefined ? domain : (ipv4 ?? undefined);
}
