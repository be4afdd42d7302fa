/** A Stripe event as it is posted, and the signature it carries. */
import { createHmac } from 'node:crypto';
import { freshToken } from './secrets.ts';
import type { WebhookPolicy } from './webhook-shapes.ts';

export interface StripeEvent {
  readonly id: string;
  readonly account: string;
  readonly type: string;
  /** What is posted, byte for byte the same on every attempt. */
  readonly body: string;
}

/** `t=…,v1=…`: HMAC-SHA256 over `t.body`, the scheme every Stripe library verifies. */
export function signatureOf(body: string, secret: string, kind: WebhookPolicy['signature']): string {
  const timeS = Math.floor(Date.now() / 1000) - (kind === 'old' ? 3_600 : 0);
  const key = kind === 'wrong' ? `${secret}-wrong` : secret;
  const mac = createHmac('sha256', key).update(`${timeS}.${body}`).digest('hex');
  return `t=${timeS},v1=${mac}`;
}

export function newEvent(account: string, type: string, dataObject: unknown): StripeEvent {
  const id = freshToken('evt_');
  const body = JSON.stringify({
    id,
    object: 'event',
    account,
    api_version: '2025-03-31.basil',
    created: Math.floor(Date.now() / 1000),
    data: { object: dataObject },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type,
  });
  return { id, account, type, body };
}
