/** One part of the bench. */
import type { Row } from './report.ts';

export interface CaseHow {
  /** Fewer and shorter rounds: to see that all works. */
  readonly quick: boolean;
  /** Of the long run. */
  readonly minutes: number;
  /** Of the long run: between two requests of a connection. */
  readonly pauseMs?: number;
  readonly say: (line: string) => void;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  run(how: CaseHow): Promise<readonly Row[]>;
}
