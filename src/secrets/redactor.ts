/**
 * Takes secret values out of whatever comes back from outside: as they are, as JSON, percent-encoded, in hex, and inside base64 at
 * each of the three offsets. What is found becomes the secret's handle, which the module holds anyway, so that a value which a
 * service echoes can be sent to it again. This keeps accidents from module code and logs; a service that a secret is bound to knows the
 * value and could pass it on in a form that nobody can recognise, which is why the binding is what counts.
 *
 * Plain searching, no regular expressions: a value may be 16 KB and chosen by the module, whose pattern would not compile (with the
 * value in the error's text) or take seconds.
 */

export interface RedactedValue {
  readonly handle: string;
  readonly value: string;
}

export interface Redactor {
  /** Replaces every value in a text. */
  text(text: string): string;
  /** The same for bytes; returns the very input if there is nothing to take out. */
  bytes(bytes: Buffer): Buffer;
  /** Handles of the secrets whose value stands in the text in some form. */
  found(text: string): readonly string[];
}

/** Shorter values would be found everywhere. The vault refuses them. */
export const SECRET_MIN_CHARACTERS = 4;

/** What is searched for; from there a match goes on as far as it does. Bounds the work for any text and value. */
const HEAD_CHARACTERS = 32;
/** A core of fewer base64 characters is too likely to stand in other data. */
const BASE64_CORE_CHARACTERS = 5;

/** One way a value may be written. */
interface Form {
  readonly text: string;
  /** Within base64 the characters beside it hold bits of the value too. */
  readonly isMixedBefore: boolean;
  readonly isMixedAfter: boolean;
}

/** Forms that begin alike are found together, and the one that reaches farthest counts. */
interface Needle {
  readonly handle: string;
  readonly head: string;
  readonly forms: readonly Form[];
}

/** Bytes as one character each, so that texts and bytes are searched alike. */
function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const encodeMore = (text: string): string =>
  text.replace(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

function percentForms(value: string): string[] {
  const component = encodeURIComponent(value);
  const forms = [
    component,
    encodeURI(value),
    component.replace(/%(?:3A|40|2C|3B|24)/g, decodeURIComponent),
    encodeMore(component),
    new URLSearchParams({ v: value }).toString().slice('v='.length),
  ];
  return forms.flatMap((form) => [form, form.replace(/%../g, (encoded) => encoded.toLowerCase())]);
}

/**
 * The value within base64 of something longer: what of it depends on nothing else, for each number of bytes before it. Its first
 * and last characters may hold bits of the neighbours as well; those are taken along, so that no bit of the value is left.
 */
function base64Forms(value: string): Form[] {
  const bytes = Buffer.from(value, 'utf8');
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const isMixedAfter = (offset + bytes.length) % 3 !== 0;
    const core = encoded.slice(offset === 0 ? 0 : offset + 1, isMixedAfter ? -1 : undefined);
    if (core.length < BASE64_CORE_CHARACTERS) return [];
    const urlSafe = core.replaceAll('+', '-').replaceAll('/', '_');
    return [core, urlSafe].map((text) => ({ text, isMixedBefore: offset !== 0, isMixedAfter }));
  });
}

function formsOf(value: string): Form[] {
  // Lone surrogates cannot be percent-encoded, and no service gets them anyway.
  const sent = value.toWellFormed();
  const json = JSON.stringify(sent).slice(1, -1);
  const hex = Buffer.from(sent, 'utf8').toString('hex');
  const texts = [sent, json, json.replaceAll('/', '\\/'), ...percentForms(sent), hex, hex.toUpperCase()];
  const plain = [...new Set(texts)].map((text) => ({
    text: asBytes(text),
    isMixedBefore: false,
    isMixedAfter: false,
  }));
  return [...plain, ...base64Forms(sent)];
}

function needlesOf({ handle, value }: RedactedValue): Needle[] {
  const groups = Map.groupBy(formsOf(value), ({ text }) => text.slice(0, HEAD_CHARACTERS));
  return Array.from(groups, ([head, forms]) => ({ handle, head, forms }));
}

function isBase64(character: string): boolean {
  return /^[A-Za-z0-9+/_-]$/.test(character);
}

/** Where a form that begins at `at` ends in the text. */
function endOf(text: string, at: number, form: Form): number {
  let size = 0;
  while (size < form.text.length && text.charCodeAt(at + size) === form.text.charCodeAt(size)) size += 1;
  const end = at + size;
  return form.isMixedAfter && size === form.text.length && isBase64(text.charAt(end)) ? end + 1 : end;
}

function replaceNeedle(text: string, { handle, head, forms }: Needle): string {
  let at = text.indexOf(head);
  if (at < 0) return text;
  const hasMixed = forms.some(({ isMixedBefore }) => isMixedBefore);
  const parts: string[] = [];
  let from = 0;
  while (at >= 0) {
    const start = hasMixed && at > from && isBase64(text.charAt(at - 1)) ? at - 1 : at;
    parts.push(text.slice(from, start), handle);
    from = Math.max(...forms.map((form) => endOf(text, at, form)));
    at = text.indexOf(head, from);
  }
  return parts.join('') + text.slice(from);
}

/** Longer values first, so that one secret within another leaves no rest of the longer. */
export function createRedactor(values: readonly RedactedValue[]): Redactor {
  const needles = values
    .filter(({ value }) => value.length >= SECRET_MIN_CHARACTERS)
    .toSorted((a, b) => b.value.length - a.value.length)
    .flatMap(needlesOf);

  return {
    text(text) {
      if (needles.length === 0) return text;
      const before = asBytes(text);
      const after = needles.reduce(replaceNeedle, before);
      return after === before ? text : Buffer.from(after, 'latin1').toString('utf8');
    },
    bytes(bytes) {
      if (needles.length === 0) return bytes;
      const before = bytes.toString('latin1');
      const after = needles.reduce(replaceNeedle, before);
      return after === before ? bytes : Buffer.from(after, 'latin1');
    },
    found(text) {
      const latin1 = asBytes(text);
      const found = needles.filter(({ head }) => latin1.includes(head));
      return [...new Set(found.map(({ handle }) => handle))];
    },
  };
}
