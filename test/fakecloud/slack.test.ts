/** The Slack webhook receiver: `ok`, or one of Slack's bare words. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud();
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

async function post(body: string, url = cloud.slack, type = 'application/json'): Promise<[number, string]> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  return [response.status, await response.text()];
}

test('a message is answered ok and listed with its attachments', async () => {
  const payload = { attachments: [{ color: 'danger', title: 'Server down', text: 'web-1 is off' }] };
  expect(await post(JSON.stringify(payload))).toEqual([200, 'ok']);
  expect(await post(JSON.stringify({ text: 'hello' }))).toEqual([200, 'ok']);
  const messages = await cloud.control.slackMessages();
  expect(messages.map(({ summary }) => summary)).toEqual(['Server down: web-1 is off', 'hello']);
  expect(messages[0]?.payload).toEqual(payload);
  expect(await cloud.control.effects('slack.message')).toHaveLength(2);
});

test('a form with the message in `payload` is taken too', async () => {
  const form = new URLSearchParams({ payload: JSON.stringify({ text: 'by form' }) });
  expect(await post(form.toString(), cloud.slack, 'application/x-www-form-urlencoded')).toEqual([200, 'ok']);
});

test.each([
  ['{"text":', 'invalid_payload'],
  ['[]', 'invalid_payload'],
  ['{"text":5}', 'invalid_payload'],
  ['{"text":"a","attachments":{}}', 'invalid_payload'],
  ['{}', 'no_text'],
  ['{"text":""}', 'no_text'],
  ['{"attachments":[]}', 'no_text'],
  [
    JSON.stringify({ attachments: Array.from({ length: 101 }, () => ({ text: 'a' })) }),
    'too_many_attachments',
  ],
])('%.30s is answered 400 %s and not listed', async (body, word) => {
  expect(await post(body)).toEqual([400, word]);
  expect(await cloud.control.slackMessages()).toEqual([]);
});

test('another token is answered 403, another method 405', async () => {
  expect(await post('{"text":"a"}', `${cloud.cloud}/slack/guessed`)).toEqual([403, 'invalid_token']);
  expect((await fetch(cloud.slack)).status).toBe(405);
  expect(await cloud.control.slackMessages()).toEqual([]);
});

test('a fault is answered in plain text, as Slack would', async () => {
  await cloud.control.addPreset('slack-500');
  const response = await fetch(cloud.slack, { method: 'POST', body: '{"text":"a"}' });
  expect([response.status, response.headers.get('content-type')]).toEqual([500, 'text/plain; charset=utf-8']);
  expect(await cloud.control.slackMessages()).toEqual([]);
});
