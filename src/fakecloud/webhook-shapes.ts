/** How webhooks are sent, and what became of each: the data the control API takes and shows. */
import { FAKECLOUD_LIMITS } from './limits.ts';
import { flag, integer, list, nullable, object, oneOf, text } from './shape.ts';
import type { Of } from './shape.ts';

export const webhookPolicyShape = object({
  /** How often each event is sent to each endpoint. */
  copies: integer({ min: 1, max: FAKECLOUD_LIMITS.webhookCopies }),
  /** Of the events that belong together (one payment's), or of all that were held. */
  order: oneOf('sent', 'reversed'),
  /** Before each delivery. */
  delayMs: integer({ min: 0, max: FAKECLOUD_LIMITS.webhookDelayMs }),
  /** Keep deliveries back until they are released. */
  hold: flag(),
  /** `wrong` signs with another secret, `old` with a time an hour ago: a receiver must refuse both. */
  signature: oneOf('valid', 'wrong', 'old'),
});
export type WebhookPolicy = Of<typeof webhookPolicyShape>;
export const DEFAULT_POLICY: WebhookPolicy = {
  copies: 1,
  order: 'sent',
  delayMs: 0,
  hold: false,
  signature: 'valid',
};

export const deliveryShape = object({
  id: text(),
  eventId: text(),
  eventType: text(),
  url: text(),
  state: oneOf('held', 'waiting', 'delivered', 'failed'),
  attempts: list(object({ at: text(), status: nullable(integer()), answer: text() })),
});
export type Delivery = Of<typeof deliveryShape>;
