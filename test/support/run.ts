/**
 * `npm test`: every suite, one after the other, and a closing line. Needs nothing installed by hand; what is left out for want of something
 * (a browser) is said.
 */
import { spawnSync } from 'node:child_process';
import { findChromium } from '../browser/support/chromium.ts';

function run(name: string, command: string, args: readonly string[]): boolean {
  console.log(`\n── ${name}`);
  const startedAt = performance.now();
  const result = spawnSync(command, args, { stdio: 'inherit' });
  console.log(
    `── ${name}: ${result.status === 0 ? 'passed' : 'FAILED'} in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`,
  );
  return result.status === 0;
}

/** The browser suite, if there is a browser; without one it is said, so that nobody takes silence for success. */
function runBrowserSuite(): boolean {
  if (findChromium() !== undefined)
    return run('browser', 'vitest', ['run', '--config', 'vitest.browser.config.ts']);
  console.log(
    '\n── browser: LEFT OUT, because no Chromium was found (apt-get install chromium, or set CHROMIUM)',
  );
  return true;
}

const chosen = process.argv.slice(2);
const passed = [
  run('tests', 'vitest', ['run', ...chosen]),
  chosen.length > 0 || run('demo', process.execPath, ['test/demo/main.ts']),
  chosen.length > 0 || runBrowserSuite(),
];
if (passed.includes(false)) process.exitCode = 1;
