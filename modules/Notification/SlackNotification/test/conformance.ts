/** What the conformance suite tries this module with: the fake cloud's incoming webhook. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const options: ConformanceOptions = {
  cloud: true,
  settings: ({ cloud }) => ({ server: cloud?.cloud ?? '', webhook_url: cloud?.slack ?? '' }),
  message: { to: '#general', subject: 'Hello', title: 'Hello', message: 'A text', type: 'info' },
};
