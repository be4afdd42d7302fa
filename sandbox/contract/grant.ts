/**
 * Grants: what a module asks for and what a tenant's admin allows of it. A capability describes its grant as a record of
 * fields of four sorts; parsing a manifest, the lines of the consent page, narrowing, comparing an update's wishes with what is
 * granted, and the text of a refusal are all derived from those fields here, once.
 */
import * as v from 'valibot';
import { HostError } from './envelope.ts';
import { LIMITS } from './limits.ts';
import { PlainLine, QuotedName } from './plain-text.ts';

export type Risk = 'low' | 'medium' | 'high';

interface FieldBase {
  readonly doc: string;
  readonly risk: Risk;
}

/** A set of texts, each its own line on the consent page: hosts, verbs, event names. */
export interface ListField extends FieldBase {
  readonly sort: 'list';
  readonly item: v.GenericSchema<string, string>;
  /** What granting this item means, in plain words. */
  readonly words: (item: string) => string;
  /** True if a granted pattern covers an asked one; equality if absent. */
  readonly covers?: (granted: string, asked: string) => boolean;
  /** Used when the manifest names the capability without this field. */
  readonly fallback?: readonly string[];
}

/** A number an admin may lower. */
export interface AmountField extends FieldBase {
  readonly sort: 'amount';
  readonly unit: string;
  readonly fallback: number;
  readonly max: number;
  readonly words: (amount: number) => string;
}

/** Yes or no. */
export interface SwitchField extends FieldBase {
  readonly sort: 'switch';
  readonly words: () => string;
}

/** Named entries with a title and the hosts they are bound to: secrets. */
export interface NamedField extends FieldBase {
  readonly sort: 'named';
  readonly words: (name: string, entry: NamedEntry) => string;
}

export interface NamedEntry {
  readonly title: string;
  readonly hosts: readonly string[];
}

export type GrantField = ListField | AmountField | SwitchField | NamedField;
export type GrantFields = Readonly<Record<string, GrantField>>;

/** The value a field has in a grant. */
export type FieldValue<F extends GrantField> = F extends ListField
  ? readonly string[]
  : F extends AmountField
    ? number
    : F extends SwitchField
      ? boolean
      : F extends NamedField
        ? Readonly<Record<string, NamedEntry>>
        : never;

/** What a broker sees of a granted capability. */
export type GrantOf<F extends GrantFields> = { readonly [K in keyof F]: FieldValue<F[K]> };

/** One thing a manifest wants: one line on the consent page. `id` is stable: 'http.hosts:api.example.com'. */
export interface Ask {
  readonly id: string;
  readonly capability: string;
  readonly field: string;
  /** The list item or the entry's name; empty for amounts and switches. */
  readonly item: string;
  readonly amount?: number;
  readonly entry?: NamedEntry;
  readonly optional: boolean;
  readonly reason: string;
}

/** All that a tenant granted to one installation, as it is stored: capability → field → value. */
export type Grants = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Granting {
  readonly grant: GrantFields;
}
type GrantingRecord = Readonly<Record<string, Granting>>;

const NamedEntrySchema = v.object({
  title: QuotedName(LIMITS.consentTitleCharacters),
  hosts: v.array(v.string()),
});
const OptionsSchema = v.object({
  optional: v.optional(v.boolean('true or false is expected'), false),
  reason: v.optional(PlainLine(LIMITS.consentReasonCharacters), ''),
});
const OPTION_KEYS = Object.keys(OptionsSchema.entries);

/** The two words that any wish may have beside its own. @throws HostError BAD_INPUT naming what is expected */
function optionsOf(
  where: string,
  wish: Readonly<Record<string, unknown>>,
): v.InferOutput<typeof OptionsSchema> {
  const parsed = v.safeParse(OptionsSchema, { optional: wish['optional'], reason: wish['reason'] });
  if (parsed.success) return parsed.output;
  throw badField(`${where}.${v.getDotPath(parsed.issues[0]) ?? ''}`, `${parsed.issues[0].message}.`);
}

function onlyKeys(where: string, wish: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  for (const key of Object.keys(wish)) if (!known.includes(key)) throw unknownKey(where, key, known);
}

/** Finds the known name that `name` most likely meant, for errors that say how to mend them. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const scored = known.map((candidate) => ({
    candidate,
    distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
  }));
  scored.sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best !== undefined && best.distance <= Math.max(2, Math.ceil(name.length / 2))
    ? best.candidate
    : undefined;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

export function unknownKey(where: string, key: string, known: readonly string[]): HostError {
  const guess = nearest(key, known);
  const hint = guess === undefined ? `Known: ${known.join(', ')}.` : `Did you mean "${guess}"?`;
  return new HostError('BAD_INPUT', `${where}: unknown key "${key}". ${hint}`);
}

function badField(where: string, expected: string): HostError {
  return new HostError('BAD_INPUT', `${where}: ${expected}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads the `permissions` of a manifest into asks. Every mistake is named with its path.
 * @param capabilities the closed record of capabilities
 */
