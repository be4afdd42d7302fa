/** cache: values that may be lost at any time, each installation's own, by key and tag, until they expire. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

const Key = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const Tags = v.optional(
  v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(100))), v.maxLength(10)),
  [],
);

export const cache = capability({
  title: 'Cache',
  doc: 'Keep results for a while instead of asking again.',
  icon: 'bolt',
  inherent: false,
  grant: {
    mb: {
      sort: 'amount',
      doc: 'How much may be kept at once.',
      risk: 'low',
      unit: 'MB',
      fallback: 5,
      max: 100,
      words: (n: number) => `Keep up to ${n} MB of results for a while.`,
    },
  },
  ops: {
    get: op(
      'A value that has not expired.',
      v.object({ key: Key }),
      v.object({ found: v.boolean(), value: v.unknown() }),
    ),
    put: op(
      'Keeps a value for some seconds; LIMIT when the granted space is full.',
      v.object({
        key: Key,
        value: v.unknown(),
        seconds: v.pipe(v.number(), v.minValue(1), v.maxValue(LIMITS.cacheSeconds)),
        tags: Tags,
      }),
      v.object({}),
    ),
    forget: op('Drops one key.', v.object({ key: Key }), v.object({})),
    flush: op(
      'Drops all that carries any of the tags; without tags, everything.',
      v.object({ tags: Tags }),
      v.object({ dropped: v.number() }),
    ),
  },
});
