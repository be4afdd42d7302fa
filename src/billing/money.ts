/** Integer minor units, and nothing else: a currency's digits (JPY 0, USD 2, BHD 3) matter only where people read or type an amount. */

/** `amountMinor × part ÷ whole`, rounded down in whole units: parts of one amount never add up to more than it. */
export function share(amountMinor: number, part: number, whole: number): number {
  if (whole <= 0) return 0;
  const kept = Math.min(Math.max(Math.trunc(part), 0), Math.trunc(whole));
  return Number((BigInt(amountMinor) * BigInt(kept)) / BigInt(Math.trunc(whole)));
}

/** What a change of price costs for the time that is left: less than nothing if it becomes cheaper. */
export function changeMinor(input: {
  readonly oldMinor: number;
  readonly newMinor: number;
  readonly from: Date;
  readonly to: Date;
  readonly at: Date;
}): number {
  const whole = input.to.getTime() - input.from.getTime();
  const left = input.to.getTime() - input.at.getTime();
  return share(input.newMinor, left, whole) - share(input.oldMinor, left, whole);
}
