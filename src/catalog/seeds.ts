/** The root of each invocation's randomness. */
import { createDraw } from '../secrets/draw.ts';

const SEED_BYTES = 32;
const draw = createDraw(SEED_BYTES);

/** 32 random bytes as base64; no two alike. */
export function newSeed(): string {
  return draw().toString('base64');
}
