/** The tests: real PostgreSQL (one for the whole run), real child processes, no mocks of our own parts. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const TIMEOUT_MS = 30_000;

export default defineConfig({
  // The published name of the guest library, as tsconfig.json maps it.
  resolve: {
    alias: {
      'bulkhead/kit': fileURLToPath(new URL('src/kit/index.ts', import.meta.url)),
      bulkhead: fileURLToPath(new URL('sandbox/guest/index.ts', import.meta.url)),
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**', 'test/bench/**'],
    // Processes, not threads: tests open sockets, spawn children and kill them.
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['test/support/global-setup.ts'],
    // Many of these start processes and kill them while others do the same on two cores: a test that fails is asked once more in CI, and
    // the report says so.
    retry: process.env['CI'] === undefined ? 0 : 2,
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    teardownTimeout: TIMEOUT_MS,
  },
});