export function parsePermissions(permissions: unknown, capabilities: GrantingRecord): Ask[] {
  if (!isRecord(permissions))
    throw badField(
      'permissions',
      'an object of capabilities is expected, for example {"db": {"tables": 2}}.',
    );
  const asks: Ask[] = [];
  for (const [name, wish] of Object.entries(permissions)) {
    const capability = Object.hasOwn(capabilities, name) ? capabilities[name] : undefined;
    if (capability === undefined) throw unknownKey('permissions', name, Object.keys(capabilities));
    asks.push(...parseCapability(name, wish, capability.grant));
  }
  // Each is a line that a person has to read, and each pattern is compared with each that was granted.
  if (asks.length > LIMITS.asks)
    throw badField(
      'permissions',
      `a module may ask for ${LIMITS.asks} things; this one asks for ${asks.length}.`,
    );
  return asks;
}

function parseCapability(name: string, wish: unknown, fields: GrantFields): Ask[] {
  const where = `permissions.${name}`;
  const record = expandShorthand(where, wish, fields);
  const { optional, reason } = optionsOf(where, record);
  for (const key of Object.keys(record)) {
    if (key === 'optional' || key === 'reason') continue;
    const isNamed = Object.values(fields).some((field) => field.sort === 'named');
    if (!Object.hasOwn(fields, key) && !isNamed) throw unknownKey(where, key, Object.keys(fields));
  }
  return Object.entries(fields).flatMap(([key, field]) =>
    parseField(
      { capability: name, field: key, optional, reason },
      `${where}.${key}`,
      field,
      field.sort === 'named' ? record : record[key],
    ),
  );
}

/** `"clients": ["read"]` stands for the capability's one list field; `true` for its defaults. */
function expandShorthand(where: string, wish: unknown, fields: GrantFields): Record<string, unknown> {
  if (wish === true) return {};
  if (Array.isArray(wish)) {
    const list = Object.entries(fields).find(([, field]) => field.sort === 'list');
    if (list === undefined) throw badField(where, 'an object is expected here, not a list.');
    return { [list[0]]: wish };
  }
  if (!isRecord(wish)) throw badField(where, 'an object, a list or true is expected.');
  return wish;
}

type AskBase = Pick<Ask, 'capability' | 'field' | 'optional' | 'reason'>;

function makeAsk(base: AskBase, item: string, extra: Partial<Ask> = {}): Ask {
  const path = `${base.capability}.${base.field}`;
  return { ...base, item, id: item === '' ? path : `${path}:${item}`, ...extra };
}

function parseField(base: AskBase, where: string, field: GrantField, value: unknown): Ask[] {
  switch (field.sort) {
    case 'list':
      return parseList(base, where, field, value);
    case 'amount': {
      if (value === undefined) return [makeAsk(base, '', { amount: field.fallback })];
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > field.max) {
        throw badField(where, `a whole number of ${field.unit} from 0 to ${field.max} is expected.`);
      }
      return [makeAsk(base, '', { amount: value })];
    }
    case 'switch': {
      if (value !== undefined && typeof value !== 'boolean')
        throw badField(where, 'true or false is expected.');
      return value === true ? [makeAsk(base, '')] : [];
    }
    case 'named':
      return parseNamed(base, where, value);
  }
}

function parseList(base: AskBase, where: string, field: ListField, value: unknown): Ask[] {
  const items = value ?? field.fallback ?? [];
  if (!Array.isArray(items)) throw badField(where, 'a list is expected.');
  return items.map((raw: unknown, index) => {
    if (isRecord(raw)) onlyKeys(`${where}[${index}]`, raw, ['value', ...OPTION_KEYS]);
    const options = isRecord(raw)
      ? optionsOf(`${where}[${index}]`, raw)
      : { optional: base.optional, reason: base.reason };
    const text = isRecord(raw) ? raw['value'] : raw;
    const item = v.safeParse(field.item, text);
    if (!item.success) throw badField(`${where}[${index}]`, item.issues[0].message);
    return makeAsk(
      { ...base, optional: options.optional || base.optional, reason: options.reason || base.reason },
      item.output,
    );
  });
}

