/**
 * Takes secret values out of whatever comes back from outside: as they are, as JSON, percent-encoded, in hex, and inside base64 at
 * each of the three offsets. What is found becomes the secret's handle, which the module holds anyway, so that a value which a
 * service echoes can be sent to it again. This keeps accidents from module code and logs; a service that a secret is bound to knows the
 * value and could pass it on in a form that nobody can recognise, which is why the binding is what counts.
 */

export interface RedactedValue {
  readonly handle: string;
  readonly value: string;
}

/** Shorter values would be found everywhere. The vault refuses them. */
export const SECRET_MIN_CHARACTERS = 4;

/** A core of fewer base64 characters is too likely to stand in other data. */
const BASE64_CORE_CHARACTERS = 5;
const SPACE = 0x20;

export interface Redactor {
  /** Replaces every value in a text. */
  text(text: string): string;
  /** The same for bytes; returns the very input if there is nothing to take out. */
  bytes(bytes: Buffer): Buffer;
  /** Handles of the secrets whose value stands in the text in some form. */
  found(text: string): readonly string[];
}

interface Needle {
  readonly handle: string;
  readonly pattern: RegExp;
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

/** Bytes as one character each, so that texts and bytes are searched alike. */
function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Percent-encoding in any mixture of encoded and plain characters, either case: what differs between encoders. */
function percentPattern(value: string): string {
  const pattern = (byte: number): string => {
    const encoded = `%${byte
      .toString(16)
      .padStart(2, '0')
      .replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)}`;
    const plain = escapePattern(String.fromCharCode(byte));
    return byte === SPACE ? `(?:${encoded}|\\+|${plain})` : `(?:${encoded}|${plain})`;
  };
  return Array.from(Buffer.from(value, 'utf8'), pattern).join('');
}

/**
 * The value within base64 of something longer. Depending on what stands before it, its first and last characters also hold bits
 * of the neighbours; those are taken too, so that no bit of the value is left.
 */
function base64Patterns(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const mixedBefore = offset === 0 ? 0 : offset === 1 ? 2 : 3;
    const mixedAfter = (offset + bytes.length) % 3 === 0 ? 0 : 1;
    const core = encoded.slice(mixedBefore, encoded.length - mixedAfter);
    if (core.length < BASE64_CORE_CHARACTERS) return [];
    const either = escapePattern(core)
      .replace(/\\?\+|\\-/g, '[+\\-]')
      .replace(/\\\/|_/g, '[/_]');
    const one = '[A-Za-z0-9+/_-]';
    return [`${mixedBefore === 0 ? '' : `${one}?`}${either}${mixedAfter === 0 ? '' : `${one}?`}`];
  });
}

function patternOf(value: string): RegExp {
  const json = JSON.stringify(value).slice(1, -1);
  const forms = [
    percentPattern(value),
    escapePattern(asBytes(json)),
    escapePattern(asBytes(json.replaceAll('/', '\\/'))),
    ...base64Patterns(value),
    Buffer.from(value, 'utf8').toString('hex'),
    Buffer.from(value, 'utf8').toString('hex').toUpperCase(),
  ];
  return new RegExp([...new Set(forms)].join('|'), 'g');
}

/** Longer values first, so that one secret within another leaves no rest of the longer. */
export function createRedactor(values: readonly RedactedValue[]): Redactor {
  const needles: readonly Needle[] = values
    .filter(({ value }) => value.length >= SECRET_MIN_CHARACTERS)
    .toSorted((a, b) => b.value.length - a.value.length)
    .map(({ handle, value }) => ({ handle, pattern: patternOf(value) }));
  const replaceIn = (latin1: string): string =>
    needles.reduce((text, { handle, pattern }) => text.replace(pattern, handle), latin1);

  return {
    text(text) {
      if (needles.length === 0) return text;
      const before = asBytes(text);
      const after = replaceIn(before);
      return after === before ? text : Buffer.from(after, 'latin1').toString('utf8');
    },
    bytes(bytes) {
      if (needles.length === 0) return bytes;
      const before = bytes.toString('latin1');
      const after = replaceIn(before);
      return after === before ? bytes : Buffer.from(after, 'latin1');
    },
    found(text) {
      const latin1 = asBytes(text);
      return needles.filter(({ pattern }) => latin1.search(pattern) !== -1).map(({ handle }) => handle);
    },
  };
}
