/** Numbers and passwords from an invocation's own secure randomness, without modulo bias. */

export type RandomBytes = (length: number) => Uint8Array;

const DRAWN_VALUES = 0x1_0000_0000;
/** Without the letters and digits that are taken for one another. */
const SETS = ['abcdefghijkmnpqrstuvwxyz', 'ABCDEFGHJKLMNPQRSTUVWXYZ', '23456789'] as const;
const ALL = SETS.join('');

/** A whole number from min to max, both included. @throws RangeError for bounds that are no whole numbers, or too far apart */
export function randomInt(randomBytes: RandomBytes, min: number, max: number): number {
  const range = max - min + 1;
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || range < 1 || range > DRAWN_VALUES)
    throw new RangeError(
      'randomInt: two whole numbers are expected, the lower one first, at most 2^32 apart.',
    );
  const ceiling = Math.floor(DRAWN_VALUES / range) * range;
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
    const drawn = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (drawn < ceiling) return min + (drawn % range);
  }
}

/** A password with lower case, upper case and digits in it. */
export function strongPassword(randomBytes: RandomBytes, length: number): string {
  const letters = Array.from({ length: Math.max(length, SETS.length) }, (_, index) => {
    const set = SETS[index] ?? ALL;
    return set[randomInt(randomBytes, 0, set.length - 1)] ?? '';
  });
  for (let index = letters.length - 1; index > 0; index--) {
    const other = randomInt(randomBytes, 0, index);
    [letters[index], letters[other]] = [letters[other] ?? '', letters[index] ?? ''];
  }
  return letters.join('');
}
