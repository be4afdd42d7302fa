/** How much is tried: a choice that fits into every run of the tests, or with FAULTS=all the whole matrix. */
const ALL = process.env['FAULTS'] === 'all';

/** @param chosen those that run each time */
export function matrix<T>(all: readonly T[], chosen: readonly T[]): readonly T[] {
  return ALL ? all : chosen;
}
