import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { closingLine, idsNamed, joinRows, readDifferences, readRows, type Ran, type Row } from './rows.ts';

const ROWS: Row[] = ['AA-01', 'AA-02', 'BB-01'].map((id) => ({ id, item: id, place: '', codes: [] }));

function ran(title: string, passed = true): Ran {
  return { file: 'a.test.ts', title, passed };
}

function joined(tests: readonly Ran[], differences = '', written: readonly string[] = []) {
  return joinRows({
    rows: ROWS,
    differences: readDifferences(`id\tdecision\treason\n${differences}`),
    ran: tests,
    written: new Map([['a.test.ts', written]]),
    isDecision: (decision) => decision === 'A01',
  });
}

function kinds(report: ReturnType<typeof joinRows>): string[] {
  return report.rows.map(({ settled }) => settled.kind);
}

describe('a title', () => {
  it.each([
    ['does it [AA-01]', ['AA-01']],
    ['does both [AA-01 BB-01] and [AA-02]', ['AA-01', 'BB-01', 'AA-02']],
    ['counts through [AA-09..AA-11 BBB-01]', ['AA-09', 'AA-10', 'AA-11', 'BBB-01']],
    ['shows a code (A18), a list [1 2] and [aa-01]', []],
    ['has a range that is none [AA-02..BB-01]', ['AA-02..BB-01']],
    ['has a range backwards [AA-02..AA-01]', ['AA-02..AA-01']],
  ])('%s', (title, ids) => {
    expect(idsNamed(title)).toEqual(ids);
  });
});

describe('a row', () => {
  it('is shown by tests that passed, differs where that is recorded, and is open else', () => {
    const report = joined([ran('a [AA-01]')], 'AA-02\tA01\tFor a reason that is long enough');
    expect(kinds(report)).toEqual(['shown', 'differs', 'open']);
    expect(report.faults).toEqual([]);
    expect(closingLine(report)).toBe('3 rows: 1 shown by tests, 1 differ for a recorded reason, 1 open');
  });

  it('is open if one of its tests failed or did not run, recorded difference or not', () => {
    const report = joined(
      [ran('a [AA-01]'), ran('b [AA-01 AA-02]', false)],
      'AA-02\tA01\tFor a reason that is long enough',
    );
    expect(kinds(report)).toEqual(['open', 'open', 'open']);
    expect(report.faults).toEqual(['a.test.ts: failed or did not run: b [AA-01 AA-02]']);
  });
});

describe('what is told as a fault', () => {
  it('is a title that names no row', () => {
    expect(joined([ran('a [AA-99]')]).faults).toEqual(['a.test.ts names AA-99, which is no row: a [AA-99]']);
  });

  it('is an id in a source of which no test ran', () => {
    expect(joined([], '', ['AA-01']).faults).toEqual([
      'a.test.ts names AA-01, and no test of it that names the row ran',
    ]);
  });

  it.each([
    ['CC-01\tA01\tFor a reason that is long enough', 'no row'],
    ['AA-01\tA99\tFor a reason that is long enough', 'no decision'],
    ['AA-01\tA01\tso', 'no reason'],
    [
      'AA-01\tA01\tFor a reason that is long enough\nAA-01\tA01\tFor another that is long enough',
      'names AA-01 twice',
    ],
  ])('is a difference like %j', (difference, fault) => {
    expect(joined([], difference).faults).toEqual([expect.stringContaining(fault)]);
  });
});

describe('the rows of the guide', () => {
  it('are 653, each with its own id', () => {
    const rows = readRows(readFileSync(fileURLToPath(new URL('guide-rows.tsv', import.meta.url)), 'utf8'));
    expect(new Set(rows.map(({ id }) => id)).size).toBe(653);
    expect(rows).toHaveLength(653);
    expect(rows.flatMap((row) => idsNamed(`[${row.id}]`))).toHaveLength(653);
  });
});
