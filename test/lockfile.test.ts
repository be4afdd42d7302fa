import { describe, expect, it } from 'vitest';
import { missingOptional, readLock } from './support/lockfile.ts';

describe('package-lock.json', () => {
  it('names every optional platform package (mend it with: node test/support/lockfile.ts)', () => {
    expect(missingOptional(readLock()).map(({ name }) => name)).toEqual([]);
  });

  it('names no registry', () => {
    expect(JSON.stringify(readLock())).not.toMatch(/"resolved"/);
  });
});
