/** Metrics as lines of an SVG, computed here so that the page shows them without a script and the script only moves them. */
import type { Metrics } from './answers.ts';

export const CHART_WIDTH = 300;
export const CHART_HEIGHT = 60;
const MARGIN = 4;

export type Chart = {
  readonly key: string;
  readonly unit: string;
  /** Of a polyline in a box of CHART_WIDTH × CHART_HEIGHT; empty when there are no points. */
  readonly points: string;
  readonly latest: string;
  readonly highest: string;
};

function shown(value: number | undefined): string {
  return value === undefined ? '–' : String(Math.round(value * 10) / 10);
}

/** Percentages fill the box at 100; everything else at its own highest value. */
function chartOf(key: string, unit: string, points: readonly (readonly [number, number])[]): Chart {
  const values = points.map(([, value]) => value);
  const highest = Math.max(...values, 0);
  const ceiling = unit === '%' ? 100 : Math.max(highest, 1);
  const step = values.length > 1 ? CHART_WIDTH / (values.length - 1) : 0;
  const y = (value: number): number =>
    CHART_HEIGHT - MARGIN - (Math.min(Math.max(value, 0), ceiling) / ceiling) * (CHART_HEIGHT - 2 * MARGIN);
  return {
    key,
    unit,
    points: values.map((value, index) => `${(index * step).toFixed(1)},${y(value).toFixed(1)}`).join(' '),
    latest: shown(values.at(-1)),
    highest: values.length === 0 ? '–' : shown(highest),
  };
}

export function chartsOf(metrics: Metrics): Chart[] {
  return Object.entries(metrics.series).map(([key, points]) => chartOf(key, metrics.unit[key] ?? '', points));
}
