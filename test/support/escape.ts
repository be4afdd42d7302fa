/**
 * `npm run test:escape`: every attack there is, and closing tables: by class how many were tried, how many were contained, and how often
 * the process that stands for the server went down meanwhile, which has to be never; and of the guards, how many were taken away and missed
 * by their tests. One guard of each part is taken away now; what `npm run test:guards` saw of the others counts until it changes.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { GUARD_AREAS } from '../guards/guards.ts';
import { fingerprint, readResults } from '../guards/results.ts';

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

function guardTable(): string {
  const seen = new Map(Object.entries(readResults()));
  const rows = GUARD_AREAS.map(({ area, guards }) => {
    const known = guards
      .map((guard) => seen.get(fingerprint(guard)))
      .filter((verdict) => verdict !== undefined);
    return {
      area,
      guards: guards.length,
      mutated: known.length,
      caught: known.filter((wrong) => wrong === null).length,
    };
  });
  const sum = (pick: (row: (typeof rows)[number]) => number): number =>
    rows.reduce((total, row) => total + pick(row), 0);
  const line = (name: string, ...cells: (string | number)[]): string =>
    `${name.padEnd(12)}${cells.map((cell) => String(cell).padStart(10)).join('')}`;
  return [
    line('guards of', 'guards', 'mutated', 'caught'),
    ...rows.map((row) => line(row.area, row.guards, row.mutated, row.caught)),
    line(
      'all',
      sum((row) => row.guards),
      sum((row) => row.mutated),
      sum((row) => row.caught),
    ),
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
  const whole = process.argv.length === 2;
  const sample = whole
    ? spawnSync(process.execPath, ['test/guards/main.ts', '--sample', '--resume'], { stdio: 'inherit' })
    : undefined;
  if (sample !== undefined && sample.status !== 0) process.exitCode = 1;
  const restarts = rows.reduce((sum, row) => sum + row.restarts, 0);
  process.stdout.write(`\n${table(rows)}\n\n${guardTable()}\n\nserver restarts ${restarts}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
