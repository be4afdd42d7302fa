import { describe, expect, it } from 'vitest';
import { LOCKS, missingOptional, readLock } from './support/lockfile.ts';

describe.each(LOCKS)('package-lock.json of %s', (folder) => {
  it('names every optional platform package (mend it with: node test/support/lockfile.ts)', () => {
    expect(missingOptional(readLock(folder)).map(({ name }) => name)).toEqual([]);
  });

  it('names no registry', () => {
    expect(JSON.stringify(readLock(folder))).not.toMatch(/"resolved"/);
  });
});
