/**
 * The panel's words. A text has a key, `area.name`, and stands in lang/{language}/{area}.json: one file an area, so that two people
 * rarely write in one. A value is a text, or an object of plural forms (Intl.PluralRules) chosen by the argument `n`; `{name}` stands
 * for an argument. Keys are typed by the English files: a key that does not exist fails to compile here and fails a test in templates.
 */
import { readFileSync, readdirSync } from 'node:fs';
import * as v from 'valibot';
import { FIRST_LANGUAGE, LANGUAGES, type Lang } from './languages.ts';
import type admin from './en/admin.json';
import type billing from './en/billing.json';
import type care from './en/care.json';
import type client from './en/client.json';
import type events from './en/events.json';
import type field from './en/field.json';
import type layout from './en/layout.json';
import type menu from './en/menu.json';
import type note from './en/note.json';
import type notifications from './en/notifications.json';
import type operator from './en/operator.json';
import type pay from './en/pay.json';
import type parts from './en/parts.json';
import type period from './en/period.json';
import type profile from './en/profile.json';
import type script from './en/script.json';
import type status from './en/status.json';
import type store from './en/store.json';
import type timeline from './en/timeline.json';
import type usage from './en/usage.json';

type Of<Area extends string, Texts> = `${Area}.${keyof Texts & string}`;
/** One line an area. */
export type TextKey =
  | Of<'admin', typeof admin>
  | Of<'billing', typeof billing>
  | Of<'care', typeof care>
  | Of<'client', typeof client>
  | Of<'events', typeof events>
  | Of<'field', typeof field>
  | Of<'layout', typeof layout>
  | Of<'menu', typeof menu>
  | Of<'note', typeof note>
  | Of<'notifications', typeof notifications>
  | Of<'operator', typeof operator>
  | Of<'pay', typeof pay>
  | Of<'parts', typeof parts>
  | Of<'period', typeof period>
  | Of<'profile', typeof profile>
  | Of<'script', typeof script>
  | Of<'status', typeof status>
  | Of<'store', typeof store>
  | Of<'timeline', typeof timeline>
  | Of<'usage', typeof usage>;

export type TextArgs = Readonly<Record<string, string | number>>;
/** Texts of one language, for code. Plain text: whoever puts it in a page escapes it. */
export type Translate = (key: TextKey, args?: TextArgs) => string;

const Plural = v.object({
  zero: v.optional(v.string()),
  one: v.optional(v.string()),
  two: v.optional(v.string()),
  few: v.optional(v.string()),
  many: v.optional(v.string()),
  other: v.string(),
});
const Area = v.record(v.string(), v.union([v.string(), Plural]));
export type Text = v.InferOutput<typeof Area>[string];

const ROOT = new URL('.', import.meta.url);

/** All texts of a language by key. */
export function readTexts(language: Lang): ReadonlyMap<string, Text> {
  const folder = new URL(`${language}/`, ROOT);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return new Map(
    files.flatMap((file) => {
      const json: unknown = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
      const area = file.slice(0, -'.json'.length);
      return Object.entries(v.parse(Area, json)).map(([name, text]) => [`${area}.${name}`, text] as const);
    }),
  );
}

const SCRIPT_AREA = 'script.';
const texts = new Map<Lang, ReadonlyMap<string, Text>>();
const plurals = new Map<Lang, Intl.PluralRules>();

function textsOf(language: Lang): ReadonlyMap<string, Text> {
  const known = texts.get(language) ?? readTexts(language);
  texts.set(language, known);
  return known;
}

function formOf(language: Lang, text: Text, n: unknown): string {
  if (typeof text === 'string') return text;
  const rules = plurals.get(language) ?? new Intl.PluralRules(language);
  plurals.set(language, rules);
  return text[rules.select(typeof n === 'number' ? n : 0)] ?? text.other;
}

/** The text of a key, or undefined if no language has it. Arguments are put in as they are: escape what comes out. */
export function findText(language: Lang, key: string, args: Readonly<Record<string, unknown>> = {}) {
  for (const tried of [language, FIRST_LANGUAGE]) {
    const text = textsOf(tried).get(key);
    if (text !== undefined) return fill(tried, formOf(tried, text, args['n']), args);
  }
  return undefined;
}

function fill(language: Lang, text: string, args: Readonly<Record<string, unknown>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = args[name];
    if (typeof value === 'number') return new Intl.NumberFormat(language).format(value);
    return typeof value === 'string' ? value : whole;
  });
}

/** Texts of one language for pages written in code. */
export function translator(language: Lang): Translate {
  return (key, args = {}) => findText(language, key, args) ?? key;
}

export const translators: Readonly<Record<Lang, Translate>> = {
  en: translator('en'),
  pl: translator('pl'),
};

export function isStatus(text: string): text is keyof typeof status {
  return textsOf(FIRST_LANGUAGE).has(`status.${text}`);
}

/** The texts that scripts in the browser show, by name without their area. */
export function scriptWords(language: Lang): Readonly<Record<string, string>> {
  const names = [...textsOf(FIRST_LANGUAGE).keys()].filter((key) => key.startsWith(SCRIPT_AREA));
  return Object.fromEntries(
    names.map((key) => [key.slice(SCRIPT_AREA.length), findText(language, key) ?? '']),
  );
}

export const LANGUAGE_CHOICES: readonly { readonly value: string; readonly title: string }[] = Object.entries(
  LANGUAGES,
).map(([value, title]) => ({ value, title }));
