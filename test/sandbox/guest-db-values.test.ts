/** Rows as a module gets them. */
import { expect, test } from 'vitest';

import { readRows } from '../../sandbox/guest/db/values.ts';

test('columns may have any name, and the last of equal ones counts', () => {
  const columns = [
    { name: '__proto__', type: 'json' },
    { name: 'toString', type: 'text' },
    { name: 'n', type: 'number' },
    { name: 'n', type: 'number' },
  ] as const;
  const [row] = readRows<object>([...columns], [[{ inherited: true }, 'a text', 1, '2']]);
  expect(Object.entries(row ?? {})).toEqual([
    ['__proto__', { inherited: true }],
    ['toString', 'a text'],
    ['n', 2],
  ]);
  expect(row).not.toHaveProperty('inherited');
});

test('each row is its own, and a missing cell is null', () => {
  const [first, second] = readRows<{ a: unknown; b: unknown }>(
    [
      { name: 'a', type: 'text' },
      { name: 'b', type: 'timestamp' },
    ],
    [['x'], ['y', '2026-11-22T00:00:00.000Z']],
  );
  expect(first).toEqual({ a: 'x', b: null });
  expect(second).toEqual({ a: 'y', b: new Date('2026-11-22T00:00:00.000Z') });
});
