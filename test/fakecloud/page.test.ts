/** The page for people: shows what happened as text, and its buttons need the token that only the page knows. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { answerOf, at, CHECKOUT, cloudCall, CREATE, SmtpTalk, stripeCall } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ provisioningMs: 0 });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

const page = async () => answerOf(await fetch(cloud.cloud));

/** Presses the button with this label, with exactly the fields its form has. */
async function pressButton(label: string, changes: Readonly<Record<string, string>> = {}): Promise<number> {
  const forms = (await page()).text.match(/<form[^]*?<\/form>/g) ?? [];
  const form =
    forms.find((candidate) => new RegExp(`<button>\\s*${label}\\s*</button>`).test(candidate)) ?? '';
  const inputs = [...form.matchAll(/<input[^>]*?name="([^"]*)"[^>]*?value="([^"]*)"/g)];
  const fields = Object.fromEntries(inputs.map(([, name = '', value = '']) => [name, value]));
  const body = new URLSearchParams({ ...fields, ...changes });
  return (await fetch(`${cloud.cloud}/_page`, { method: 'POST', body, redirect: 'manual' })).status;
}

test('the page shows servers, payments, mails, Slack messages, faults and every address, and loads nothing', async () => {
  await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
  await stripeCall(cloud, '/checkout/sessions', CHECKOUT);
  await fetch(cloud.slack, { method: 'POST', body: '{"text":"hello channel"}' });
  using talk = await SmtpTalk.open(cloud);
  await talk.logIn(cloud);
  await talk.mail('client@example.com', 'Subject: hello mailbox\r\n\r\nbody');
  await cloud.control.addFault({ match: { path: '/v2/nowhere' }, kind: 'drop', when: 'after' });
  const { status, text, headers } = await page();
  expect(status).toBe(200);
  const shown = [
    CREATE.name,
    '203.0.113.1',
    'Invoice #1',
    'hello channel',
    'hello mailbox',
    '/v2/nowhere',
    cloud.slack,
  ];
  for (const part of [...shown, cloud.cloudToken, cloud.smtp.password]) expect(text).toContain(part);
  expect(text).not.toMatch(/<(script|link|img|iframe)/);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
});

test('what strangers sent is shown as text', async () => {
  const nasty = '<script>alert(1)</script>';
  await fetch(cloud.slack, { method: 'POST', body: JSON.stringify({ text: nasty }) });
  using talk = await SmtpTalk.open(cloud);
  await talk.logIn(cloud);
  await talk.mail('a@example.com', `Subject: ${nasty}\r\n\r\n</pre>${nasty}`);
  await fetch(`${cloud.cloud}/v2/%3Cscript%3E`);
  const { text } = await page();
  expect(text).not.toContain('<script');
  expect(text.match(/&lt;script&gt;alert/g)).toHaveLength(3);
});

test('a fault is switched on and off with the mouse', async () => {
  expect(await pressButton('Cloud answers garbage \\(once\\)')).toBe(303);
  expect(await cloud.control.faults()).toMatchObject([{ kind: 'garbage', left: 1 }]);
  expect(await pressButton('Switch off')).toBe(303);
  expect(await cloud.control.faults()).toEqual([]);
  await pressButton('Cloud is down \\(until switched off\\)');
  await pressButton('Switch all off');
  expect(await cloud.control.faults()).toEqual([]);
});

test('a server is destroyed, the delays are set and all is forgotten with the mouse', async () => {
  const { json } = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
  expect(await pressButton('Destroy behind the panel’s back')).toBe(303);
  expect((await cloudCall(cloud, 'GET', `/droplets/${String(at(json, 'droplet', 'id'))}`)).status).toBe(404);
  expect(await pressButton('Set', { provisioning: '3600', action: '1' })).toBe(303);
  const second = await cloudCall(cloud, 'POST', '/droplets', { body: CREATE });
  expect(
    at(
      (await cloudCall(cloud, 'GET', `/droplets/${String(at(second.json, 'droplet', 'id'))}`)).json,
      'droplet',
      'status',
    ),
  ).toBe('new');
  expect(await pressButton('Set', { provisioning: 'soon' })).toBe(422);
  expect(await pressButton('Forget everything and start anew')).toBe(303);
  expect(await cloud.control.droplets()).toEqual([]);
});

test('webhooks are held, sent and sent again with the mouse', async () => {
  await cloud.control.addWebhook({ url: 'http://127.0.0.1:9/hook', events: ['payment_intent.succeeded'] });
  const policy = {
    do: 'webhook-policy',
    copies: '1',
    order: 'sent',
    delay: '60',
    signature: 'valid',
    hold: 'yes',
  };
  expect(await pressButton('Set', policy)).toBe(303);
  const session = await stripeCall(cloud, '/checkout/sessions', CHECKOUT);
  await fetch(String(session.json['url']), {
    method: 'POST',
    body: new URLSearchParams({ outcome: 'pay' }),
    redirect: 'manual',
  });
  const states = async () => (await cloud.control.webhookDeliveries()).map(({ state }) => state);
  expect(await states()).toEqual(['held']);
  expect(await pressButton('Send what is held back')).toBe(303);
  expect(await states()).toEqual(['waiting']);
  expect(await pressButton('Send again')).toBe(303);
  expect(await states()).toHaveLength(2);
});

test('a form without the token, or with another, does nothing', async () => {
  for (const token of ['', 'guessed', cloud.cloudToken]) {
    const body = new URLSearchParams({ token, do: 'preset', preset: 'cloud-down' });
    expect((await fetch(`${cloud.cloud}/_page`, { method: 'POST', body })).status).toBe(403);
  }
  expect(await cloud.control.faults()).toEqual([]);
});

test.each(['', 'constructor', 'explode'])('a button called %j does not exist', async (name) => {
  const body = new URLSearchParams({ token: cloud.controlToken, do: name });
  expect((await fetch(`${cloud.cloud}/_page`, { method: 'POST', body })).status).toBe(404);
});

test('a webhook address is added and removed, and its secret is shown', async () => {
  const url = 'http://127.0.0.1:4300/hooks/abc';
  expect(await pressButton('Add endpoint', { url })).toBe(303);
  const { text } = await page();
  expect(text).toContain(url);
  expect(text).toMatch(/whsec_[A-Za-z0-9_-]{16,}/);
  expect(await pressButton('Add endpoint', { url: 'https://elsewhere.example/' })).toBe(422);
  expect(await pressButton('Remove')).toBe(303);
  expect((await page()).text).not.toContain(url);
});
