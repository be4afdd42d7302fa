/**
 * The JSON Schema that editors get says the same as the host's own parser: it takes every manifest here, and both refuse the same
 * mistakes. It is judged by the few keywords that it is made of; one that this does not know is an error, so none goes unseen.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import { manifestSchema } from '../../src/cli/manifest-schema.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILE = resolve(ROOT, 'docs/reference/module.schema.json');

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const record = (value: unknown): Json => (isRecord(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isRecord,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
};

const lengthOf = (value: unknown): number =>
  typeof value === 'string' || Array.isArray(value) ? value.length : NaN;

/** What a value must be for each keyword; what says nothing about a value is true. */
const KEYWORDS: Readonly<Record<string, (value: unknown, rule: unknown, schema: Json) => boolean>> = {
  type: (value, rule) => TYPES[String(rule)]?.(value) ?? false,
  const: isDeepStrictEqual,
  enum: (value, rule) => list(rule).includes(value),
  anyOf: (value, rule) => list(rule).some((one) => holds(value, one)),
  pattern: (value, rule) => typeof value !== 'string' || new RegExp(String(rule), 'u').test(value),
  minLength: (value, rule) => !(lengthOf(value) < Number(rule)),
  maxLength: (value, rule) => !(lengthOf(value) > Number(rule)),
  maxItems: (value, rule) => !(lengthOf(value) > Number(rule)),
  minimum: (value, rule) => typeof value !== 'number' || value >= Number(rule),
  maximum: (value, rule) => typeof value !== 'number' || value <= Number(rule),
  items: (value, rule) => list(value).every((item) => holds(item, rule)),
  required: (value, rule) => list(rule).every((key) => Object.hasOwn(record(value), String(key))),
  propertyNames: (value, rule) => Object.keys(record(value)).every((key) => holds(key, rule)),
  properties: (value, rule) =>
    Object.entries(record(value)).every(
      ([key, held]) => !Object.hasOwn(record(rule), key) || holds(held, record(rule)[key]),
    ),
  additionalProperties: (value, rule, schema) =>
    Object.entries(record(value))
      .filter(([key]) => !Object.hasOwn(record(schema['properties']), key))
      .every(([, held]) => rule !== false && holds(held, rule)),
  ...Object.fromEntries(['title', 'description', 'default', '$schema'].map((key) => [key, () => true])),
};

function holds(value: unknown, schema: unknown): boolean {
  return Object.entries(record(schema)).every(([keyword, rule]) => {
    const check = KEYWORDS[keyword];
    if (check === undefined)
      throw new Error(`The schema has a keyword that this test does not know: ${keyword}`);
    return check(value, rule, record(schema));
  });
}

const schema: unknown = JSON.parse(readFileSync(FILE, 'utf8'));
const files = globSync(['modules/*/*/module.json', 'src/cli/scaffold/*/module.json'], { cwd: ROOT });
const good = { name: 'MyModule', type: 'Plugin', title: 'Mine', version: '1.0.0' };

describe('the JSON Schema of module.json', () => {
  it('is the file that is generated from the host’s own', () => {
    expect(schema).toEqual(JSON.parse(JSON.stringify(manifestSchema())));
  });

  it('knows every capability that is asked for, each with its words', () => {
    const { permissions } = record(record(schema)['properties']);
    const asked = Object.entries(capabilities).filter(([, { inherent }]) => !inherent);
    expect(Object.keys(record(record(permissions)['properties']))).toEqual(asked.map(([name]) => name));
  });

  it.each(files)('takes %s, which names it', (file) => {
    const path = resolve(ROOT, file);
    const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
    expect(holds(manifest, schema)).toBe(true);
    expect(resolve(dirname(path), String(record(manifest)['$schema']))).toBe(FILE);
  });

  it.each([
    ['an unknown key', { titel: 'x' }],
    ['an unknown type', { type: 'Theme' }],
    ['a name that is not StudlyCase', { name: 'my-module' }],
    ['an unknown capability', { permissions: { htpp: true } }],
    ['an unknown key of a capability', { permissions: { http: { host: ['a.example'] } } }],
    ['an amount beyond what may be asked', { permissions: { db: { tables: 100_000 } } }],
    ['a reason that is no text', { permissions: { db: { tables: 1, reason: 5 } } }],
    ['an unknown key of a wish', { permissions: { http: { hosts: [{ value: 'a.example', resaon: 'x' }] } } }],
    [
      'an unknown key of a secret',
      { permissions: { secrets: { key: { title: 'K', hosts: [], host: [] } } } },
    ],
    ['an unknown key of a field', { settings: [{ key: 'a', type: 'text', title: 'A', requird: true }] }],
    ['an unknown field type', { settings: [{ key: 'a', type: 'color', title: 'A' }] }],
    [
      'an unknown key of an option',
      { settings: [{ key: 'a', type: 'select', title: 'A', options: [{ value: 'x', titel: 'X' }] }] },
    ],
    [
      'an unknown key of a schedule',
      { permissions: { tasks: true }, schedule: [{ method: 'work', corn: '* * * * *' }] },
    ],
    ['an unknown key of events', { events: { emit: ['a'] } }],
  ])('refuses %s, as the parser does', (_what, wrong) => {
    expect(holds(good, schema)).toBe(true);
    expect(holds({ ...good, ...wrong }, schema)).toBe(false);
    expect(() => parseManifest({ ...good, ...wrong })).toThrow(HostError);
  });
});
