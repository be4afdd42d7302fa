/** The list of inherited properties is written twice, here and in the guest's base class; this keeps the two together. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { INHERITED } from '../../../src/store/package/redeclared.ts';

it('every property that the guest’s base class sets or answers is known as inherited [MC-03]', async () => {
  const source = await readFile(path.join(import.meta.dirname, '../../../sandbox/guest/base.ts'), 'utf8');
  const set = [...source.matchAll(/^ {2}declare (?:readonly )?(\w+):/gm)].map((match) => match[1] ?? '');
  const answered = [...source.matchAll(/^ {2}get (\w+)\(/gm)].map((match) => match[1] ?? '');
  expect(set).toContain('service_uuid');
  expect(answered).toContain('db');
  expect([...set, ...answered].filter((name) => !INHERITED.has(name))).toEqual([]);
});
