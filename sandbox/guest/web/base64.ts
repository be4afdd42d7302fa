/**
 * Base64 and hex between bytes and texts, atob and btoa. Tables are texts, not typed arrays: a typed array cannot be frozen, and whatever a
 * module could change here would be there for the next invocation.
 */
import { DOMException } from './dom-exception.ts';
import { asText } from './text.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const HEX = '0123456789abcdef';
const INVALID = 255;

function sextet(code: number): number {
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 48 && code <= 57) return code + 4;
  if (code === 43 || code === 45) return 62;
  return code === 47 || code === 95 ? 63 : INVALID;
}

export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  const { length } = bytes;
  for (let at = 0; at < length; at += 3) {
    const [a, b, c] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    text += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | (b >> 4));
    text += at + 1 < length ? ALPHABET.charAt(((b & 15) << 2) | (c >> 6)) : '=';
    text += at + 2 < length ? ALPHABET.charAt(c & 63) : '=';
  }
  return text;
}

/** Reads standard and URL-safe base64, padded or not. @throws InvalidCharacterError */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const invalid = (): DOMException => new DOMException('This is no base64.', 'InvalidCharacterError');
  let { length } = text;
  for (let padding = 0; padding < 2 && length > 0 && length % 4 !== 1 && text[length - 1] === '='; padding++)
    length--;
  if (length % 4 === 1) throw invalid();
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let buffer = 0;
  let bits = 0;
  let at = 0;
  for (let index = 0; index < length; index++) {
    const value = sextet(text.charCodeAt(index));
    if (value === INVALID) throw invalid();
    buffer = ((buffer << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (buffer >> bits) & 255;
    }
  }
  return bytes;
}

export function encodeHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX.charAt(byte >> 4) + HEX.charAt(byte & 15);
  return text;
}

/** The WHATWG function: characters up to U+00FF to base64. */
export function btoa(data: string): string {
  const text = asText(data);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 255)
      throw new DOMException(
        'The text holds a character beyond U+00FF; encode it as UTF-8 first.',
        'InvalidCharacterError',
      );
    bytes[index] = code;
  }
  return encodeBase64(bytes);
}

/** The WHATWG function: base64 to characters up to U+00FF. */
export function atob(data: string): string {
  const text = asText(data).replace(/[\t\n\f\r ]+/g, '');
  if (/[-_]/.test(text)) throw new DOMException('This is no base64.', 'InvalidCharacterError');
  let decoded = '';
  for (const byte of decodeBase64(text)) decoded += String.fromCharCode(byte);
  return decoded;
}
