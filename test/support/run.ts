/**
 * `npm test`: every suite, one after the other, and a closing line. Needs nothing installed by hand; what is left out for want of something
 * (a browser) is said.
 */
import { spawnSync } from 'node:child_process';

function run(name: string, command: string, args: readonly string[]): boolean {
  console.log(`\n── ${name}`);
  const startedAt = performance.now();
  const result = spawnSync(command, args, { stdio: 'inherit' });
  console.log(
    `── ${name}: ${result.status === 0 ? 'passed' : 'FAILED'} in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`,
  );
  return result.status === 0;
}

const passed = [
  run('tests', 'vitest', ['run', ...process.argv.slice(2)]),
  process.argv.length > 2 || run('demo', process.execPath, ['test/demo/main.ts']),
];
if (passed.includes(false)) process.exitCode = 1;
