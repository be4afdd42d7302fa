/**
 * Texts of a module that stand beside the host's own words: titles, reasons, names. What hides in them or turns the direction of what
 * stands around them could make the host seem to say something else.
 */
import * as v from 'valibot';

/** Control characters, line and paragraph separators, and the marks that override or embed a direction. */
const LINE = /^[^\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]*$/u;
/** The same, but lines may end. */
const LINES = /^(?:[^\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]|[\n\t])*$/u;
/** What a sentence of the host's puts a name between. */
const UNQUOTED = /^[^"“”„‟«»]*$/u;
const SAID = 'a text without control characters and marks of direction is expected';

export const PlainLine = (max: number) =>
  v.pipe(v.string('a text is expected'), v.maxLength(max), v.regex(LINE, `${SAID}, on one line`));

export const PlainLines = (max: number) =>
  v.pipe(v.string('a text is expected'), v.maxLength(max), v.regex(LINES, SAID));

/** A name that a sentence quotes: with quotation marks of its own it could end the quotation and go on as the sentence. */
export const QuotedName = (max: number) =>
  v.pipe(PlainLine(max), v.regex(UNQUOTED, 'a name without quotation marks is expected'));
