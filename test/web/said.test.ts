/** What the host says in English, in the other languages: nothing is missing, and nothing a stranger says is taken for it by chance. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { capabilities, type CapabilityName } from '../../sandbox/contract/capabilities.ts';
import { ERROR_CODES } from '../../sandbox/contract/envelope.ts';
import type { GrantField } from '../../sandbox/contract/grant.ts';
import { hostEvents } from '../../sandbox/contract/host-events.ts';
import { NOTIFICATION_CATEGORIES } from '../../sandbox/contract/capabilities/notify.ts';
import { LANGUAGES, type Lang } from '../../src/web/lang/languages.ts';
import { readSaid, said } from '../../src/web/lang/said.ts';
import { sentencesOf } from './support/sentences.ts';

const others = (Object.keys(LANGUAGES) as Lang[]).filter((lang) => lang !== 'en');
const ROOT = new URL('../../', import.meta.url);
const FOLDERS = [
  'src/web',
  'src/auth',
  'src/billing',
  'src/brokers',
  'src/care',
  'src/catalog',
  'src/events',
  'src/flows',
  'src/jobs',
  'src/notifications',
  'src/schedules',
  'src/stores',
  'src/database/modules',
  'sandbox/supervisor',
];
/** Whose sentences no page shows: authors read them in the kit, operators in the log and the terminal, machines over HTTP. */
const NOT_ON_PAGES = [
  'src/auth/addresses.ts',
  'src/catalog/declare.ts',
  'src/catalog/publish.ts',
  'src/jobs/worker.ts',
  'src/notifications/templates.ts',
  'src/notifications/texts/',
  'src/web/module/webhooks.ts',
  'src/web/static-files.ts',
  'src/web/store/upload.ts',
  'src/database/modules/names.ts',
  'sandbox/supervisor/launch.ts',
];
/** Put together where they are said, from parts that are no sentences. */
const PUT_TOGETHER = new Set([
  'Use “{1}”, sent only to nobody. It never sees the value.',
  'activate(): {1}',
  'deactivate(): {1}',
  'purge(): {1}',
  'update(): {1}',
]);
/** Said to the operator's log only. */
const LOGGED = /^Task \{1\} /;

function sentencesOnPages(): { readonly file: string; readonly sentence: string }[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, ROOT), { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
      .filter((file) => file.endsWith('.ts') && !NOT_ON_PAGES.some((left) => file.startsWith(left)))
      .flatMap((file) =>
        sentencesOf(readFileSync(new URL(file, ROOT), 'utf8')).map((sentence) => ({
          file,
          sentence,
        })),
      ),
  ).filter(({ sentence }) => !LOGGED.test(sentence));
}

/** Items of lists that have words of their own; any other is put into the line as it is. */
const ITEMS = [
  'api.example.com',
  '{settings.server}',
  '{settings.server}:587',
  '{settings.server}:{settings.port}',
  'mail.example.com:587',
  'GET',
  'POST',
  'read',
  'record',
  'contact',
  'Other.thing',
  ...Object.keys(hostEvents),
  ...Object.keys(NOTIFICATION_CATEGORIES),
];

function linesOf(field: GrantField): string[] {
  switch (field.sort) {
    case 'list':
      return ITEMS.map((item) => field.words(item));
    case 'amount':
      return [field.words(1), field.words(1_000)];
    case 'switch':
      return [field.words()];
    case 'named':
      return [[], ['api.example.com'], ['{settings.server}'], ['{settings.server}', 'a.example']].map(
        (hosts) => field.words('key', { title: 'Api', hosts }),
      );
  }
}

