/**
 * The root of each invocation's randomness: 32 bytes of the system's generator, drawn for many invocations at once, since asking costs
 * more than the bytes. What was given out is overwritten.
 */
import { randomFillSync } from 'node:crypto';

const SEED_BYTES = 32;
const SEEDS_DRAWN = 256;

const drawn = Buffer.alloc(SEED_BYTES * SEEDS_DRAWN);
let used = drawn.length;

/** 32 random bytes as base64; no two alike. */
export function newSeed(): string {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const seed = drawn.toString('base64', used, used + SEED_BYTES);
  drawn.fill(0, used, used + SEED_BYTES);
  used += SEED_BYTES;
  return seed;
}
