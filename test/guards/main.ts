/**
 * `npm run test:guards`: takes each guard away in a copy of the project and wants to see its test fail there, after having seen it pass.
 * Words as arguments run a part (`npm run test:guards -- network`); `--resume` leaves out what was seen before and has not changed since;
 * `--sample` takes one guard of each part of the system; `--write` only writes docs/threats.md. Takes some minutes, so it is no part of `npm test`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Copy, type Seen } from './attempt.ts';
import type { Guard } from './guard.ts';
import { GUARD_AREAS, GUARDS } from './guards.ts';
import { renderMatrix } from './matrix.ts';
import { fingerprint, readResults, ROOT, writeResults } from './results.ts';

const WORKERS = 2;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function belongs(seen: Seen, guard: Guard): boolean {
  return seen.file === guard.test && seen.fullName.includes(guard.only);
}

/** What is wrong before anything is taken away. */
function wrongAtFirst(guard: Guard, seen: readonly Seen[]): string | undefined {
  const found = readFileSync(join(ROOT, guard.file), 'utf8').split(guard.text).length - 1;
  if (found !== 1) return `its text stands ${found} times in ${guard.file}`;
  const own = seen.filter((test) => belongs(test, guard));
  if (own.length === 0) return `no test is named “${guard.only}”`;
  if (own.some(({ passed }) => !passed)) return 'its test fails with the guard in place';
  return undefined;
}

async function verdict(copy: Copy, guard: Guard, seen: readonly Seen[]): Promise<string | null> {
  const wrong = wrongAtFirst(guard, seen) && wrongAtFirst(guard, await copy.run([guard]));
  if (wrong !== undefined) return wrong;
  return copy.misses(guard);
}

function tell(guard: Guard, wrong: string | null, seconds: number, left: number): void {
  const text = wrong === null ? '' : `  ${wrong}`;
  say(
    `${wrong === null ? 'caught' : 'NOT   '}  ${guard.name.padEnd(52)} ${basename(guard.test, '.test.ts').padEnd(20)} ${seconds.toFixed(0)} s, ${left} left${text}`,
  );
}

/** As they were when this run began, whatever is edited meanwhile. */
const known = new Map(GUARDS.map((guard) => [guard, fingerprint(guard)]));

function of(guard: Guard): string {
  return known.get(guard) ?? '';
}

/** Guards are taken by whichever copy is free. */
async function tryAll(guards: readonly Guard[], results: Map<string, string | null>): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const copies = Array.from({ length: Math.min(WORKERS, guards.length) }, () => undo.use(new Copy()));
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void undo.disposeAsync().then(() => process.exit(130)));
  const [first] = copies;
  if (first === undefined) return;
  // Apart: with a file that is run whole, all others would be too.
  const [whole, parts] = [guards.filter(({ only }) => only === ''), guards.filter(({ only }) => only !== '')];
  const seen = [...(await first.run(whole)), ...(await first.run(parts))];
  say(`${seen.length} tests pass or fail with all guards in place`);
  const waiting = [...guards];
  const work = async (copy: Copy): Promise<void> => {
    for (let guard = waiting.shift(); guard !== undefined; guard = waiting.shift()) {
      const startedAt = performance.now();
      const wrong = await verdict(copy, guard, seen);
      results.set(of(guard), wrong);
      writeResults(Object.fromEntries(results));
      tell(guard, wrong, (performance.now() - startedAt) / 1_000, waiting.length);
    }
  };
  await Promise.all(copies.map(work));
}

function closingTable(guards: readonly Guard[], results: ReadonlyMap<string, string | null>): string {
  const rows = GUARD_AREAS.map(({ area, guards: all }) => {
    const own = all.filter((guard) => guards.includes(guard));
    const caught = own.filter((guard) => results.get(of(guard)) === null);
    return { area, mutated: own.length, caught: caught.length };
  });
  const total = { area: 'all', mutated: 0, caught: 0 };
  for (const row of rows) {
    total.mutated += row.mutated;
    total.caught += row.caught;
  }
  return [{ area: 'guards', mutated: 'mutated', caught: 'caught' }, ...rows, total]
    .map(
      ({ area, mutated, caught }) =>
        `${area.padEnd(12)}${String(mutated).padStart(10)}${String(caught).padStart(10)}`,
    )
    .join('\n');
}

const words = process.argv.slice(2);
if (words.includes('--write')) {
  writeFileSync(join(ROOT, 'docs', 'threats.md'), renderMatrix());
} else {
  const parts = words.filter((word) => !word.startsWith('--'));
  const offered = words.includes('--sample')
    ? GUARD_AREAS.flatMap((area) => area.guards.slice(0, 1))
    : GUARDS;
  const guards = offered.filter(
    (guard) => parts.length === 0 || parts.some((part) => `${guard.name} ${guard.file}`.includes(part)),
  );
  const results = new Map(Object.entries(readResults()));
  const resume = words.includes('--resume');
  const todo = guards.filter((guard) => !(resume && results.get(of(guard)) === null));
  say(`${guards.length} guards, ${todo.length} to try`);
  await tryAll(todo, results);
  say(`\n${closingTable(guards, results)}`);
  if (guards.some((guard) => results.get(of(guard)) !== null)) process.exitCode = 1;
}