describe.each(others)('what the host says, in %s', (lang) => {
  const known = readSaid(lang);

  test('has every sentence that the code of the pages and of what they do holds', () => {
    const missing = sentencesOnPages().filter(({ sentence }) => !known.has(sentence));
    expect(missing).toEqual([]);
  });

  test('has what each error code means', () => {
    expect(Object.values(ERROR_CODES).filter((meaning) => !known.has(meaning))).toEqual([]);
  });

  test('has each line of the consent page, with titles and units, as the capabilities declare them', () => {
    const left = (Object.keys(capabilities) as CapabilityName[]).flatMap((name) => {
      const { title, grant } = capabilities[name];
      const fields: readonly GrantField[] = Object.values(grant);
      const units = fields.flatMap((field) => (field.sort === 'amount' ? [field.unit] : []));
      const same = (text: string) => said(lang, text) === text && !/^[A-Z]{2}$/.test(text);
      return [title, ...units, ...fields.flatMap(linesOf)].filter(same);
    });
    expect(left).toEqual([]);
    // No English is left within a line either.
    const inside = fieldsOfAll()
      .flatMap(linesOf)
      .map((line) => said(lang, line))
      .filter((line) => /\b(?:the|and|setting|your|event|a service|when)\b/i.test(line));
    expect(inside).toEqual([]);
  });

  test('takes what was put in, each thing once and no other', () => {
    for (const [sentence, translation] of known) {
      const holes = (text: string) => [...new Set(text.match(/\{\d+\}/g) ?? [])].toSorted();
      expect(holes(translation), sentence).toEqual(holes(sentence));
    }
  });

  test('holds nothing that nobody says', () => {
    const contract = readdirSync(new URL('sandbox/contract/', ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(new URL(`sandbox/contract/${name}`, ROOT), 'utf8'));
    const source = [
      ...contract,
      ...FOLDERS.flatMap((folder) =>
        readdirSync(new URL(`${folder}/`, ROOT), { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith('.ts'))
          .map((name) => readFileSync(new URL(`${folder}/${name}`, ROOT), 'utf8')),
      ),
    ].join('\n');
    const unsaid = [...known.keys()].filter(
      (sentence) =>
        !PUT_TOGETHER.has(sentence) &&
        sentence.split(/\{\d+\}/).some((part) => !source.includes(part.replaceAll('\n', '\\n'))),
    );
    expect(unsaid).toEqual([]);
  });
});

function fieldsOfAll(): GrantField[] {
  return (Object.keys(capabilities) as CapabilityName[]).flatMap((name) =>
    Object.values<GrantField>(capabilities[name].grant),
  );
}

describe('a sentence', () => {
  test('is found with what was put in, also where that is a sentence itself', () => {
    expect(said('pl', 'Version 1.2.0 was revoked; disable the module instead.')).toBe(
      'Wersja 1.2.0 została wycofana; zamiast tego wyłącz moduł.',
    );
    expect(said('pl', 'activate(): The module refused.')).toBe('activate(): Moduł odmówił.');
    expect(said('pl', 'Send requests to the address in its setting “server”.')).toBe(
      'Wysyłać żądania do adresu z ustawienia „server”.',
    );
  });

  test('of a refusal is found with its reason, and what to add to the manifest stays', () => {
    expect(said('pl', 'http: the host refused the connection; check the port.')).toBe(
      'http: host odrzucił połączenie; sprawdź port.',
    );
    expect(said('pl', 'http: host a.b is not granted; add it to permissions.http.hosts')).toBe(
      'http: brak zgody na host a.b; trzeba to dodać do permissions.http.hosts',
    );
    expect(said('pl', 'The store a.example: it answered 500.')).toBe('Sklep a.example: odpowiedział 500.');
    expect(said('pl', 'smtp: the mail server refused the mail. It said: 550 no such user.')).toBe(
      'smtp: serwer poczty odrzucił wiadomość. Jego słowa: 550 no such user.',
    );
  });

  test('behind an error code is found, and the code stays', () => {
    expect(said('pl', 'TIMEOUT: The task ran longer than its timeout allows.')).toBe(
      'TIMEOUT: Zadanie trwało dłużej, niż pozwala jego limit czasu.',
    );
  });

  test('of a stranger stays as it is, and so does a name that is a word of ours', () => {
    for (const text of ['error: disk is full', '', '{1}', '<b>Retry</b> in {1} minutes'])
      expect(said('pl', text)).toBe(text);
    expect(said('pl', 'error: this and that'.repeat(2))).toBe('error: this and thaterror: this and that');
    expect(said('pl', 'The template cannot be used: a dog and a cat.')).toBe(
      'Szablonu nie można użyć: a dog and a cat.',
    );
    expect(said('pl', 'Invoices is not enabled.')).toBe('Invoices nie jest włączony.');
  });

  test('in the first language is said as it was', () => {
    expect(said('en', 'There is no such page.')).toBe('There is no such page.');
  });

  test('made to keep the search busy does not', () => {
    const hostile = `Version ${'; waits for your consent '.repeat(150)}`;
    const startedAt = performance.now();
    for (let n = 0; n < 200; n++) said('pl', hostile);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(said('pl', `At least ${'1'.repeat(5_000)}.`)).toMatch(/^At least/);
  });
});

describe('the search for sentences in code', () => {
  test.each([
    [`throw new HostError('NOT_FOUND', 'There is none.');`, ['There is none.']],
    ['const x = `At most ${n + `${m}`} of ${a ? "b" : "c"}.`;', ['At most {1} of {2}.']],
    ['const r = /[/"]/; const s = "It is here."; // "Not this one."', ['It is here.']],
    ['/* "Nor this one." */ a = b / c; t = "But this one.";', ['But this one.']],
    ["x('lower case is none.'); y('Neither is this'); z('Or.');", []],
  ])('finds what %s says', (source, expected) => {
    expect(sentencesOf(source)).toEqual(expected);
  });
});
