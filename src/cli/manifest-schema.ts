/**
 * The JSON Schema of module.json, for editors: derived from the host's own valibot schema and the capabilities' grants, so that what an
 * editor offers is what a panel takes. A panel goes on judging by its own parser; this only says it earlier.
 */
import { toJsonSchema } from '@valibot/to-json-schema';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import type { Capability } from '../../sandbox/contract/capability.ts';
import type { GrantField } from '../../sandbox/contract/grant.ts';
import { kinds } from '../../sandbox/contract/kinds.ts';
import { ManifestShape } from '../../sandbox/contract/manifest.ts';

/** Its file: below docs/reference here, beside module.json in a module that `module new` made. */
export const MANIFEST_SCHEMA = 'module.schema.json';

type Json = Readonly<Record<string, unknown>>;

const OPTIONS: Json = {
  optional: { type: 'boolean', description: 'The module also works without it.' },
  reason: { type: 'string', description: 'What it is for: shown to the admin who is asked.' },
};
const TEXTS: Json = { type: 'array', items: { type: 'string' } };

function closed(properties: Json, required: readonly string[] = []): Json {
  return { type: 'object', properties, required, additionalProperties: false };
}

function fieldSchema(field: GrantField): Json {
  switch (field.sort) {
    case 'list': {
      const { $schema: _, ...item } = toJsonSchema(field.item, { errorMode: 'ignore' });
      return {
        description: field.doc,
        type: 'array',
        items: { anyOf: [item, closed({ value: item, ...OPTIONS }, ['value'])] },
      };
    }
    case 'amount':
      return {
        description: `${field.doc} ${field.fallback} if it is not said.`,
        type: 'integer',
        minimum: 0,
        maximum: field.max,
      };
    case 'switch':
      return { description: field.doc, type: 'boolean' };
    case 'named':
      return closed({ title: { type: 'string' }, hosts: TEXTS, ...OPTIONS }, ['title', 'hosts']);
  }
}

function capabilitySchema({ doc, grant }: Capability): Json {
  const fields: [string, GrantField][] = Object.entries(grant);
  const named = fields.find(([, field]) => field.sort === 'named')?.[1];
  const whole =
    named === undefined
      ? closed({ ...Object.fromEntries(fields.map(([key, field]) => [key, fieldSchema(field)])), ...OPTIONS })
      : { type: 'object', properties: OPTIONS, additionalProperties: fieldSchema(named) };
  const list = fields.find(([, field]) => field.sort === 'list')?.[1];
  return {
    description: doc,
    anyOf: [whole, { const: true }, ...(list === undefined ? [] : [fieldSchema(list)])],
  };
}

/** Objects that name what they hold are closed: panels refuse a key that they do not know. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
  return 'properties' in inner && !('additionalProperties' in inner)
    ? { ...inner, additionalProperties: false }
    : inner;
}

export function manifestSchema(): unknown {
  const { properties, ...shape } = toJsonSchema(ManifestShape, { errorMode: 'ignore' });
  const asked = Object.entries(capabilities).filter(([, { inherent }]) => !inherent);
  return strict({
    ...shape,
    title: 'module.json',
    properties: {
      ...properties,
      type: { type: 'string', enum: Object.keys(kinds) },
      permissions: closed(
        Object.fromEntries(asked.map(([name, capability]) => [name, capabilitySchema(capability)])),
      ),
    },
  });
}
