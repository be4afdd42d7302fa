/** The browser suite: the real host with its demo, driven by a Chromium that is on the machine. One host and one browser a file. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const TEST_MS = 60_000;
const HOOK_MS = 90_000;

export default defineConfig({
  resolve: { alias: { bulkhead: fileURLToPath(new URL('sandbox/guest/index.ts', import.meta.url)) } },
  test: {
    include: ['test/browser/**/*.test.ts'],
    // The demo prints its logins at each start.
    silent: 'passed-only',
    pool: 'forks',
    maxWorkers: 2,
    // As in vitest.config.ts.
    retry: process.env['CI'] === undefined ? 0 : 2,
    testTimeout: TEST_MS,
    hookTimeout: HOOK_MS,
    teardownTimeout: HOOK_MS,
  },
});
