/** Closed names out of addresses and forms of the notification pages. */
import { HostError } from '../../../../sandbox/contract/envelope.ts';
import { isTemplateName, LOCALES, type Locale, type TemplateName } from '../../../notifications/templates.ts';

export function localeFrom(text: string | undefined): Locale {
  return LOCALES.find((locale) => locale === text) ?? 'en';
}

/** @throws NOT_FOUND */
export function templateFrom(text: string | undefined): TemplateName {
  if (isTemplateName(text)) return text;
  throw new HostError('NOT_FOUND', 'There is no such template.');
}
