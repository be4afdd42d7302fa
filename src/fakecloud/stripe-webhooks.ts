/**
 * Stripe's webhooks: events signed over the raw body, sent to each endpoint of the account, sent again until a 2xx comes back.
 * Real ones arrive twice, late and out of order; here that is a setting (`policy`), so that a module can be shown to bear it.
 */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { loopbackUrl, postToLoopback } from './loopback-post.ts';
import { freshToken } from './secrets.ts';
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

export interface Endpoint {
  readonly id: string;
  readonly account: string;
  readonly url: string;
  readonly secret: string;
  /** Event types, or `*`. */
  readonly events: readonly string[];
}

export interface StripeEvent {
  readonly id: string;
  readonly account: string;
  readonly type: string;
  /** What is posted, byte for byte the same on every attempt. */
  readonly body: string;
}

interface Job {
  readonly delivery: Delivery;
  readonly event: StripeEvent;
  readonly endpoint: Endpoint;
}

export class Webhooks {
  readonly endpoints: Endpoint[] = [];
  readonly deliveries: Delivery[] = [];
  readonly events: StripeEvent[] = [];
  policy: WebhookPolicy = DEFAULT_POLICY;
  readonly #retryMs: readonly number[];
  readonly #held: Job[] = [];
  /** Everything under way stops when this is aborted. */
  #life = new AbortController();

  /** `retryMs`: the pauses before the second, third … attempt; after the last one a delivery has failed. */
  constructor(retryMs: readonly number[]) {
    this.#retryMs = retryMs;
  }

  /** @returns the endpoint, or the reason why the address is refused */
  addEndpoint(
    account: string,
    url: string,
    events: readonly string[],
    secret = freshToken('whsec_'),
  ): Endpoint | string {
    const checked = loopbackUrl(url);
    if (typeof checked === 'string') return checked;
    if (this.endpoints.length >= FAKECLOUD_LIMITS.webhookEndpoints)
      return 'Too many webhook endpoints; delete some first';
    const endpoint = { id: freshToken('we_'), account, url: checked.href, secret, events };
    this.endpoints.push(endpoint);
    return endpoint;
  }

  removeEndpoint(id: string, account: string | null): boolean {
    const index = this.endpoints.findIndex(
      (found) => found.id === id && (account === null || found.account === account),
    );
    if (index >= 0) this.endpoints.splice(index, 1);
    return index >= 0;
  }

  /** Sends what belongs together; `events` in the order in which they happened. */
  emit(account: string, events: readonly { readonly type: string; readonly object: unknown }[]): void {
    const made = events.map(({ type, object }) => newEvent(account, type, object));
    for (const event of made) keep(this.events, event);
    const jobs = made.flatMap((event) =>
      Array.from({ length: this.policy.copies }, () => this.#jobsOf(event)).flat(),
    );
    if (this.policy.hold) this.#held.push(...jobs);
    else this.#start(jobs);
  }

  /** Sends everything that was held, in the policy's order. @returns how many deliveries that were */
  release(): number {
    const jobs = this.#held.splice(0);
    this.#start(jobs);
    return jobs.length;
  }

  /** The same event once more to every endpoint, as Stripe's dashboard does. @returns false when there is no such event */
  resend(eventId: string): boolean {
    const event = this.events.find((candidate) => candidate.id === eventId);
    if (event === undefined) return false;
    this.#start(this.#jobsOf(event));
    return true;
  }

  reset(): void {
    this.#life.abort();
    this.#life = new AbortController();
    this.#held.length = 0;
    this.endpoints.length = 0;
    this.deliveries.length = 0;
    this.events.length = 0;
    this.policy = DEFAULT_POLICY;
  }

  #jobsOf(event: StripeEvent): Job[] {
    const wanted = this.endpoints.filter(
      ({ account, events }) =>
        account === event.account && (events.includes('*') || events.includes(event.type)),
    );
    return wanted.map((endpoint) => {
      const { id: eventId, type: eventType } = event;
      const state = this.policy.hold ? 'held' : 'waiting';
      const delivery: Delivery = {
        id: freshToken('whd_'),
        eventId,
        eventType,
        url: endpoint.url,
        state,
        attempts: [],
      };
      keep(this.deliveries, delivery);
      return { delivery, event, endpoint };
    });
  }

  #start(jobs: readonly Job[]): void {
    const ordered = this.policy.order === 'reversed' ? jobs.toReversed() : jobs;
    for (const { delivery } of ordered) delivery.state = 'waiting';
    const { signal } = this.#life;
    this.#runInOrder(ordered, this.policy, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** First attempts go one after another, so that the order is what it says; a retry waits beside them and holds up nobody. */
  async #runInOrder(jobs: readonly Job[], policy: WebhookPolicy, signal: AbortSignal): Promise<void> {
    const retries: Promise<void>[] = [];
    for (const job of jobs) {
      await sleep(policy.delayMs, undefined, { signal });
      if (!(await attempt(job, policy, signal))) retries.push(this.#retry(job, policy, signal));
    }
    await Promise.all(retries);
  }

  async #retry(job: Job, policy: WebhookPolicy, signal: AbortSignal): Promise<void> {
    for (const pauseMs of this.#retryMs) {
      await sleep(pauseMs, undefined, { signal });
      if (await attempt(job, policy, signal)) return;
    }
    job.delivery.state = 'failed';
  }
}

async function attempt(
  { delivery, event, endpoint }: Job,
  policy: WebhookPolicy,
  signal: AbortSignal,
): Promise<boolean> {
  const at = new Date().toISOString();
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'Stripe/1.0 (fake cloud)',
    'stripe-signature': signatureOf(event.body, endpoint.secret, policy.signature),
  };
  const limits = {
    timeoutMs: FAKECLOUD_LIMITS.webhookAnswerMs,
    answerChars: FAKECLOUD_LIMITS.webhookAnswerChars,
  };
  try {
    const { status, text: answer } = await postToLoopback(new URL(endpoint.url), event.body, headers, limits);
    delivery.attempts.push({ at, status, answer });
    if (status < 200 || status > 299) return false;
    delivery.state = 'delivered';
    return true;
  } catch (error) {
    signal.throwIfAborted();
    delivery.attempts.push({
      at,
      status: null,
      answer: error instanceof Error ? error.message : String(error),
    });
    return false;
  }
}

/** `t=…,v1=…`: HMAC-SHA256 over `t.body`, the scheme every Stripe library verifies. */
export function signatureOf(body: string, secret: string, kind: WebhookPolicy['signature']): string {
  const timeS = Math.floor(Date.now() / 1000) - (kind === 'old' ? 3_600 : 0);
  const key = kind === 'wrong' ? `${secret}-wrong` : secret;
  const mac = createHmac('sha256', key).update(`${timeS}.${body}`).digest('hex');
  return `t=${timeS},v1=${mac}`;
}

function newEvent(account: string, type: string, dataObject: unknown): StripeEvent {
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

function keep<T>(entries: T[], entry: T): void {
  entries.push(entry);
  if (entries.length > FAKECLOUD_LIMITS.webhookDeliveries) entries.shift();
}
