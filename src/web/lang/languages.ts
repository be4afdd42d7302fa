/** The languages the panel speaks, and which one a request is answered in. */
export const LANGUAGES = { en: 'English', pl: 'Polski' } as const;
export type Lang = keyof typeof LANGUAGES;
/** The language every text was written in first: what another one lacks is shown in it. */
export const FIRST_LANGUAGE: Lang = 'en';

/** The language of a tag such as 'pl-PL', if it is one of ours. */
export function languageOf(tag: string | null | undefined): Lang | undefined {
  if (tag === undefined || tag === null) return undefined;
  if (isLanguage(tag)) return tag;
  const language = tag.trim().split(/[-_]/, 1)[0]?.toLowerCase() ?? '';
  return isLanguage(language) ? language : undefined;
}

export function isLanguage(text: string): text is Lang {
  return Object.hasOwn(LANGUAGES, text);
}

const ACCEPTED = 20;

/** The first of ours that an Accept-Language header asks for, the best loved first. */
export function acceptedLanguage(header: string | undefined): Lang | undefined {
  if (header === undefined) return undefined;
  const asked = header
    .split(',', ACCEPTED)
    .map((part) => {
      const [tag = '', ...parameters] = part.split(';');
      const weight = parameters.map((text) => /^\s*q=([\d.]+)\s*$/.exec(text)?.[1]).find(Boolean);
      return { language: languageOf(tag), weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0);
  return asked.toSorted((a, b) => b.weight - a.weight).find(({ language }) => language !== undefined)
    ?.language;
}

/** What is known of a reader, the strongest first. */
export interface Reader {
  /** Chosen by the person: stored with the account, or in a cookie before anybody signs in. */
  readonly chosen?: string | null | undefined;
  readonly tenantLocale?: string | undefined;
  /** The browser's header; a function is asked only where nothing stronger is known. */
  readonly acceptLanguage?: string | (() => string | undefined) | undefined;
}

export function languageFor(reader: Reader): Lang {
  return (
    languageOf(reader.chosen) ??
    languageOf(reader.tenantLocale) ??
    acceptedLanguage(
      typeof reader.acceptLanguage === 'function' ? reader.acceptLanguage() : reader.acceptLanguage,
    ) ??
    FIRST_LANGUAGE
  );
}

/** How dates and amounts look: the tenant's own habit where it fits the language, else the language's. */
export function formatsFor(language: Lang, tenantLocale: string | undefined): string {
  return tenantLocale !== undefined && languageOf(tenantLocale) === language ? tenantLocale : language;
}
