/**
 * `npm run test:escape`: every attack there is, and a closing table by class: how many were tried, how many were contained, and how
 * often the process that stands for the server went down meanwhile, which has to be never.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as v from 'valibot';

const Report = v.object({
  testResults: v.array(
    v.object({
      name: v.string(),
      status: v.string(),
      message: v.optional(v.string(), ''),
      assertionResults: v.array(v.object({ status: v.string() })),
    }),
  ),
});
type File = v.InferOutput<typeof Report>['testResults'][number];

interface Row {
  readonly name: string;
  readonly tried: number;
  readonly contained: number;
  readonly restarts: number;
}

function rowOf({ name, status, assertionResults }: File): Row {
  const run = assertionResults.filter((result) => result.status === 'passed' || result.status === 'failed');
  return {
    name: basename(name, '.test.ts').replace('-', ': ').replaceAll('-', ' '),
    tried: run.length,
    contained: run.filter((result) => result.status === 'passed').length,
    // Each file's tests run in a process of their own with the host in it; without a verdict on any test, that process was lost.
    restarts: status === 'failed' && run.every((result) => result.status === 'passed') ? 1 : 0,
  };
}

function table(rows: readonly Row[]): string {
  const total = rows.reduce(
    (sum, row) => ({
      name: 'all',
      tried: sum.tried + row.tried,
      contained: sum.contained + row.contained,
      restarts: sum.restarts + row.restarts,
    }),
    { name: 'all', tried: 0, contained: 0, restarts: 0 },
  );
  const width = Math.max(...rows.map((row) => row.name.length), 5) + 2;
  const line = (name: string, ...cells: (string | number)[]): string =>
    `${name.padEnd(width)}${cells.map((cell) => String(cell).padStart(10)).join('')}`;
  return [
    line('class', 'tried', 'contained', 'restarts'),
    ...rows.map((row) => line(row.name, row.tried, row.contained, row.restarts)),
    line(total.name, total.tried, total.contained, total.restarts),
  ].join('\n');
}

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-escape-'));
const output = join(folder, 'report.json');
try {
  const { status } = spawnSync(
    'vitest',
    [
      'run',
      'test/escape',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${output}`,
      ...process.argv.slice(2),
    ],
    { stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
  const { testResults } = v.parse(Report, JSON.parse(readFileSync(output, 'utf8')));
  const rows = testResults.map(rowOf).sort((a, b) => a.name.localeCompare(b.name));
  process.stdout.write(`\n${table(rows)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
