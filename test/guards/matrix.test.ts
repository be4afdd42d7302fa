/**
 * The table of guards keeps up with the source: each threat has a guard, each guard a threat, its text stands where it is looked for, and
 * the page that tells of it is current. Whether a guard is missed by its test is what `npm run test:guards` tries.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { GUARDS } from './guards.ts';
import { renderMatrix, threatMatrix } from './matrix.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe('the threats', () => {
  it('have a guard each', () => {
    const bare = threatMatrix().flatMap(({ rows }) => rows.filter(({ guards }) => guards.length === 0));
    expect(bare.map(({ id }) => id)).toEqual([]);
  });

  it('are told of as they are', () => {
    expect(readFileSync(at('docs/threats.md'), 'utf8')).toBe(renderMatrix());
  });
});

describe('the guards', () => {
  it('have names of their own, and a threat each', () => {
    const names = GUARDS.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    expect(GUARDS.filter(({ threats }) => threats.length === 0)).toEqual([]);
  });

  it('stand in the source once each, and their tests are there', () => {
    const wrong = GUARDS.flatMap(({ name, file, text, test }) => {
      const found = existsSync(at(file)) ? readFileSync(at(file), 'utf8').split(text).length - 1 : 0;
      return found === 1 && existsSync(at(test)) ? [] : [`${name}: ${found} times in ${file}, by ${test}`];
    });
    expect(wrong).toEqual([]);
  });
});
