/**
 * `npm run test:guards`: takes each guard away in a copy of the project and wants to see its test fail there, after having seen it pass.
 * Names as arguments run a part: `npm run test:guards -- network`. Takes some minutes, so it is no part of `npm test`.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { type Guard, GUARDS } from './guards.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEFT_OUT = new Set(['node_modules', '.git', '.bulkhead']);
const Report = v.object({ numPassedTests: v.number(), numFailedTests: v.number() });
type Report = v.InferOutput<typeof Report>;

/** A copy of the project, which shares what is installed. */
function copyProject(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bulkhead-guards-')));
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Runs the guard's test in the copy. A run that ends without a report (a machine under load) is tried once more. */
function runTests(folder: string, guard: Guard, again = true): Report {
  const output = join(folder, 'report.json');
  rmSync(output, { force: true });
  const only = guard.only === '' ? [] : ['-t', guard.only];
  const { stderr } = spawnSync(
    'vitest',
    ['run', guard.test, '--reporter=json', `--outputFile=${output}`, ...only],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
  );
  if (existsSync(output)) return v.parse(Report, JSON.parse(readFileSync(output, 'utf8')));
  if (again) return runTests(folder, guard, false);
  throw new Error(`${guard.test} gave no report: ${stderr}`);
}

/** Undefined if the guard is watched; else what is wrong. */
function verdict(folder: string, guard: Guard, passing: Map<string, Report>): string | undefined {
  const path = join(folder, guard.file);
  const original = readFileSync(path, 'utf8');
  const found = original.split(guard.text).length - 1;
  if (found !== 1) return `its text stands ${found} times in ${guard.file}`;
  const key = `${guard.test} ${guard.only}`;
  const before = passing.get(key) ?? runTests(folder, guard);
  passing.set(key, before);
  if (before.numFailedTests > 0) return 'its test fails with the guard in place';
  if (before.numPassedTests === 0) return `no test is named “${guard.only}”`;
  // By a function: the replacement may hold a $.
  writeFileSync(
    path,
    original.replace(guard.text, () => guard.instead),
  );
  try {
    return runTests(folder, guard).numFailedTests > 0 ? undefined : 'no test misses it';
  } finally {
    writeFileSync(path, original);
  }
}

const wanted = process.argv.slice(2);
const guards = GUARDS.filter(
  (guard) => wanted.length === 0 || wanted.some((part) => `${guard.name} ${guard.file}`.includes(part)),
);
const folder = copyProject();
const unwatched: string[] = [];
try {
  const passing = new Map<string, Report>();
  for (const guard of guards) {
    const startedAt = performance.now();
    const wrong = verdict(folder, guard, passing);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
    if (wrong !== undefined) unwatched.push(guard.name);
    process.stdout.write(
      `${wrong === undefined ? 'watched  ' : 'UNWATCHED'} ${guard.name.padEnd(48)} ${basename(guard.test, '.test.ts').padEnd(20)} ${seconds} s${wrong === undefined ? '' : `  ${wrong}`}\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(
  `\n${guards.length} guards, ${guards.length - unwatched.length} watched, ${unwatched.length} not\n`,
);
if (unwatched.length > 0) process.exitCode = 1;
