/**
 * Keys inside module.json that nothing reads. valibot drops them, and a dropped `requird: true` is a mistake that its author finds out
 * about in production; so they are looked for first, by walking the manifest along its own schema.
 */
import { unknownKey } from './grant.ts';

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws HostError BAD_INPUT naming the path, the key and the nearest known one */
export function refuseUnknownKeys(schema: unknown, value: unknown, where: string): void {
  if (!isRecord(schema)) return;
  if (isRecord(schema['wrapped'])) return refuseUnknownKeys(schema['wrapped'], value, where);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      refuseUnknownKeys(schema['item'], item, `${where}[${index}]`);
    return;
  }
  const { entries } = schema;
  if (!isRecord(entries) || !isRecord(value)) return;
  for (const [key, held] of Object.entries(value)) {
    if (!Object.hasOwn(entries, key)) throw unknownKey(where, key, Object.keys(entries));
    refuseUnknownKeys(entries[key], held, where === 'module.json' ? `${where}: ${key}` : `${where}.${key}`);
  }
}
