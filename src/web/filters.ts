/** How values look on a page: instants, money, sizes, statuses. Filters that return HTML are marked raw and escape what they are given. */
import type { FilterImplOptions } from 'liquidjs';
import { ERROR_CODES, isErrorCode } from '../../sandbox/contract/envelope.ts';
import { FIRST_LANGUAGE, isLanguage, type Lang } from './lang/languages.ts';
import { said } from './lang/said.ts';
import { findText, translators, type Translate } from './lang/texts.ts';

const TONES: Readonly<Record<string, string>> = {
  active: 'green',
  completed: 'green',
  published: 'green',
  paid: 'green',
  unpaid: 'yellow',
  overdue: 'red',
  done: 'green',
  low: 'green',
  processing: 'azure',
  running: 'azure',
  queued: 'azure',
  info: 'azure',
  notice: 'azure',
  pending: 'yellow',
  restricted: 'yellow',
  in_review: 'yellow',
  in_doubt: 'yellow',
  suspended: 'orange',
  paused: 'orange',
  warning: 'orange',
  medium: 'orange',
  interrupted: 'orange',
  timeout: 'red',
  error: 'red',
  failed: 'red',
  critical: 'red',
  alert: 'red',
  emergency: 'red',
  high: 'red',
  revoked: 'red',
  fraud: 'red',
  not_found: 'red',
};
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const SENTENCE_CHARS = 160;
const JUST_NOW_MS = 45_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** A text short enough to be shown as it is. */
export function isSentence(value: unknown): value is string {
  return typeof value === 'string' && value.length <= SENTENCE_CHARS;
}

