/**
 * Renders what a tenant's admin wrote. An admin is not the operator: a template of theirs must not read files, reach a prototype, or
 * keep the host busy. So: a closed list of tags and filters (none that works with regular expressions over a text, none that writes HTML
 * unescaped), no partials, own properties only, and bounds on time, memory and length.
 */
import { Liquid, type Context } from 'liquidjs';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';

const TAGS = new Set([
  'if',
  'unless',
  'case',
  'for',
  'assign',
  'capture',
  'comment',
  'break',
  'continue',
  '#',
]);
const FILTERS = new Set([
  'append',
  'prepend',
  'upcase',
  'downcase',
  'capitalize',
  'size',
  'first',
  'last',
  'default',
  'plus',
  'minus',
  'times',
  'divided_by',
  'round',
  'slice',
  'truncate',
  'join',
  'url_encode',
  'escape',
  'money',
]);

/** Counts what is put out: a capture, which repeats itself into itself, is bounded by nothing else. */
function counted(this: { readonly context: Context }, value: unknown): string {
  const shown: unknown = value ?? '';
  const text = Array.isArray(shown) ? shown.join('') : String(shown);
  this.context.memoryLimit.use(text.length);
  return text;
}

function lockedEngine(outputEscape: 'escape' | typeof counted): Liquid {
  const engine = new Liquid({
    templates: {},
    dynamicPartials: false,
    relativeReference: false,
    ownPropertyOnly: true,
    strictFilters: true,
    strictVariables: false,
    jsTruthy: true,
    cache: false,
    parseLimit: NOTIFICATION_LIMITS.templateCharacters,
    renderLimit: NOTIFICATION_LIMITS.renderMs,
    memoryLimit: NOTIFICATION_LIMITS.renderMemory,
    outputEscape,
  });
  for (const name of Object.keys(engine.tags)) if (!TAGS.has(name)) delete engine.tags[name];
  for (const name of Object.keys(engine.filters)) if (!FILTERS.has(name)) delete engine.filters[name];
  engine.registerFilter('money', (minor: unknown, currency: unknown) => moneyText(minor, currency));
  return engine;
}

/** Minor units as an amount: 1250, 'USD' → 12.50 USD. */
function moneyText(minor: unknown, currency: unknown): string {
  const code = typeof currency === 'string' && /^[A-Z]{3}$/.test(currency) ? currency : 'USD';
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions()
    .maximumFractionDigits;
  const amount = Number(minor) / 10 ** (digits ?? 2);
  return Number.isFinite(amount) ? `${amount.toFixed(digits ?? 2)} ${code}` : '';
}

const engines = { html: lockedEngine('escape'), plain: lockedEngine(counted) } as const;

/** @throws HostError BAD_INPUT with what the author of the template has to mend */
export function renderText(
  kind: keyof typeof engines,
  template: string,
  values: Readonly<Record<string, unknown>>,
): string {
  let rendered: unknown;
  try {
    rendered = engines[kind].parseAndRenderSync(template, values);
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    throw new HostError('BAD_INPUT', `The template cannot be used: ${text.slice(0, 300)}.`, { cause: error });
  }
  const text = String(rendered);
  if (text.length > NOTIFICATION_LIMITS.renderedCharacters)
    throw new HostError('BAD_INPUT', 'The template cannot be used: what it makes is too long.');
  return text;
}
