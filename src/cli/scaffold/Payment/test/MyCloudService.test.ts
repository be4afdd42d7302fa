/** The module in a real host: its own sandbox, one account with its settings and secrets. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { conformance, load, type Loaded } from 'bulkhead/kit';
import type MyCloudService from '../MyCloudService.ts';
import { INVOICE, options, SECRET } from './conformance.ts';

let module: Loaded<MyCloudService>;

before(async () => {
  module = await load<MyCloudService>('Payment/MyCloudService', options);
});
after(() => module.close());

void describe('MyCloudService', () => {
  void test('shows how to pay an invoice', async () => {
    const html = String(await module.call('getClientAreaHtml', { invoice: INVOICE }));
    assert.match(html, /DE89370400440532013000/);
    assert.match(html, /2026-1/);
  });

  void test('refuses a delivery that is not signed', async () => {
    const body = JSON.stringify({ type: 'payment.succeeded' });
    assert.equal((await module.webhook('POST', body, { 'x-signature': 'no' })).status, 400);
  });

  void test('takes a signed delivery, and leaves what it does not know', async () => {
    const body = JSON.stringify({ type: 'customer.created' });
    const signature = createHmac('sha256', SECRET).update(body).digest('hex');
    const answer = await module.webhook('POST', body, {
      'x-signature': signature,
      'content-type': 'application/json',
    });
    assert.deepEqual(answer, { kind: 'text', status: 200, text: 'ignored' });
  });
});

conformance('Payment/MyCloudService', { ...options, test, after });
