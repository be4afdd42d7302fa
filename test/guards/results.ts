/**
 * What was seen of each guard, kept in a folder that git does not know: a stopped run goes on where it was, and the closing table of the attacks tells
 * how many guards were taken away and missed. A guard is known by what it is and by the two files it is about; changed, it is not known.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import type { Guard } from './guard.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PATH = join(ROOT, '.bulkhead', 'guards.json');

/** Fingerprint → what is wrong with the guard; null if its test missed it. */
const Results = v.record(v.string(), v.nullable(v.string()));
export type Results = v.InferOutput<typeof Results>;

export function fingerprint(guard: Guard): string {
  const hash = createHash('sha256').update(JSON.stringify(guard));
  for (const path of [guard.file, guard.test]) hash.update(readFileSync(join(ROOT, path)));
  return hash.digest('hex');
}

export function readResults(): Results {
  try {
    return v.parse(Results, JSON.parse(readFileSync(PATH, 'utf8')));
  } catch {
    return {};
  }
}

export function writeResults(results: Results): void {
  mkdirSync(dirname(PATH), { recursive: true });
  writeFileSync(PATH, JSON.stringify(results));
}
