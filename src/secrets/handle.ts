/** Making handles, and finding them in what a module sends. */
import { randomBytes } from 'node:crypto';
import { HANDLE_RANDOM_BYTES, handleOf, handlePattern } from '../../sandbox/contract/secret-handle.ts';

export function newHandle(): string {
  return handleOf(randomBytes(HANDLE_RANDOM_BYTES).toString('hex'));
}

/** The handles in a text, each once. */
export function handlesIn(text: string): readonly string[] {
  return [...new Set(text.match(handlePattern()) ?? [])];
}
