/**
 * The rows of the module guide against the tests that name them: what `npm run contract` counts. A test names rows in its title, as
 * `[MC-05 MC-09]` or `[WF-06..WF-23]`, and shows them only if it ran and passed. A contract code such as `(A18)` in a title is for the
 * reader and settles no row, since a code covers rows that no single test shows.
 */

/** One item of the guide. */
export interface Row {
  readonly id: string;
  readonly item: string;
  readonly place: string;
  readonly codes: readonly string[];
}

/** Where we do otherwise than the guide on purpose. */
export interface Difference {
  readonly id: string;
  /** A code of the contract (A07) or a file under docs/. */
  readonly decision: string;
  readonly reason: string;
}

/** A test that ran, as the reporter tells it. */
export interface Ran {
  readonly file: string;
  readonly title: string;
  readonly passed: boolean;
}

export type Settled =
  | { readonly kind: 'shown'; readonly tests: readonly Ran[] }
  | { readonly kind: 'differs'; readonly difference: Difference; readonly tests: readonly Ran[] }
  | { readonly kind: 'open' };

export interface Report {
  readonly rows: readonly { readonly row: Row; readonly settled: Settled }[];
  /** What makes the command fail beside open rows. */
  readonly faults: readonly string[];
}

const ID = '[A-Z]{2,3}-[0-9]{2}';
const NAMED = new RegExp(`\\[(${ID}(?:\\.\\.${ID})?(?: ${ID}(?:\\.\\.${ID})?)*)\\]`, 'g');

/** A table with a heading, cell by cell. @throws Error if a line has more or fewer cells than the heading */
export function readTable(text: string): string[][] {
  const [heading = '', ...lines] = text.split('\n').filter((line) => line !== '');
  const width = heading.split('\t').length;
  return lines.map((line) => {
    const cells = line.split('\t');
    if (cells.length !== width) throw new Error(`a line has ${cells.length} cells, not ${width}: ${line}`);
    return cells;
  });
}

export function readRows(text: string): Row[] {
  return readTable(text).map(([id = '', item = '', place = '', codes = '']) => ({
    id,
    item,
    place,
    codes: codes.split(' ').filter((code) => code !== ''),
  }));
}

export function readDifferences(text: string): Difference[] {
  return readTable(text).map(([id = '', decision = '', reason = '']) => ({ id, decision, reason }));
}

/** The ids that a text names; a range counts through the numbers of one chapter. Ids of no row stay in: they are a fault. */
export function idsNamed(text: string): string[] {
  return [...text.matchAll(NAMED)].flatMap(([, list = '']) => list.split(' ').flatMap(spread));
}

function spread(part: string): string[] {
  const [from = '', to] = part.split('..');
  if (to === undefined) return [from];
  const chapter = from.slice(0, -3);
  const [first, last] = [Number(from.slice(-2)), Number(to.slice(-2))];
  // A range over two chapters, or backwards, names no row: it is told as such.
  if (to.slice(0, -3) !== chapter || last < first) return [part];
  return Array.from(
    { length: last - first + 1 },
    (_, index) => `${chapter}-${String(first + index).padStart(2, '0')}`,
  );
}

function differenceFaults(
  differences: readonly Difference[],
  known: ReadonlySet<string>,
  isDecision: (decision: string) => boolean,
): string[] {
  const seen = new Set<string>();
  return differences.flatMap(({ id, decision, reason }) => {
    const twice = seen.has(id);
    seen.add(id);
    return [
      ...(known.has(id) ? [] : [`differences.tsv names ${id}, which is no row`]),
      ...(twice ? [`differences.tsv names ${id} twice`] : []),
      ...(reason.length >= 20 ? [] : [`differences.tsv gives no reason for ${id}`]),
      ...(isDecision(decision) ? [] : [`differences.tsv: ${id}: there is no decision “${decision}”`]),
    ];
  });
}

/**
 * @param written ids that the sources of the tests name, by file: each must have run
 * @param isDecision whether a difference's decision is one
 */
export function joinRows(input: {
  readonly rows: readonly Row[];
  readonly differences: readonly Difference[];
  readonly ran: readonly Ran[];
  readonly written: ReadonlyMap<string, readonly string[]>;
  readonly isDecision: (decision: string) => boolean;
}): Report {
  const known = new Set(input.rows.map(({ id }) => id));
  const tests = new Map<string, Ran[]>();
  for (const test of input.ran)
    for (const id of new Set(idsNamed(test.title))) tests.set(id, [...(tests.get(id) ?? []), test]);
  const differences = new Map(input.differences.map((difference) => [difference.id, difference]));
  const faults = [
    ...[...tests].flatMap(([id, naming]) =>
      known.has(id) ? [] : naming.map(({ file, title }) => `${file} names ${id}, which is no row: ${title}`),
    ),
    ...[...new Set([...tests.values()].flat())]
      .filter(({ passed }) => !passed)
      .map(({ file, title }) => `${file}: failed or did not run: ${title}`),
    ...[...input.written].flatMap(([file, ids]) =>
      [...new Set(ids)]
        .filter((id) => tests.get(id)?.some((test) => test.file === file) !== true)
        .map((id) => `${file} names ${id}, and no test of it that names the row ran`),
    ),
    ...differenceFaults(input.differences, known, input.isDecision),
  ];
  return {
    rows: input.rows.map((row) => ({
      row,
      settled: settle(tests.get(row.id) ?? [], differences.get(row.id)),
    })),
    faults,
  };
}

/** A row is shown only if every test that names it passed. */
function settle(tests: readonly Ran[], difference: Difference | undefined): Settled {
  const passed = tests.every((test) => test.passed);
  if (difference !== undefined && passed) return { kind: 'differs', difference, tests };
  return tests.length > 0 && passed ? { kind: 'shown', tests } : { kind: 'open' };
}

export function closingLine({ rows }: Report): string {
  const count = (kind: Settled['kind']): number => rows.filter(({ settled }) => settled.kind === kind).length;
  return `${rows.length} rows: ${count('shown')} shown by tests, ${count('differs')} differ for a recorded reason, ${count('open')} open`;
}
