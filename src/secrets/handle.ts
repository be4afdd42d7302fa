/**
 * A handle is the opaque text a module holds in place of a secret. It is made of letters and digits only, so that it survives being
 * joined into a header, a URL or JSON, and its length is fixed, so that it is found again wherever the module put it.
 */
import { randomBytes } from 'node:crypto';

const RANDOM_BYTES = 20;

/** Every handle within a text; a new object each time, since a global pattern remembers where it stopped. */
export function handlePattern(): RegExp {
  return /bhs_[0-9a-f]{40}/g;
}

export function newHandle(): string {
  return `bhs_${randomBytes(RANDOM_BYTES).toString('hex')}`;
}

/** The handles in a text, each once. */
export function handlesIn(text: string): readonly string[] {
  return [...new Set(text.match(handlePattern()) ?? [])];
}