function toDate(value: unknown): Date | undefined {
  const date =
    value instanceof Date
      ? value
      : typeof value === 'string' || typeof value === 'number'
        ? new Date(value)
        : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

function toNumber(value: unknown): number {
  const number = Number(value ?? 0);
  return Number.isFinite(number) ? number : 0;
}

/** 'in_review' → 'In review'. */
export function labelOf(value: string): string {
  const text = value.replaceAll('_', ' ').replaceAll('-', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** '3 min ago', 'in 2 h', 'just now'. */
export function ago(date: Date, nowMs: number, t: Translate): string {
  const deltaMs = nowMs - date.getTime();
  const size = Math.abs(deltaMs);
  const past = deltaMs >= 0;
  if (size < JUST_NOW_MS) return t('parts.just_now');
  if (size < HOUR_MS)
    return t(past ? 'parts.ago_min' : 'parts.in_min', { n: Math.max(1, Math.round(size / MINUTE_MS)) });
  if (size < DAY_MS) return t(past ? 'parts.ago_h' : 'parts.in_h', { n: Math.round(size / HOUR_MS) });
  return t(past ? 'parts.ago_d' : 'parts.in_d', { n: Math.round(size / DAY_MS) });
}

export function money(minor: number, currency: string, locale: string): string {
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(minor / 10 ** digits);
}

export function bytes(value: number): string {
  const power = value < 1_000 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1_000 ** power;
  return `${scaled >= 100 || power === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[power]}`;
}

export function duration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / MINUTE_MS)} min ${Math.round((ms % MINUTE_MS) / 1_000)} s`;
}

/** What every page is rendered with, for the filters: its language and formats, set as globals by templates.ts. */
export interface Reading {
  readonly lang: Lang;
  /** A BCP 47 tag: how dates and amounts look. */
  readonly formats: string;
}

type Filter = FilterImplOptions;
type Handler = (page: Reading, value: unknown, ...args: unknown[]) => string;
interface InPage {
  readonly context: { readonly globals: object };
}

function reading(globals: object): Reading {
  const lang = 'lang' in globals && typeof globals.lang === 'string' ? globals.lang : '';
  const formats =
    'formats' in globals && typeof globals.formats === 'string' ? globals.formats : FIRST_LANGUAGE;
  return { lang: isLanguage(lang) ? lang : FIRST_LANGUAGE, formats };
}

/** English of no country: days before months, 24 hours. */
function dateFormats({ formats }: Reading): string {
  return formats === 'en' ? 'en-GB' : formats;
}

function text(handler: Handler): Filter {
  return function filter(this: InPage, value: unknown, ...args: unknown[]) {
    return handler(reading(this.context.globals), value, ...args);
  };
}

/** A filter that returns HTML, and so escapes what it is given. */
function raw(handler: Handler): Filter {
  return {
    handler(this: InPage, value: unknown, ...args: unknown[]) {
      return handler(reading(this.context.globals), value, ...args);
    },
    raw: true,
  };
}

/** Liquid hands `name: value` over as pairs. */
function namedArgs(args: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    args.flatMap((pair) =>
      Array.isArray(pair) && typeof pair[0] === 'string' ? [[pair[0], pair[1]] as const] : [],
    ),
  );
}

/** A status, level or risk in the reader's language; in words made of itself if we have none for it. */
function wordFor(page: Reading, value: string): string {
  return findText(page.lang, `status.${value}`) ?? labelOf(value.replace(/^(?:module|risk)_/, ''));
}

function sayings(value: unknown): string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((one) => typeof one === 'string');
}

function badge(page: Reading, value: unknown, prefix = ''): string {
  if (typeof value !== 'string' || value === '') return '';
  const tone = TONES[value] ?? 'secondary';
  return `<span class="badge bg-${tone}-lt">${escapeHtml(wordFor(page, prefix + value))}</span>`;
}

function moment(page: Reading, value: unknown, timezone: unknown, nowMs: unknown): string {
  const date = toDate(value);
  if (date === undefined) return '<span class="text-secondary">–</span>';
  const zone = typeof timezone === 'string' ? timezone : 'UTC';
  const full = new Intl.DateTimeFormat(dateFormats(page), {
    dateStyle: 'medium',
    timeStyle: 'medium',
    timeZone: zone,
  }).format(date);
  const shown = typeof nowMs === 'number' ? ago(date, nowMs, translators[page.lang]) : full;
  return `<time datetime="${date.toISOString()}" title="${escapeHtml(full)} ${escapeHtml(zone)}">${escapeHtml(shown)}</time>`;
}

export const filters: Readonly<Record<string, Filter>> = {
  /** `'area.key' | t: n: 3, name: x`: the text in the reader's language; a key that no language has is shown as it is. */
  t: text((page, key, ...args) => findText(page.lang, String(key), namedArgs(args)) ?? String(key)),
  /** What the host said in English, or several such, in the reader's language. */
  said: text((page, value) =>
    sayings(value)
      .map((one) => said(page.lang, one))
      .join(' '),
  ),
  /** What an error code means, in a sentence; '' for what is none. */
  meaning: text((page, value) => (isErrorCode(value) ? said(page.lang, ERROR_CODES[value]) : '')),
  badge: raw((page, value) => badge(page, value)),
  /** An installation's status, in the words of the modules page. */
  module_badge: raw((page, value) => badge(page, value, 'module_')),
  risk_badge: raw((page, value) => badge(page, value, 'risk_')),
  tone: text((_page, value) => (typeof value === 'string' ? (TONES[value] ?? 'secondary') : 'secondary')),
  label: text((page, value) => (typeof value === 'string' ? wordFor(page, value) : '')),
  /** A billing period in words. */
  period: text((page, value) =>
    typeof value === 'string' ? (findText(page.lang, `period.${value}`) ?? labelOf(value)) : '',
  ),
  /** `at | when: timezone, now` → '3 min ago' with the full instant as its title; without now the full instant. */
  when: raw(moment),
  clock: text((page, value, timezone) => {
    const date = toDate(value);
    const zone = typeof timezone === 'string' ? timezone : 'UTC';
    if (date === undefined) return '';
    const time = new Intl.DateTimeFormat(dateFormats(page), { timeStyle: 'medium', timeZone: zone }).format(
      date,
    );
    return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  }),
  day: text((page, value, timezone) => {
    const date = toDate(value);
    const timeZone = typeof timezone === 'string' ? timezone : 'UTC';
    return date === undefined
      ? ''
      : new Intl.DateTimeFormat(dateFormats(page), { dateStyle: 'full', timeZone }).format(date);
  }),
  /** `at | date_only: timezone` → '22 Nov 2026'. */
  date_only: text((page, value, timezone) => {
    const date = toDate(value);
    const timeZone = typeof timezone === 'string' ? timezone : 'UTC';
    return date === undefined
      ? ''
      : new Intl.DateTimeFormat(dateFormats(page), { dateStyle: 'medium', timeZone }).format(date);
  }),
  money: text((page, value, currency) =>
    money(toNumber(value), typeof currency === 'string' ? currency : 'USD', page.formats),
  ),
  bytes: text((_page, value) => bytes(toNumber(value))),
  duration: text((_page, value) => duration(toNumber(value))),
  cpu: text((_page, value) => duration(toNumber(value) / 1_000)),
  count: text((page, value) => new Intl.NumberFormat(page.formats).format(toNumber(value))),
  /** A short text as it is; '' for data and long texts, which wait behind "Details". */
  sentence: text((_page, value) => (isSentence(value) ? value : '')),
  pretty: text((_page, value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2))),
  short: text((_page, value) => (typeof value === 'string' ? value.slice(0, 8) : '')),
  /** A module's icon is its own text: only Font Awesome class names pass. */
  icon: text((_page, value) =>
    typeof value === 'string' && /^fa[a-z]* fa-[a-z0-9-]+$/.test(value) ? value : 'fas fa-puzzle-piece',
  ),
  /** Only http(s) addresses become links. */
  safe_url: text((_page, value) => (typeof value === 'string' && /^https?:\/\//i.test(value) ? value : '')),
};
