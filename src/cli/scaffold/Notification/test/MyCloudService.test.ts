/** The module in a real host: its own sandbox, one sender with its settings, and a chat server that is played on loopback. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { conformance, load, type Loaded } from 'bulkhead/kit';
import type MyCloudService from '../MyCloudService.ts';
import { MESSAGE, options } from './conformance.ts';

let module: Loaded<MyCloudService>;
let answer = 200;

before(async () => {
  module = await load<MyCloudService>('Notification/MyCloudService', {
    ...options,
    api: () => ({ status: answer, json: {} }),
  });
});
after(() => module.close());

void describe('MyCloudService', () => {
  void test('sends a message', async () => {
    answer = 200;
    assert.deepEqual(await module.call('send', MESSAGE), { status: 'success' });
    assert.deepEqual(module.api.asked.at(-1)?.body, { to: '#general', title: 'Hello', text: 'A text' });
  });

  void test('tells when the server refuses', async () => {
    answer = 403;
    const refused = await module.call('send', MESSAGE);
    assert.deepEqual(refused, { status: 'error', message: 'The chat server did not take the message.' });
  });

  void test('writes what it did into the log, and no text of a message', async () => {
    const lines = JSON.stringify(await module.logs());
    assert.match(lines, /Hello/);
    assert.doesNotMatch(lines, /A long text/);
  });
});

conformance('Notification/MyCloudService', { ...options, test, after });
