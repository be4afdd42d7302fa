/** Consent lines under their capability's heading, the risky ones first: what store pages and the consent page show. */
import type { ConsentLine } from './deps.ts';

export interface LineGroup {
  readonly capability: string;
  readonly title: string;
  readonly icon: string;
  readonly lines: readonly ConsentLine[];
}

const WEIGHT = { high: 0, medium: 1, low: 2 } as const;

export function groupLines(lines: readonly ConsentLine[]): LineGroup[] {
  const groups = Map.groupBy(lines, (line) => line.capability);
  return [...groups.values()]
    .map((group) => ({
      capability: group[0]?.capability ?? '',
      title: group[0]?.capabilityTitle ?? '',
      icon: group[0]?.icon ?? '',
      lines: group.toSorted((a, b) => WEIGHT[a.risk] - WEIGHT[b.risk]),
    }))
    .sort((a, b) => heaviest(a.lines) - heaviest(b.lines));
}

function heaviest(lines: readonly ConsentLine[]): number {
  return Math.min(...lines.map((line) => WEIGHT[line.risk]));
}