function parseNamed(base: AskBase, where: string, value: unknown): Ask[] {
  if (!isRecord(value)) throw badField(where, 'an object of named entries is expected.');
  const names = Object.entries(value).filter(([name]) => name !== 'optional' && name !== 'reason');
  return names.map(([name, raw]) => {
    if (!/^[a-z][a-z0-9_]{0,39}$/.test(name))
      throw badField(`${where}.${name}`, 'names are lower case letters, digits and _, up to 40.');
    const entry = v.safeParse(NamedEntrySchema, raw);
    if (!entry.success) {
      const isTitle = isRecord(raw) && typeof raw['title'] === 'string' && Array.isArray(raw['hosts']);
      throw isTitle
        ? badField(`${where}.${name}.title`, `${entry.issues[0].message}.`)
        : badField(`${where}.${name}`, 'an object {"title": "…", "hosts": ["…"]} is expected.');
    }
    if (isRecord(raw))
      onlyKeys(`${where}.${name}`, raw, [...Object.keys(NamedEntrySchema.entries), ...OPTION_KEYS]);
    const options = optionsOf(`${where}.${name}`, isRecord(raw) ? raw : {});
    return makeAsk(
      { ...base, optional: options.optional || base.optional, reason: options.reason || base.reason },
      name,
      { entry: entry.output },
    );
  });
}

function fieldOf(ask: Ask, capabilities: GrantingRecord): GrantField {
  const field = capabilities[ask.capability]?.grant[ask.field];
  if (field === undefined) throw new HostError('INTERNAL', `No grant field ${ask.capability}.${ask.field}.`);
  return field;
}

/** What an ask means in plain words, and how risky it is: one line of the consent page. */
export function wordsOf(ask: Ask, capabilities: GrantingRecord): { text: string; risk: Risk } {
  const field = fieldOf(ask, capabilities);
  switch (field.sort) {
    case 'list':
      return { text: field.words(ask.item), risk: field.risk };
    case 'amount':
      return { text: field.words(ask.amount ?? field.fallback), risk: field.risk };
    case 'switch':
      return { text: field.words(), risk: field.risk };
    case 'named':
      return { text: field.words(ask.item, ask.entry ?? { title: ask.item, hosts: [] }), risk: field.risk };
  }
}

/** An admin's answer to one ask: no, yes, or yes but narrower (a smaller amount, a pattern the asked one covers). */
export type Answer =
  | { readonly granted: false }
  | { readonly granted: true; readonly amount?: number; readonly item?: string };

/**
 * Turns an admin's answers into grants. An unanswered ask is not granted (deny by default); an answer wider than
 * its ask is an error, never silently cut.
 */
export function grantsFrom(
  asks: readonly Ask[],
  answers: Readonly<Record<string, Answer>>,
  capabilities: GrantingRecord,
): Grants {
  const grants: Record<string, Record<string, unknown>> = {};
  for (const id of Object.keys(answers)) {
    if (!asks.some((ask) => ask.id === id))
      throw new HostError('BAD_INPUT', `"${id}" is not among what the module asks for.`);
  }
  for (const ask of asks) {
    const answer = answers[ask.id];
    if (answer?.granted !== true) continue;
    const capability = (grants[ask.capability] ??= emptyGrant(capabilities[ask.capability]?.grant ?? {}));
    applyAnswer(capability, ask, answer, fieldOf(ask, capabilities));
  }
  return grants;
}

function emptyGrant(fields: GrantFields): Record<string, unknown> {
  const empty = { list: () => [], amount: () => 0, switch: () => false, named: () => ({}) };
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, empty[field.sort]()]));
}

