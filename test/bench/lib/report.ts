/** What a case finds out, line by line, and the target each line of the issue has. */
import type { Summary } from './stats.ts';

/** 'at least' or 'at most' so much; undefined for what is shown without a target. */
export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Row {
  readonly section: string;
  readonly line: string;
  readonly target?: Target;
  readonly unit: string;
  readonly measured: Summary;
  /** Rounds that did not count. */
  readonly dropped?: number;
  /** True if rounds had to be used in which the machine was not ours alone. */
  readonly noisy?: boolean;
  readonly note?: string;
}

export type Verdict = 'pass' | 'short' | '–';

export function verdict({ target, measured }: Row): Verdict {
  if (target === undefined) return '–';
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target;
  return measured.median >= atLeast && measured.median <= atMost ? 'pass' : 'short';
}

export function single(value: number): Summary {
  return { median: value, low: value, high: value, rounds: 1 };
}

/** Three digits that count, no more: the rest is noise. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function showTarget({ target, unit }: Row): string {
  if (target?.atLeast !== undefined) return `≥ ${show(target.atLeast)} ${unit}`.trim();
  if (target?.atMost !== undefined) return `≤ ${show(target.atMost)} ${unit}`.trim();
  return '';
}

function cells(row: Row): string[] {
  const { measured, unit } = row;
  const spread = measured.rounds > 1 ? `${show(measured.low)}–${show(measured.high)}` : '';
  const noise = row.noisy === true ? ' (noisy)' : '';
  return [
    row.line,
    showTarget(row),
    `${show(measured.median)} ${unit}`.trim(),
    spread,
    `${measured.rounds}${(row.dropped ?? 0) > 0 ? ` of ${measured.rounds + (row.noisy === true ? 0 : (row.dropped ?? 0))}` : ''}${noise}`,
    verdict(row),
  ];
}

const HEAD = ['', 'target', 'measured', 'spread', 'rounds', ''];

/** One table a section, in Markdown. */
export function toMarkdown(rows: readonly Row[]): string {
  const sections = [...new Set(rows.map(({ section }) => section))];
  return sections
    .map((section) => {
      const lines = rows.filter((row) => row.section === section);
      const notes = lines.flatMap(({ line, note }) => (note === undefined ? [] : [`- ${line}: ${note}`]));
      const table = [
        [section, ...HEAD.slice(1)],
        HEAD.map((_, at) => (at === 0 ? '---' : '--:')),
        ...lines.map(cells),
      ]
        .map((row) => `| ${row.join(' | ')} |`)
        .join('\n');
      return notes.length === 0 ? table : `${table}\n\n${notes.join('\n')}`;
    })
    .join('\n\n');
}

/** The same for a terminal. */
export function toText(rows: readonly Row[]): string {
  const all = rows.map((row) => [row.section, ...cells(row)]);
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}
