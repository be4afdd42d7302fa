/**
 * What the host says in English, in the reader's language: messages of errors, mistakes of forms, reasons, the lines of the consent page. Such
 * a sentence stands once, where it is said, and may have been stored long before it is read; so it is its own key. said/{language}.json
 * holds the translations, with {1}, {2} … for what was put in, and a test reads the sentences out of the source and misses none. Matching
 * looks for the fixed parts one after another, without going back: a stranger's words cannot keep it busy.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { isErrorCode } from '../../../sandbox/contract/envelope.ts';
import { FIRST_LANGUAGE, type Lang } from './languages.ts';

const Sentences = v.record(v.string(), v.string());
/** Longer texts are no sentences of ours. */
const CHARACTERS = 4_000;
/** What was put in may be a sentence too, and hold another. */
const DEPTH = 3;

interface Template {
  /** The fixed parts around what is put in: one more than that. */
  readonly parts: readonly string[];
  readonly fixedCharacters: number;
  readonly translation: string;
}

interface Book {
  readonly exact: ReadonlyMap<string, string>;
  /** The most particular first. */
  readonly templates: readonly Template[];
}

const HOLE = /\{\d+\}/;
const books = new Map<Lang, Book>();

/** Translations by sentence, as they are written down. */
export function readSaid(language: Lang): ReadonlyMap<string, string> {
  if (language === FIRST_LANGUAGE) return new Map();
  const json: unknown = JSON.parse(readFileSync(new URL(`said/${language}.json`, import.meta.url), 'utf8'));
  return new Map(Object.entries(v.parse(Sentences, json)));
}

function bookOf(language: Lang): Book {
  const known = books.get(language);
  if (known !== undefined) return known;
  const exact = readSaid(language);
  const templates = [...exact]
    .filter(([sentence]) => HOLE.test(sentence))
    .map(([sentence, translation]): Template => {
      const parts = sentence.split(HOLE);
      return { parts, translation, fixedCharacters: parts.join('').length };
    })
    .toSorted((a, b) => b.fixedCharacters - a.fixedCharacters);
  const book = { exact, templates };
  books.set(language, book);
  return book;
}

/** What was put into a template, in order; undefined for a text that it did not make. */
function putIn({ parts }: Template, text: string): string[] | undefined {
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (!text.startsWith(first) || !text.endsWith(last) || text.length <= first.length + last.length)
    return undefined;
  const end = text.length - last.length;
  const found: string[] = [];
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const next = text.indexOf(part, at);
    if (next < 0 || next + part.length > end) return undefined;
    found.push(text.slice(at, next));
    at = next + part.length;
  }
  return [...found, text.slice(at, end)];
}

/** A name stays a name, also one that is a word of ours: only what has a space may be something that we said. */
function inner(language: Lang, text: string, depth: number): string {
  if (!text.includes(' ')) return text;
  const whole = translated(language, text, depth);
  return whole === text ? enumerated(language, text, depth) : whole;
}

const AND = 'and';

/** 'a and b', where each is a name or something that we said; else it is a text of its own. */
function enumerated(language: Lang, text: string, depth: number): string {
  const items = text.split(` ${AND} `);
  const own = items.map((item) => (item.includes(' ') ? translated(language, item, depth) : item));
  const isList = items.length > 1 && own.every((item, n) => !item.includes(' ') || item !== items[n]);
  return isList ? own.join(` ${bookOf(language).exact.get(AND) ?? AND} `) : text;
}

function translated(language: Lang, text: string, depth: number): string {
  const { exact, templates } = bookOf(language);
  const whole = exact.get(text);
  if (whole !== undefined) return whole;
  if (depth === 0) return text;
  for (const template of templates) {
    const found = putIn(template, text);
    if (found !== undefined)
      return template.translation.replace(/\{(\d+)\}/g, (hole, number: string) => {
        const given = found[Number(number) - 1];
        return given === undefined ? hole : inner(language, given, depth - 1);
      });
  }
  return text;
}

/** The sentence in the reader's language; as it is if it is none of ours. Plain text: whoever puts it in a page escapes it. */
export function said(language: Lang, text: string): string {
  if (language === FIRST_LANGUAGE || text.length > CHARACTERS) return text;
  // 'LIMIT: …' in a timeline: codes are the same in all languages.
  const code = /^([A-Z_]+): /.exec(text)?.[1];
  if (!isErrorCode(code)) return translated(language, text, DEPTH);
  const after = `${code}: `.length;
  return text.slice(0, after) + translated(language, text.slice(after), DEPTH);
}
