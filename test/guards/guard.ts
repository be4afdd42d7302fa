/**
 * What a guard is: a text in the source that holds something off, what stands in its place when it is taken away, and the test that must
 * turn red then. Each answers to threats by their ids (threats.ts).
 */
import type { ThreatId } from './threats.ts';

export interface Guard {
  readonly name: string;
  readonly threats: readonly ThreatId[];
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly text: string;
  readonly instead: string;
  readonly test: string;
  /** Part of the tests' names: those that are run. Empty: all of the file. */
  readonly only: string;
}

/** The guards of one part of the system. */
export interface GuardArea {
  readonly area: string;
  readonly guards: readonly Guard[];
}
