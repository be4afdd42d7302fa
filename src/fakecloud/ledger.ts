/**
 * What was asked of the cloud and what came of it, in one order. A test that wants "exactly once" counts effects, not
 * answers: an answer may be lost on the way, an effect is what the customer pays for.
 */
import { FAKECLOUD_LIMITS } from './limits.ts';
import { integer, nullable, object, oneOf, text } from './shape.ts';
import type { Of } from './shape.ts';

export const requestEntryShape = object({
  seq: integer(),
  at: text(),
  method: text(),
  path: text(),
  status: nullable(integer()),
  outcome: oneOf('running', 'answered', 'dropped'),
  idempotencyKey: nullable(text()),
  /** The id of the fault that was played on this request. */
  fault: nullable(text()),
});
export type RequestEntry = Of<typeof requestEntryShape>;

export const effectShape = object({
  seq: integer(),
  at: text(),
  kind: oneOf(
    'droplet.created',
    'droplet.deleted',
    'action.started',
    'action.completed',
    'snapshot.deleted',
    'checkout.created',
    'checkout.expired',
    'payment.succeeded',
    'payment.failed',
    'refund.created',
    'slack.message',
    'mail.received',
  ),
  /** The id of the thing it happened to. */
  subject: text(),
  /** The seq of the request that caused it; null when time or a person at the page did. */
  request: nullable(integer()),
});
export type Effect = Of<typeof effectShape>;
export type EffectKind = Effect['kind'];

export class Ledger {
  readonly requests: RequestEntry[] = [];
  readonly effects: Effect[] = [];
  #seq = 0;

  /** Enters a request on arrival, so that one which never gets an answer is seen too. */
  begin(method: string, path: string, idempotencyKey: string | null): RequestEntry {
    const entry: RequestEntry = {
      ...this.#stamp(),
      method,
      path,
      status: null,
      outcome: 'running',
      idempotencyKey,
      fault: null,
    };
    keep(this.requests, entry);
    return entry;
  }

  effect(kind: EffectKind, subject: string | number, request: RequestEntry | null): void {
    keep(this.effects, { ...this.#stamp(), kind, subject: String(subject), request: request?.seq ?? null });
  }

  reset(): void {
    this.requests.length = 0;
    this.effects.length = 0;
  }

  #stamp(): { seq: number; at: string } {
    this.#seq += 1;
    return { seq: this.#seq, at: new Date().toISOString() };
  }
}

function keep<T>(entries: T[], entry: T): void {
  entries.push(entry);
  if (entries.length > FAKECLOUD_LIMITS.ledgerEntries) entries.shift();
}
