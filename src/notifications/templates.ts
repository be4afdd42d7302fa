/**
 * What messages look like. A template is a subject, HTML and a plain text in one language; a layout is the HTML around it. The host has
 * texts of its own for each; what a tenant's admin writes stands in a table over them, so that whatever nobody changed goes on improving.
 */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { renderText } from './engine.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';
import { en } from './texts/en.ts';
import { pl } from './texts/pl.ts';

export const TEMPLATE_NAMES = [
  'message',
  'InvoiceCreated',
  'InvoicePaid',
  'PaymentFailed',
  'PaymentRefunded',
  'ServiceCreated',
  'ServiceSuspended',
  'ServiceTerminated',
  'ServiceCreateFailed',
  'ModulePaused',
  'ClientRegistered',
  'test',
] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];
export const LOCALES = ['en', 'pl'] as const;
export type Locale = (typeof LOCALES)[number];
export const DEFAULT_LAYOUT = 'default';

export interface HostTexts {
  readonly layout: string;
  readonly greeting: string;
  readonly templates: Readonly<
    Record<TemplateName, { readonly subject: string; readonly lines: readonly string[] }>
  >;
}

export interface Template {
  readonly name: TemplateName;
  readonly locale: Locale;
  readonly layout: string;
  readonly subject: string;
  readonly html: string;
  readonly plain: string;
  /** False where it is the host's own. */
  readonly changed: boolean;
}

export interface Layout {
  readonly locale: Locale;
  readonly html: string;
  readonly changed: boolean;
}

const HOST: Readonly<Record<Locale, HostTexts>> = { en, pl };

export function isTemplateName(text: unknown): text is TemplateName {
  return TEMPLATE_NAMES.some((name) => name === text);
}

/** 'pl-PL' → 'pl'; English for what there are no texts in. */
export function localeOf(text: string | null | undefined): Locale {
  return LOCALES.find((locale) => text?.toLowerCase().startsWith(locale) === true) ?? 'en';
}

export function hostTemplate(name: TemplateName, locale: Locale): Template {
  const { greeting, templates } = HOST[locale];
  const { subject, lines } = templates[name];
  // A message that a module or a person wrote comes with its own words.
  const all = name === 'message' ? lines : [greeting, ...lines];
  const html =
    name === 'message'
      ? '{% for line in paragraphs %}<p>{{ line }}</p>\n{% endfor %}'
      : all.map((line) => `<p>${line}</p>`).join('\n');
  return { name, locale, layout: DEFAULT_LAYOUT, subject, html, plain: all.join('\n\n'), changed: false };
}

export function hostLayout(locale: Locale): string {
  return HOST[locale].layout;
}

export async function readTemplate(
  db: Kysely<Tables>,
  tenantId: string,
  name: TemplateName,
  locale: Locale,
): Promise<Template> {
  const row = await db
    .selectFrom('notification_templates')
    .select(['layout', 'subject', 'html', 'plain'])
    .where('tenant_id', '=', tenantId)
    .where('name', '=', name)
    .where('locale', '=', locale)
    .executeTakeFirst();
  return row === undefined ? hostTemplate(name, locale) : { ...row, name, locale, changed: true };
}

export async function readLayout(db: Kysely<Tables>, tenantId: string, locale: Locale): Promise<Layout> {
  const row = await db
    .selectFrom('notification_layouts')
    .select('html')
    .where('tenant_id', '=', tenantId)
    .where('name', '=', DEFAULT_LAYOUT)
    .where('locale', '=', locale)
    .executeTakeFirst();
  return row === undefined
    ? { locale, html: hostLayout(locale), changed: false }
    : { locale, html: row.html, changed: true };
}

/** What templates may use, each a plain value. `event` is the event's payload. */
export interface TemplateValues {
  readonly tenant: { readonly name: string };
  readonly recipient: { readonly name: string };
  readonly event: Readonly<Record<string, unknown>>;
  readonly subject?: string;
  readonly message?: string;
}

export interface Rendered {
  readonly subject: string;
  readonly html: string;
  readonly plain: string;
}

function oneLine(text: string): string {
  const line = text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  return line.slice(0, NOTIFICATION_LIMITS.subjectCharacters);
}

/** The layout with the content in it. The content is HTML already, so its place is kept by a mark that nobody can foresee. */
function wrap(layout: string, content: string, values: Readonly<Record<string, unknown>>): string {
  const mark = `content-${randomUUID()}`;
  return renderText('html', layout, { ...values, content: mark })
    .split(mark)
    .join(content);
}

/**
 * One message, ready to be sent.
 * @param html content that is used in place of the template's own, as it is
 * @throws HostError BAD_INPUT with what is wrong with the template
 */
export function render(
  template: Pick<Template, 'subject' | 'html' | 'plain'>,
  layout: string,
  values: TemplateValues,
  html?: string,
): Rendered {
  const paragraphs = (values.message ?? '').split(/\n{2,}/).slice(0, 500);
  const all = { ...values, paragraphs };
  return {
    subject: oneLine(renderText('plain', template.subject, all)),
    html: wrap(layout, html ?? renderText('html', template.html, all), all),
    plain: renderText('plain', template.plain, all).trim(),
  };
}

/** Values a template is tried and shown with. */
export const SAMPLE: TemplateValues = {
  tenant: { name: 'Acme' },
  recipient: { name: 'Ann Example' },
  event: {
    number: 'INV-2026-0042',
    total_minor: 2_450,
    amount_minor: 2_450,
    currency: 'USD',
    name: 'web.example.com',
    email: 'ann@example.com',
    message: 'The provider has no room.',
    module: 'Product/VPSHosting',
    reason: 'It had to be stopped too often.',
  },
  subject: 'Maintenance on Sunday',
  message: 'Servers restart on Sunday at three.\n\nNothing is needed from you.',
};
