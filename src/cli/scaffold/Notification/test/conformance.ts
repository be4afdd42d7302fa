/** What the conformance suite tries this module with: a chat server that is played on loopback. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const MESSAGE = {
  to: '#general',
  subject: 'Hello',
  message: 'A long text',
  text_mini: 'A text',
  type: 'info',
};

export const options: ConformanceOptions = {
  api: ({ path }) => (path === '/messages' ? { status: 200, json: { ok: true } } : undefined),
  settings: ({ api }) => ({ server: api?.origin ?? '' }),
  message: MESSAGE,
};
