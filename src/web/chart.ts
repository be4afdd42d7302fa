/** Line charts as SVG made on the server: no script, no inline style, both themes by CSS variables. Text goes through the template's escaping. */
export interface Series {
  readonly name: string;
  /** One value a bucket, all series equally many. */
  readonly values: readonly number[];
}

export interface ChartOptions {
  /** Labels below the axis: bucket index → text. */
  readonly ticks: readonly { readonly index: number; readonly text: string }[];
  readonly width?: number;
  readonly height?: number;
}

export interface Chart {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly lines: readonly {
    readonly name: string;
    readonly tone: number;
    readonly line: string;
    readonly area: string;
  }[];
  readonly rules: readonly { readonly y: number; readonly text: string }[];
  readonly ticks: readonly { readonly x: number; readonly text: string }[];
  readonly empty: boolean;
}

const LEFT = 44;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;
const RULES = 4;
const TONES = 5;

/** The next 1, 2 or 5 × 10ⁿ that is not below the value. */
function niceMax(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

export function lineChart(series: readonly Series[], options: ChartOptions): Chart {
  const width = options.width ?? 720;
  const height = options.height ?? 240;
  const buckets = Math.max(2, ...series.map(({ values }) => values.length));
  const highest = niceMax(Math.max(0, ...series.flatMap(({ values }) => values)));
  const x = (index: number): number => Math.round(LEFT + (index / (buckets - 1)) * (width - LEFT - RIGHT));
  const y = (value: number): number =>
    Math.round((TOP + (1 - value / highest) * (height - TOP - BOTTOM)) * 10) / 10;
  const line = (values: readonly number[]): string =>
    values.map((value, index) => `${index === 0 ? 'M' : 'L'}${x(index)} ${y(value)}`).join('');
  return {
    width,
    height,
    left: LEFT,
    right: width - RIGHT,
    top: TOP,
    bottom: height - BOTTOM,
    lines: series.map(({ name, values }, index) => ({
      name,
      tone: index % TONES,
      line: line(values),
      area: `${line(values)}L${x(values.length - 1)} ${y(0)}L${x(0)} ${y(0)}Z`,
    })),
    rules: Array.from({ length: RULES + 1 }, (_, index) => {
      const value = (highest / RULES) * index;
      return { y: y(value), text: String(Number(value.toPrecision(3))) };
    }),
    ticks: options.ticks.map(({ index, text }) => ({ x: x(index), text })),
    empty: series.every(({ values }) => values.every((value) => value === 0)),
  };
}
