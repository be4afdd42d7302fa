/**
 * What a text must be before it may reach the parser. The parser is PostgreSQL's own, run in WebAssembly: a deeply nested
 * text overflows its stack and nested comments take it half a second, so nesting is bounded here by counting tokens. Only the
 * plainest quoting is let through, so that this small scanner and PostgreSQL's cannot disagree about where a text ends.
 */
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import { refused } from './refusal.ts';

/** Open brackets at one point. */
const MAX_BRACKET_DEPTH = 60;
/** Characters of operators in a text: each may be one level of a left-deep expression, `1+1+1…`. */
const MAX_OPERATORS = 2_000;
/** Words that may each be one level: `not not not …`, `union select …`. */
const MAX_CHAIN_WORDS = 400;

const CHAIN_WORDS = new Set(
  'not case is isnull notnull union intersect except join select between at like ilike similar collate'.split(
    ' ',
  ),
);
/** `e'…'`, `u&'…'` and their like begin texts with rules of their own. */
const TEXT_PREFIX = /^(?:e|b|x|n|u&)$/i;

/** A space, a text, a name, a word, a parameter, a number, a mark or an operator. No groups: this runs once a token. */
const TOKEN =
  /[ \t\n\r\f\v]+|'(?:[^']|'')*'|"(?:[^"]|"")*"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*|\$\d+|\d[\w.]*|\.\d[\w.]*|[()[\],;.]|[+\-*/<>=~!@#%^&|`?:]+/iy;
const OPERATOR = /^[+\-*/<>=~!@#%^&|`?:]/;
const WORD = /^[a-z_]/i;

const SIMPLER = 'Split it into several statements or simplify it.';

/** Counts what may nest. One scanner belongs to one text. */
class Nesting {
  #depth = 0;
  #operators = 0;
  #chainWords = 0;

  count(token: string): void {
    if (token === '(' || token === '[') this.#depth += 1;
    else if (token === ')' || token === ']') this.#depth -= 1;
    else if (OPERATOR.test(token)) this.#operator(token);
    else if (WORD.test(token) && CHAIN_WORDS.has(token.toLowerCase())) this.#chainWords += 1;
    if (this.#depth > MAX_BRACKET_DEPTH)
      throw refused(`nesting deeper than ${MAX_BRACKET_DEPTH} brackets`, SIMPLER);
    if (this.#operators > MAX_OPERATORS) throw refused(`more than ${MAX_OPERATORS} operators`, SIMPLER);
    if (this.#chainWords > MAX_CHAIN_WORDS)
      throw refused(`more than ${MAX_CHAIN_WORDS} nested clauses`, SIMPLER);
  }

  #operator(token: string): void {
    if (token.includes('--') || token.includes('/*'))
      throw refused('a comment in the text', 'Leave comments out of SQL.');
    // PostgreSQL may read `+@-@-` as several operators.
    this.#operators += token.length;
  }
}

/**
 * Refuses a text that is too long, too deep, or quoted in a way that needs more than a glance.
 * @throws HostError DB_REFUSED
 */
export function checkText(sql: string): void {
  if (sql.length > LIMITS.dbTextBytes || Buffer.byteLength(sql) > LIMITS.dbTextBytes) {
    throw refused(
      `a text longer than ${LIMITS.dbTextBytes} bytes`,
      'Pass values as parameters, in several statements.',
    );
  }
  const nesting = new Nesting();
  let before = '';
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < sql.length) {
    const at = TOKEN.lastIndex;
    if (!TOKEN.test(sql)) {
      throw refused(
        `"${sql.slice(at, at + 10)}"`,
        'Only \'…\' texts, "…" names and $1 parameters are known here.',
      );
    }
    const token = sql.slice(at, TOKEN.lastIndex);
    if (token.startsWith("'") && TEXT_PREFIX.test(before)) {
      throw refused(`a text written ${before}'…'`, "Write a plain '…' text or pass it as a parameter.");
    }
    nesting.count(token);
    before = token === '&' ? `${before}&` : token;
  }
}
