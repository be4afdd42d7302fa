/** How values look on a page: instants, money, sizes, statuses. Filters that return HTML are marked raw and escape what they are given. */
import type { FilterImplOptions } from 'liquidjs';

const TONES: Readonly<Record<string, string>> = {
  active: 'green',
  completed: 'green',
  published: 'green',
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
const LABELS: Readonly<Record<string, string>> = {
  active: 'Enabled',
  inactive: 'Disabled',
  restricted: 'Needs permission',
  in_review: 'In review',
  in_doubt: 'In doubt',
  not_found: 'Not found',
};
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const SENTENCE_CHARS = 160;
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
export function ago(date: Date, nowMs: number): string {
  const deltaMs = nowMs - date.getTime();
  const size = Math.abs(deltaMs);
  if (size < 45_000) return 'just now';
  const text =
    size < HOUR_MS
      ? `${Math.max(1, Math.round(size / MINUTE_MS))} min`
      : size < DAY_MS
        ? `${Math.round(size / HOUR_MS)} h`
        : `${Math.round(size / DAY_MS)} d`;
  return deltaMs >= 0 ? `${text} ago` : `in ${text}`;
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

type Filter = FilterImplOptions;

function text(handler: (value: unknown, ...args: unknown[]) => string): Filter {
  return (value: unknown, ...args: unknown[]) => handler(value, ...args);
}

function raw(handler: (value: unknown, ...args: unknown[]) => string): Filter {
  return { handler, raw: true };
}

function badge(value: unknown, label?: unknown): string {
  if (typeof value !== 'string' || value === '') return '';
  const tone = TONES[value] ?? 'secondary';
  return `<span class="badge bg-${tone}-lt">${escapeHtml(typeof label === 'string' ? label : labelOf(value))}</span>`;
}

function moment(value: unknown, timezone: unknown, nowMs: unknown): string {
  const date = toDate(value);
  if (date === undefined) return '<span class="text-secondary">–</span>';
  const zone = typeof timezone === 'string' ? timezone : 'UTC';
  const full = new Intl.DateTimeFormat('en-GB', {
    dateStyle: 'medium',
    timeStyle: 'medium',
    timeZone: zone,
  }).format(date);
  const shown = typeof nowMs === 'number' ? ago(date, nowMs) : full;
  return `<time datetime="${date.toISOString()}" title="${escapeHtml(full)} ${escapeHtml(zone)}">${escapeHtml(shown)}</time>`;
}

export const filters: Readonly<Record<string, Filter>> = {
  badge: raw(badge),
  /** An installation's status, in the words of the modules page. */
  module_badge: raw((value) => badge(value, typeof value === 'string' ? LABELS[value] : undefined)),
  risk_badge: raw((value) => badge(value, typeof value === 'string' ? `${labelOf(value)} risk` : undefined)),
  tone: text((value) => (typeof value === 'string' ? (TONES[value] ?? 'secondary') : 'secondary')),
  label: text((value) => (typeof value === 'string' ? labelOf(value) : '')),
  /** `at | when: timezone, now` → '3 min ago' with the full instant as its title; without now the full instant. */
  when: raw(moment),
  clock: text((value, timezone) => {
    const date = toDate(value);
    const zone = typeof timezone === 'string' ? timezone : 'UTC';
    if (date === undefined) return '';
    const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: zone }).format(date);
    return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  }),
  day: text((value, timezone) => {
    const date = toDate(value);
    const zone = typeof timezone === 'string' ? timezone : 'UTC';
    return date === undefined
      ? ''
      : new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: zone }).format(date);
  }),
  money: text((value, currency, locale) =>
    money(
      toNumber(value),
      typeof currency === 'string' ? currency : 'USD',
      typeof locale === 'string' ? locale : 'en',
    ),
  ),
  bytes: text((value) => bytes(toNumber(value))),
  duration: text((value) => duration(toNumber(value))),
  cpu: text((value) => duration(toNumber(value) / 1_000)),
  /** `n | many: 'module'` → '1 module', '2 modules'. */
  many: text((value, noun, plural) => {
    const number = toNumber(value);
    const several = typeof plural === 'string' ? plural : `${String(noun)}s`;
    return `${new Intl.NumberFormat('en').format(number)} ${number === 1 ? String(noun) : several}`;
  }),
  count: text((value) => new Intl.NumberFormat('en').format(toNumber(value))),
  /** A short text as it is; '' for data and long texts, which wait behind "Details". */
  sentence: text((value) => (isSentence(value) ? value : '')),
  pretty: text((value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2))),
  short: text((value) => (typeof value === 'string' ? value.slice(0, 8) : '')),
  /** A module's icon is its own text: only Font Awesome class names pass. */
  icon: text((value) =>
    typeof value === 'string' && /^fa[a-z]* fa-[a-z0-9-]+$/.test(value) ? value : 'fas fa-puzzle-piece',
  ),
  /** Only http(s) addresses become links. */
  safe_url: text((value) => (typeof value === 'string' && /^https?:\/\//i.test(value) ? value : '')),
};
