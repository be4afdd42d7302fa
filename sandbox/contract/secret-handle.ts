/**
 * A handle is the opaque text a module holds in place of a secret. It is made of letters and digits only, so that it survives being
 * joined into a header, a URL or JSON, and its length is fixed, so that it is found again wherever the module put it. What one looks like
 * stands here and nowhere else: the host makes and replaces them, the guest lets an address begin with one.
 */

const PREFIX = 'bhs_';
export const HANDLE_RANDOM_BYTES = 20;
const PATTERN = `${PREFIX}[0-9a-f]{${HANDLE_RANDOM_BYTES * 2}}`;

/** A text that begins with one. */
export const HANDLE_AT_START = new RegExp(`^${PATTERN}`);

/** Every handle within a text; a new object each time, since a global pattern remembers where it stopped. */
export function handlePattern(): RegExp {
  return new RegExp(PATTERN, 'g');
}

/** @param random HANDLE_RANDOM_BYTES of them, in hexadecimal */
export function handleOf(random: string): string {
  return PREFIX + random;
}
