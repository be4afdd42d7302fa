/**
 * Tax of an invoice. One rule of rounding: it is reckoned once, on the sum of the lines, and half a minor unit counts as a whole one. So
 * the lines and the tax add up to the total exactly, whatever the rate.
 */
export interface TaxRule {
  /** Hundredths of a percent. */
  readonly rateBp: number;
  /** The lines hold it already; else it comes on top of them. */
  readonly included: boolean;
}

export interface Taxed {
  readonly taxMinor: number;
  readonly totalMinor: number;
}

const WHOLE_BP = 10_000;

/** @param sumMinor of the lines, not less than nothing */
export function withTax(sumMinor: number, { rateBp, included }: TaxRule): Taxed {
  const whole = BigInt(included ? WHOLE_BP + rateBp : WHOLE_BP);
  const taxMinor = Number((BigInt(sumMinor) * BigInt(rateBp) * 2n + whole) / (whole * 2n));
  return { taxMinor, totalMinor: included ? sumMinor : sumMinor + taxMinor };
}

/** The most that may come off the lines, up to `wantedMinor`, so that the total does not fall below what was paid of it. */
export function mostOff(
  { sumMinor, paidMinor, wantedMinor }: { sumMinor: number; paidMinor: number; wantedMinor: number },
  rule: TaxRule,
): number {
  let fits = 0;
  let beyond = Math.min(wantedMinor, sumMinor) + 1;
  while (beyond - fits > 1) {
    const middle = Math.floor((fits + beyond) / 2);
    if (withTax(sumMinor - middle, rule).totalMinor >= paidMinor) fits = middle;
    else beyond = middle;
  }
  return fits;
}
