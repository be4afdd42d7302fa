/** The module in a real host: its own database, its own sandbox. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { conformance, load, type Loaded } from 'bulkhead/kit';
import type MyCloudService from '../MyCloudService.ts';
import { options } from './conformance.ts';

let module: Loaded<MyCloudService>;

before(async () => {
  module = await load<MyCloudService>('Plugin/MyCloudService', options);
});
after(() => module.close());

void describe('MyCloudService', () => {
  void test('takes a valid note', async () => {
    const answer = await module.request('POST', 'notes', { text: 'Hello' });
    assert.equal(answer.status, 200);
  });

  void test('refuses an empty note', async () => {
    const answer = await module.request('POST', 'notes', { text: ' ' });
    assert.equal(answer.status, 422);
  });

  void test('keeps a note in the background and shows it', async () => {
    const tasks = await module.runTasks();
    assert.deepEqual(
      tasks.map(({ method, status }) => [method, status]),
      [['addNoteJob', 'completed']],
    );
    const page = await module.request('GET', 'dashboard');
    assert.match(page.kind === 'html' ? page.html : '', /Hello/);
  });
});

conformance('Plugin/MyCloudService', { ...options, test, after });
