/**
 * One place where guards are taken away: a copy of the project, which shares what is installed, and the tests that are run in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
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
import * as v from 'valibot';
import type { Guard } from './guard.ts';
import { ROOT } from './results.ts';

const LEFT_OUT = new Set(['node_modules', '.git', '.bulkhead']);
/** A run that hangs is no answer: of one guard's tests, and of all. */
const RUN_MS = 240_000;
const ALL_MS = 30 * 60_000;

const Report = v.object({
  testResults: v.array(
    v.object({
      name: v.string(),
      assertionResults: v.array(v.object({ fullName: v.string(), status: v.string() })),
    }),
  ),
});

export interface Seen {
  readonly file: string;
  readonly fullName: string;
  readonly passed: boolean;
}

const literally = (text: string): string => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');

export class Copy implements AsyncDisposable {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), 'bulkhead-guards-')));

  #running: ChildProcess | undefined;

  constructor() {
    cpSync(ROOT, this.#folder, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    if (running !== undefined) {
      const ended = once(running, 'exit');
      running.kill();
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs what the guards name, all of it at once. A run that ends without a report, or before any test began (a machine under load), is tried once more. */
  async run(guards: readonly Guard[], again = true): Promise<readonly Seen[]> {
    if (guards.length === 0) return [];
    const output = join(this.#folder, 'report.json');
    rmSync(output, { force: true });
    const files = [...new Set(guards.map(({ test }) => test))];
    const only = guards.some((guard) => guard.only === '')
      ? []
      : ['-t', [...new Set(guards.map((guard) => literally(guard.only)))].join('|')];
    const bail = guards.length === 1 ? ['--bail=1'] : [];
    const timeout = guards.length === 1 ? RUN_MS : ALL_MS;
    const args = ['run', ...files, '--reporter=json', `--outputFile=${output}`, ...bail, ...only];
    const child = spawn('vitest', args, { cwd: this.#folder, stdio: 'ignore', timeout });
    this.#running = child;
    await once(child, 'exit');
    this.#running = undefined;
    const seen = existsSync(output) ? this.#read(output) : [];
    if (seen.length > 0 || (!again && existsSync(output))) return seen;
    if (again) return this.run(guards, false);
    throw new Error(`vitest ${args.join(' ')} gave no report`);
  }

  /** Runs a guard's tests without it. Null if one of them failed, else what came instead. */
  async misses(guard: Guard): Promise<string | null> {
    const path = join(this.#folder, guard.file);
    const original = readFileSync(path, 'utf8');
    // By a function: the replacement may hold a $.
    writeFileSync(
      path,
      original.replace(guard.text, () => guard.instead),
    );
    try {
      const seen = await this.run([guard]);
      if (seen.length === 0) return 'nothing runs without it';
      return seen.some(({ passed }) => !passed) ? null : 'no test misses it';
    } finally {
      writeFileSync(path, original);
    }
  }

  #read(output: string): readonly Seen[] {
    const { testResults } = v.parse(Report, JSON.parse(readFileSync(output, 'utf8')));
    return testResults.flatMap(({ name, assertionResults }) =>
      assertionResults
        .filter(({ status }) => status === 'passed' || status === 'failed')
        .map(({ fullName, status }) => ({
          file: name.slice(this.#folder.length + 1),
          fullName,
          passed: status === 'passed',
        })),
    );
  }
}
