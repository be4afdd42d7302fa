import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { acceptedLanguage, languageFor, LANGUAGES, type Lang } from '../../src/web/lang/languages.ts';
import { findText, readTexts, type Text } from '../../src/web/lang/texts.ts';
import { literalTexts } from './support/literals.ts';

const WEB = new URL('../../src/web/', import.meta.url);

function filesEnding(...endings: string[]): { name: string; text: string }[] {
  return readdirSync(WEB, { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => ({ name: name.replaceAll('\\', '/'), text: readFileSync(new URL(name, WEB), 'utf8') }));
}

const templates = filesEnding('.liquid');
const sources = filesEnding('.liquid', '.ts', '.js');
const english = readTexts('en');
const others = (Object.keys(LANGUAGES) as Lang[]).filter((lang) => lang !== 'en');
const KEY_IN_TEMPLATE = /'([a-z_]+\.[\w.-]+)' \| t\b/gu;

function forms(text: Text | undefined): string[] {
  if (text === undefined) return [];
  return typeof text === 'string' ? [text] : Object.values(text).filter((form) => form !== undefined);
}

function placeholders(text: Text | undefined): string[] {
  const names = forms(text).flatMap((form) => form.match(/\{\w+\}/gu) ?? []);
  return [...new Set(names)].sort();
}

describe('texts of the panel', () => {
  test.each(others)('in %s have the keys of the English ones, no more and no less', (lang) => {
    expect([...readTexts(lang).keys()].sort()).toEqual([...english.keys()].sort());
  });

  test.each(others)(
    'in %s take the same arguments, and plurals have each form the language knows',
    (lang) => {
      const texts = readTexts(lang);
      for (const [key, text] of english) {
        expect(placeholders(texts.get(key)), key).toEqual(placeholders(text));
        const own = texts.get(key);
        if (typeof text === 'string' || typeof own === 'string' || own === undefined) continue;
        expect(Object.keys(own).sort(), key).toEqual(
          new Intl.PluralRules(lang).resolvedOptions().pluralCategories.toSorted(),
        );
      }
    },
  );

  test('that templates ask for by key exist', () => {
    const missing = templates.flatMap(({ name, text }) =>
      [...text.matchAll(KEY_IN_TEMPLATE)]
        .map((match) => match[1] ?? '')
        .filter((key) => !english.has(key))
        .map((key) => `${name}: ${key}`),
    );
    expect(missing).toEqual([]);
  });

  test('are all used: by their key, or by code that puts together keys of their area', () => {
    const all = sources.map(({ text }) => text).join('\n');
    const families = new Set([...all.matchAll(/`(\w+)\.\$\{/gu)].map((match) => match[1] ?? ''));
    const quoted = new Set([...all.matchAll(/['"`]([\w.-]+)['"`]/gu)].map((match) => match[1] ?? ''));
    const unused = [...english.keys()].filter((key) => {
      const [area = '', ...rest] = key.split('.');
      const name = rest.join('.');
      if (area === 'script' || area === 'note') return !quoted.has(name);
      return !quoted.has(key) && !families.has(area);
    });
    expect(unused).toEqual([]);
  });

  test('leave no word in a template', () => {
    const left = templates.flatMap(({ name, text }) =>
      literalTexts(text).map((literal) => `${name}: ${literal}`),
    );
    expect(left).toEqual([]);
  });

  test('leave no title or heading in code', () => {
    const left = filesEnding('.ts').flatMap(({ name, text }) =>
      [...text.matchAll(/\b(?:title|heading|refused|label|brand|subject): '([A-Z][^']*)'/gu)]
        .map((match) => match[1] ?? '')
        .filter((literal) => literal !== 'Bulkhead')
        .map((literal) => `${name}: ${literal}`),
    );
    expect(left).toEqual([]);
  });
});

describe('the search for words in templates', () => {
  test.each([
    '<p>Hello there</p>',
    '<p>{{ n }} things</p>',
    '<input placeholder="Your name">',
    '<form data-confirm="Delete {{ name }}?">',
    "{% render 'parts/empty', icon: 'fas fa-x', title: 'Nothing here' %}",
    "<b>{{ role | default: 'No role' }}</b>",
  ])('finds them in %s', (template) => {
    expect(literalTexts(template)).not.toEqual([]);
  });

  test.each([
    '<p class="card">{{ \'admin.name\' | t }}: {{ name }} · 24 %</p>',
    '<script src="{{ url }}"></script><img alt="" src="x"><code>SHA-256</code>',
    "{% assign text_title = 'parts.x' | t %}{% render 'parts/empty', title: text_title %}",
  ])('finds none in %s', (template) => {
    expect(literalTexts(template)).toEqual([]);
  });
});

describe('a text', () => {
  test('has its arguments put in once, whatever they say', () => {
    expect(findText('en', 'admin.type_name', { name: '{name} $& <b>' })).toBe('Type {name} $& <b>');
  });

  test.each([
    [1, '1 moduł'],
    [3, '3 moduły'],
    [5, '5 modułów'],
    [22, '22 moduły'],
  ])('of %i modules has the Polish form "%s"', (n, expected) => {
    expect(findText('pl', 'parts.n_modules', { n })).toBe(expected);
  });

  test('of no key is none', () => {
    expect(findText('pl', 'admin.no_such_text')).toBeUndefined();
  });
});

describe('the language of a reader', () => {
  test('is what the person chose, then the tenant’s, then what the browser asks for, then English', () => {
    expect(languageFor({ chosen: 'en', tenantLocale: 'pl-PL', acceptLanguage: 'pl' })).toBe('en');
    expect(languageFor({ chosen: null, tenantLocale: 'pl-PL', acceptLanguage: 'en' })).toBe('pl');
    expect(languageFor({ tenantLocale: 'fi', acceptLanguage: 'de, pl;q=0.8, en;q=0.5' })).toBe('pl');
    expect(languageFor({ acceptLanguage: 'de' })).toBe('en');
    expect(languageFor({ chosen: '__proto__', acceptLanguage: 'constructor' })).toBe('en');
  });

  test('follows the weights of Accept-Language, and not what it refuses', () => {
    expect(acceptedLanguage('en;q=0.3, pl;q=0.9')).toBe('pl');
    expect(acceptedLanguage('pl;q=0, en')).toBe('en');
    expect(acceptedLanguage(undefined)).toBeUndefined();
  });
});
