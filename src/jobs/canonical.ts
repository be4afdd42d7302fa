/**
 * One text for equal values: what makes two tasks the same is their method, parameters and tags, whatever the order in which
 * a module happened to write the keys or the tags.
 */
import { createHash } from 'node:crypto';

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  // An array of pairs, not an object: integer-like keys and __proto__ would go their own ways in one.
  return {
    pairs: entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]),
  };
}

/** JSON with keys in order; equal for values that differ only in the order of keys or in undefined members. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

/** The key by which two tasks of one installation are duplicates (contract §3); those of two instances never are. */
export function dedupeKey(task: {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly instanceId?: string | null | undefined;
}): string {
  const tags = [...new Set(task.tags)].toSorted();
  return createHash('sha256')
    .update(
      canonicalJson([task.method, task.params, tags, ...(task.instanceId == null ? [] : [task.instanceId])]),
    )
    .digest('hex');
}
