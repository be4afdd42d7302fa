/** Finds words that a template shows without asking for them by key: text nodes, attributes that people read or hear, and texts handed to parts. */
const TOKENS =
  /(\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->|<script\b.*?<\/script>|<(?:"[^"]*"|'[^']*'|\{%.*?%\}|\{\{.*?\}\}|[^>"'{]|\{)*>)/su;
const READ_ATTRIBUTES =
  /(?<![\w-])(?:placeholder|aria-label|title|alt|label|data-confirm|data-confirm-button|data-copied)="([^"]*)"/gu;
const ARGUMENTS = /\b(?:title|text|button|label|default): '([^']*)'/gu;
/** Alike in every language: units, names of things, examples. */
const SAME = new Set([
  'CPU',
  'Id',
  'SHA-256',
  'EUR',
  'UTC',
  'URL',
  'JSON',
  'new',
  'API',
  'SMTP',
  'IP',
  'PDF',
  'Bulkhead',
]);

function withoutLiquid(text: string): string {
  return text.replace(/\{\{.*?\}\}|\{%.*?%\}/gsu, ' ');
}

/** Words in a text, but for the few that are alike in every language, addresses and examples of numbers. */
function words(text: string): string[] {
  return withoutLiquid(text)
    .replace(/&\w+;/gu, ' ')
    .split(/\s+/u)
    .filter((word) => /\p{L}{2,}/u.test(word) && !SAME.has(word) && !word.startsWith('/'));
}

/** The literal texts of a template. */
export function literalTexts(template: string): string[] {
  const parts = template.split(TOKENS);
  const found = parts.flatMap((part, index) => {
    if (index % 2 === 0) return [part];
    if (part.startsWith('{%') || part.startsWith('{{')) {
      // Only what stays a literal: `assign x = 'area.key' | t` is asked for by key.
      return [...part.matchAll(ARGUMENTS)].map((match) => match[1] ?? '');
    }
    return [...part.matchAll(READ_ATTRIBUTES)].map((match) => match[1] ?? '');
  });
  return found.filter((text) => words(text).length > 0).map((text) => text.trim());
}
