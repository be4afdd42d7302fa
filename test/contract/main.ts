/**
 * `npm run contract`: each row of the module guide with the tests that show it or the recorded reason why we differ. Runs the files in which
 * a test's title names rows, whole: a test may build on the ones before it. Ends with 1 while a row is open, a title names no row, or a named test failed or did not run.
 *
 *     npm run contract                     every row
 *     npm run contract -- --list open      only rows that are open (or: shown, differs)
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import {
  closingLine,
  idsNamed,
  joinRows,
  type Ran,
  readDifferences,
  readRows,
  type Row,
  type Settled,
} from './rows.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROWS = 'test/contract/guide-rows.tsv';
const DIFFERENCES = 'docs/modules/differences.tsv';
/** The command's own tests name rows that are made up. */
const OWN_TESTS = 'test/contract/rows.test.ts';

const Output = v.object({
  testResults: v.array(
    v.object({
      name: v.string(),
      status: v.string(),
      message: v.optional(v.string(), ''),
      assertionResults: v.array(v.object({ fullName: v.string(), status: v.string() })),
    }),
  ),
});
type Output = v.InferOutput<typeof Output>;

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The test files that name rows, with the ids that stand in each. */
function namingFiles(): Map<string, string[]> {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT }).filter((file) => file !== OWN_TESTS);
  const named = files.map((file): [string, string[]] => [file, idsNamed(read(file))]);
  return new Map(named.filter(([, ids]) => ids.length > 0).toSorted(([a], [b]) => a.localeCompare(b)));
}

function runTests(files: readonly string[]): Output {
  if (files.length === 0) return { testResults: [] };
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-contract-'));
  try {
    const output = join(folder, 'report.json');
    const args = ['run', ...files, '--reporter=json', `--outputFile=${output}`];
    spawnSync('vitest', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    if (!existsSync(output)) throw new Error('vitest gave no report');
    return v.parse(Output, JSON.parse(readFileSync(output, 'utf8')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ranOf(output: Output): Ran[] {
  return output.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ fullName }) => idsNamed(fullName).length > 0)
      .map(({ fullName, status }) => ({
        file: relative(ROOT, name),
        title: fullName,
        passed: status === 'passed',
      })),
  );
}

/** A test that is meant to fail shows nothing, yet the reporter calls it passed. */
function meantToFail(files: readonly string[]): string[] {
  return files.flatMap((file) =>
    read(file)
      .split('\n')
      .filter((line) => /\.fails\b/.test(line) && idsNamed(line).length > 0)
      .map((line) => `${file} names rows in a test that is meant to fail: ${line.trim()}`),
  );
}

function line(row: Row, settled: Settled): string {
  const code = row.codes.length === 0 ? '' : ` (${row.codes.join(' ')})`;
  const head = `${row.id}  ${row.item}${code}`;
  if (settled.kind === 'open') return `${head}\n        ✗ open · ${row.place}`;
  const tests = settled.tests.map(({ file, title }) => `\n        ✓ ${file}: ${title}`).join('');
  if (settled.kind === 'shown') return `${head}${tests}`;
  return `${head}\n        ≠ ${settled.difference.reason} (${settled.difference.decision})${tests}`;
}

const { values } = parseArgs({ options: { list: { type: 'string' } } });
const rows = readRows(read(ROWS));
const codes = new Set(rows.flatMap((row) => row.codes));
const written = namingFiles();
const output = runTests([...written.keys()]);
const report = joinRows({
  rows,
  differences: readDifferences(read(DIFFERENCES)),
  ran: ranOf(output),
  written,
  isDecision: (decision) =>
    codes.has(decision) || (decision.startsWith('docs/') && existsSync(join(ROOT, decision))),
});
for (const { row, settled } of report.rows)
  if (values.list === undefined || values.list === settled.kind) console.log(line(row, settled));
const broken = output.testResults.filter(({ assertionResults }) => assertionResults.length === 0);
const faults = [
  ...report.faults,
  ...meantToFail([...written.keys()]),
  ...broken.map(({ name, message }) => `${relative(ROOT, name)} could not be loaded: ${message}`),
];
for (const fault of faults) console.log(`! ${fault}`);
console.log(closingLine(report));
if (faults.length > 0 || report.rows.some(({ settled }) => settled.kind === 'open')) process.exitCode = 1;
