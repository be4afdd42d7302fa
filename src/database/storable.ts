/**
 * What a module hands over is any JSON; PostgreSQL stores almost any. A NUL, half of a surrogate pair, or nesting deeper than its stack
 * would make a write fail, and a result that cannot be written is a task that can never end. So it is looked at before.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';

const MAX_DEPTH = 100;

function storableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

/**
 * The same value with U+FFFD for what PostgreSQL cannot store.
 * @throws HostError BAD_INPUT if it is nested deeper than 100 levels
 */
export function storable(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) {
    throw new HostError('BAD_INPUT', `The value is nested deeper than ${MAX_DEPTH} levels; make it flatter.`);
  }
  if (Array.isArray(value)) return value.map((item) => storable(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storable(item, depth + 1)]),
  );
}

/** @throws HostError BAD_INPUT, naming `what`, if the value could not be stored as it is */
export function refuseUnstorable(what: string, value: unknown): void {
  if (JSON.stringify(storable(value)) === JSON.stringify(value)) return;
  throw new HostError(
    'BAD_INPUT',
    `${what}: a NUL character or half of a surrogate pair cannot be stored; encode binary data as base64.`,
  );
}
