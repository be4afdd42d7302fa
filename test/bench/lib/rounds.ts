/** Rounds until enough of them were quiet, or until there were too many: then all count and the result says so. */
import { watched } from './noise.ts';

export interface RoundsHow {
  readonly wanted: number;
  readonly most: number;
  readonly say: (line: string) => void;
}

export interface Rounds<T> {
  readonly values: readonly T[];
  readonly dropped: number;
  /** True if noisy rounds had to be used. */
  readonly noisy: boolean;
}

export async function rounds<T>(how: RoundsHow, measure: (round: number) => Promise<T>): Promise<Rounds<T>> {
  const quiet: T[] = [];
  const all: T[] = [];
  while (quiet.length < how.wanted && all.length < how.most) {
    const { value, noise } = await watched(() => measure(all.length));
    all.push(value);
    if (noise === undefined) quiet.push(value);
    else how.say(`  round ${all.length} dropped: ${noise}`);
  }
  const dropped = all.length - quiet.length;
  // One quiet round is no median: then the noisy ones are better than nothing, and said to be so.
  return quiet.length >= Math.min(2, how.wanted)
    ? { values: quiet, dropped, noisy: false }
    : { values: all, dropped, noisy: true };
}
