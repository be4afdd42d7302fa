/** The plain part of a mail whose sender gave none: its HTML without tags, a paragraph a line. */
import { stripTags } from 'bulkhead';

export function plainText(html: string): string {
  const lines = html.replaceAll('</p>', '</p>\n\n').replaceAll('<br>', '<br>\n');
  return stripTags(lines).trim();
}