function applyAnswer(
  grant: Record<string, unknown>,
  ask: Ask,
  answer: Answer & { granted: true },
  field: GrantField,
): void {
  switch (field.sort) {
    case 'list': {
      const item = answer.item ?? ask.item;
      if (!covers(field, ask.item, item))
        throw new HostError('BAD_INPUT', `${ask.id}: "${item}" is wider than what the module asks for.`);
      grant[ask.field] = [...listOf(grant[ask.field]), item];
      return;
    }
    case 'amount': {
      const asked = ask.amount ?? field.fallback;
      const amount = answer.amount ?? asked;
      if (!Number.isInteger(amount) || amount < 0 || amount > asked) {
        throw new HostError(
          'BAD_INPUT',
          `${ask.id}: a whole number from 0 to ${asked} ${field.unit} may be granted.`,
        );
      }
      grant[ask.field] = amount;
      return;
    }
    case 'switch':
      grant[ask.field] = true;
      return;
    case 'named': {
      const held = grant[ask.field];
      grant[ask.field] = { ...(isRecord(held) ? held : {}), [ask.item]: ask.entry };
    }
  }
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function covers(field: ListField, granted: string, asked: string): boolean {
  return granted === asked || (field.covers?.(granted, asked) ?? false);
}

/** Asks that the grants do not fully satisfy; a narrowed amount or pattern counts as granted. */
export function notGranted(asks: readonly Ask[], grants: Grants, capabilities: GrantingRecord): Ask[] {
  return asks.filter((ask) => !isGranted(ask, grants, capabilities));
}

function isGranted(ask: Ask, grants: Grants, capabilities: GrantingRecord): boolean {
  const value = grants[ask.capability]?.[ask.field];
  const field = fieldOf(ask, capabilities);
  switch (field.sort) {
    case 'list':
      return listOf(value).some(
        (granted) => covers(field, granted, ask.item) || covers(field, ask.item, granted),
      );
    case 'amount':
      // An amount that was answered with no stands as 0 beside what else of its capability was granted.
      return typeof value === 'number' && (value > 0 || ask.amount === 0);
    case 'switch':
      return value === true;
    case 'named':
      return hostsBeyond(ask, grantedEntry(value, ask.item)).length === 0;
  }
}

function grantedEntry(value: unknown, name: string): NamedEntry | undefined {
  const entry = isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  const parsed = v.safeParse(NamedEntrySchema, entry);
  return parsed.success ? parsed.output : undefined;
}

/** Hosts an ask wants to send its secret to and the entry does not name. Without an entry the secret itself is what is not granted. */
function hostsBeyond(ask: Ask, entry: NamedEntry | undefined): readonly string[] {
  if (entry === undefined) return [''];
  return (ask.entry?.hosts ?? []).filter((host) => !entry.hosts.includes(host));
}

/** True if a version that asks for `before` asks for this already; a secret bound to other hosts is another wish under the same id. */
export function isAskedBy(ask: Ask, before: readonly Ask[]): boolean {
  const same = before.find(({ id }) => id === ask.id);
  return same !== undefined && (ask.entry === undefined || hostsBeyond(ask, same.entry).length === 0);
}

/**
 * What of the stored grants counts for a version: no more than it asks for. So what was granted to a version that waits is nothing to the
 * one that runs, and what a newer version asks for no longer is not kept where nobody sees it.
 */
export function grantsWithin(asks: readonly Ask[], grants: Grants, capabilities: GrantingRecord): Grants {
  const within: Record<string, Record<string, unknown>> = {};
  for (const [name, granted] of Object.entries(grants)) {
    const fields = Object.hasOwn(capabilities, name) ? capabilities[name]?.grant : undefined;
    const own = asks.filter(({ capability }) => capability === name);
    if (fields === undefined || own.length === 0) continue;
    within[name] = Object.fromEntries(
      Object.entries(fields).map(([key, field]) => [
        key,
        valueWithin(
          own.filter((ask) => ask.field === key),
          field,
          granted[key],
        ),
      ]),
    );
  }
  return within;
}

function valueWithin(asks: readonly Ask[], field: GrantField, value: unknown): unknown {
  switch (field.sort) {
    case 'list':
      return listOf(value).filter((item) => asks.some((ask) => covers(field, ask.item, item)));
    case 'amount':
      return typeof value === 'number' ? Math.min(value, asks[0]?.amount ?? 0) : 0;
    case 'switch':
      return value === true && asks.length > 0;
    case 'named':
      return Object.fromEntries(
        asks.flatMap((ask) => {
          const entry = grantedEntry(value, ask.item);
          const asked = ask.entry?.hosts ?? [];
          return entry === undefined
            ? []
            : [[ask.item, { ...entry, hosts: entry.hosts.filter((host) => asked.includes(host)) }]];
        }),
      );
  }
}

/** What either of two grants allows: lists and names of both, the larger amounts. */
export function mergedGrants(one: Grants, other: Grants): Grants {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const grants of [one, other])
    for (const [name, granted] of Object.entries(grants)) {
      const present = (merged[name] ??= {});
      for (const [key, value] of Object.entries(granted)) present[key] = mergedValue(present[key], value);
    }
  return merged;
}

function mergedValue(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...new Set<unknown>([...one, ...other])];
  if (typeof one === 'number' && typeof other === 'number') return Math.max(one, other);
  if (typeof one === 'boolean' && typeof other === 'boolean') return one || other;
  if (!isRecord(one) || !isRecord(other)) return other;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, mergedEntry(one, other, name)]));
}

/** A secret of both may go where either lets it go. */
function mergedEntry(one: Record<string, unknown>, other: Record<string, unknown>, name: string): unknown {
  const [a, b] = [grantedEntry(one, name), grantedEntry(other, name)];
  if (a === undefined || b === undefined) return b ?? a;
  return { ...b, hosts: [...new Set([...a.hosts, ...b.hosts])] };
}

/** The text of a refusal: it names what to add to the manifest. */
export function refusal(capability: string, what: string, path: string): HostError {
  return new HostError('NOT_GRANTED', `${capability}: ${what} is not granted; add it to permissions.${path}`);
}
