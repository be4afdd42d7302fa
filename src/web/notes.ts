/** What a page says after something was done. The redirect carries a name of a closed list (lang/en/note.json), never a text. */
import type noteTexts from './lang/en/note.json';
import { findText } from './lang/texts.ts';
import type { Lang } from './lang/languages.ts';

export type Note = keyof typeof noteTexts;

const NAME = /^[a-z-]+$/;

export function noteOf(lang: Lang, name: string | undefined): string | undefined {
  return name !== undefined && NAME.test(name) ? findText(lang, `note.${name}`) : undefined;
}

/** The address of a page that will say so. */
export function withNote(path: string, note: Note): string {
  return `${path}${path.includes('?') ? '&' : '?'}note=${note}`;
}
