/** What a panel would only tell at install, or a client would see: texts that are missing in a language, views that use unknown keys. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '..');

function readJson(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(ROOT, file), 'utf8')) as Record<string, unknown>;
}

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith(ending),
  );
}

void test('the entry file is named like the module', () => {
  assert.ok(readdirSync(ROOT).includes(`${String(readJson('module.json')['name'])}.ts`));
});

void test('every language has the same keys', () => {
  const keys = Object.keys(readJson('lang/en.json')).sort();
  for (const file of filesBelow('lang', '.json'))
    assert.deepEqual(Object.keys(readJson(`lang/${file}`)).sort(), keys, file);
});

void test('every text that a view names is translated', () => {
  const known = new Set(Object.keys(readJson('lang/en.json')));
  for (const view of filesBelow('views', '.liquid')) {
    const text = readFileSync(path.join(ROOT, 'views', view), 'utf8');
    for (const [, key = ''] of text.matchAll(/\{\{\s*'([^']+)'\s*\|\s*t\b/g))
      assert.ok(known.has(key), `${view}: ${key}`);
  }
});
