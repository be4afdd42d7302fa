/**
 * Server-sent events that say "something changed", nothing more: the page then fetches its fragment, so that rendering and permission
 * checks stay in one place. A stream compares a cheap fingerprint once a second, ends after a while (the browser opens another),
 * and an account may hold only so many.
 */
import { streamSSE } from 'hono/streaming';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { AccountContext } from './env.ts';
import { WEB_LIMITS } from './limits.ts';

const open = new Map<string, number>();

function enter(accountId: string): void {
  const held = open.get(accountId) ?? 0;
  if (held >= WEB_LIMITS.liveStreamsPerAccount)
    throw new HostError('LIMIT', 'Too many live pages are open; close some of them.');
  open.set(accountId, held + 1);
}

function leave(accountId: string): void {
  const held = open.get(accountId) ?? 0;
  if (held <= 1) open.delete(accountId);
  else open.set(accountId, held - 1);
}

/** @throws LIMIT when the account holds too many streams */
export function liveStream(c: AccountContext, fingerprint: () => Promise<string>): Response {
  // Nobody reads the stream that answers a HEAD: it would never end.
  if (c.req.method === 'HEAD') return c.body(null);
  const { accountId } = c.get('account');
  enter(accountId);
  return streamSSE(c, async (stream) => {
    try {
      const end = performance.now() + WEB_LIMITS.liveStreamMs;
      let last = await fingerprint();
      await stream.writeSSE({ event: 'ready', data: '' });
      while (!stream.aborted && performance.now() < end) {
        await stream.sleep(WEB_LIMITS.livePollMs);
        if (stream.aborted) return;
        const present = await fingerprint();
        if (present !== last) await stream.writeSSE({ event: 'changed', data: '' });
        last = present;
      }
    } finally {
      leave(accountId);
    }
  });
}
