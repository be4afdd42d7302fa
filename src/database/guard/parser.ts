/**
 * PostgreSQL's parser in WebAssembly, loaded once. V8 would soon compile its huge functions a second time, optimised, and take more
 * than half a gigabyte for a second while it does (measured: peak 630 MB with it, 70 MB without; 0.05 and 0.08 ms a statement). V8
 * decides that for a function when it is first called, so the large ones are called once with it switched off.
 */
import { setFlagsFromString } from 'node:v8';
import { loadModule, parseSync } from 'libpg-query';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import { refused } from './refusal.ts';
import { isTree } from './tree.ts';
import type { Tree } from './tree.ts';

const OPTIMISING = ['wasm-tier-up', 'wasm-dynamic-tiering'];

for (const flag of OPTIMISING) setFlagsFromString(`--no-${flag}`);
await loadModule();
parseSync('insert into a (b) select c from d where e = $1 on conflict do nothing');
for (const flag of OPTIMISING) setFlagsFromString(`--${flag}`);

/**
 * The parse tree of a text that checkText() let through.
 * @throws HostError DB_REFUSED with PostgreSQL's own words for what is no SQL
 */
export function parseText(sql: string): Tree {
  try {
    const parsed: unknown = parseSync(sql);
    if (isTree(parsed)) return parsed;
  } catch (cause) {
    const reason =
      cause instanceof Error && !(cause instanceof RangeError) ? cause.message : 'it is nested too deeply';
    throw new HostError('DB_REFUSED', `db: the statement cannot be read: ${reason}.`, { cause });
  }
  throw refused('an empty statement', 'Write one statement.');
}
