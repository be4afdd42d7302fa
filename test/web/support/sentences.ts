/**
 * The sentences that stand in source code: texts in quotes that begin like one and end like one, with what is put into them as {1}, {2} …
 * Comments, regular expressions and words are none. A reader of its own, for no parser of TypeScript is at hand that a test could ask.
 */

interface Reading {
  readonly text: string;
  at: number;
  readonly found: string[];
}

const QUOTES = new Set(["'", '"', '`']);
/** What a regular expression may stand after; after anything else "/" divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};\n]|\breturn|=>)\s*$/;
const SENTENCE = /^(?=.*\s)(?:[A-Z{"“„]|[a-z]{2,12}: [a-z{"“„])(?:.*[^.])?[.?!]$/s;

function isSentence(text: string): boolean {
  return SENTENCE.test(text) && /[a-z]{2}/.test(text) && !/[<>]|\b(?:select|update|delete from)\b/.test(text);
}

function skipTo(reading: Reading, end: string): void {
  const found = reading.text.indexOf(end, reading.at);
  reading.at = found < 0 ? reading.text.length : found + end.length;
}

function skipRegex(reading: Reading): void {
  let inClass = false;
  for (reading.at += 1; reading.at < reading.text.length; reading.at += 1) {
    const c = reading.text[reading.at];
    if (c === '\\') reading.at += 1;
    else if (c === '[') inClass = true;
    else if (c === ']') inClass = false;
    else if (c === '\n' || (c === '/' && !inClass)) break;
  }
  reading.at += 1;
}

function escaped(reading: Reading): string {
  const c = reading.text[reading.at + 1] ?? '';
  reading.at += 2;
  return c === 'n' ? '\n' : c === '\n' ? '' : c;
}

/** A quoted text, the place at its opening quote. */
function readText(reading: Reading): string {
  const quote = reading.text[reading.at];
  reading.at += 1;
  let value = '';
  let holes = 0;
  while (reading.at < reading.text.length && reading.text[reading.at] !== quote) {
    if (reading.text[reading.at] === '\\') value += escaped(reading);
    else if (quote === '`' && reading.text.startsWith('${', reading.at)) {
      reading.at += 2;
      readCode(reading, '}');
      value += `{${++holes}}`;
    } else value += reading.text[reading.at++];
  }
  reading.at += 1;
  return value;
}

/** Code up to the closing bracket of its level. */
function readCode(reading: Reading, end: '}' | undefined): void {
  let depth = 0;
  while (reading.at < reading.text.length) {
    const c = reading.text[reading.at] ?? '';
    if (reading.text.startsWith('//', reading.at)) skipTo(reading, '\n');
    else if (reading.text.startsWith('/*', reading.at)) skipTo(reading, '*/');
    else if (QUOTES.has(c)) {
      const value = readText(reading);
      if (isSentence(value)) reading.found.push(value);
    } else if (c === '/' && BEFORE_REGEX.test(reading.text.slice(Math.max(0, reading.at - 40), reading.at)))
      skipRegex(reading);
    else {
      reading.at += 1;
      if (c === '{') depth += 1;
      else if (c === '}' && depth-- === 0 && end === '}') return;
    }
  }
}

/** Each once, in the order they stand in. */
export function sentencesOf(source: string): readonly string[] {
  const reading: Reading = { text: source, at: 0, found: [] };
  readCode(reading, undefined);
  return [...new Set(reading.found)];
}
