/** The number of a request, shown on its error page and written to the log beside the cause. Drawn when somebody asks: few requests fail. */
import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import type { RootEnv } from './env.ts';

const CHARACTERS = 12;

export function requestIdOf<E extends RootEnv>(c: Context<E>): string {
  const known = c.get('requestId');
  if (known !== undefined) return known;
  // From what Node keeps ready; the last part is 48 random bits.
  const id = randomUUID().slice(-CHARACTERS);
  c.set('requestId', id);
  return id;
}
