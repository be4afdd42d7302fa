/**
 * Stripe's webhooks: events signed over the raw body, sent to each endpoint of the account, sent again until a 2xx comes back.
 * Real ones arrive twice, late and out of order; here that is a setting (`policy`), so that a module can be shown to bear it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { loopbackUrl, postToLoopback } from './loopback-post.ts';
import { freshToken } from './secrets.ts';
import { newEvent, signatureOf } from './stripe-event.ts';
import type { StripeEvent } from './stripe-event.ts';
import { DEFAULT_POLICY } from './webhook-shapes.ts';
import type { Delivery, WebhookPolicy } from './webhook-shapes.ts';

export interface Endpoint {
  readonly id: string;
  readonly account: string;
  readonly url: string;
  readonly secret: string;
  /** Event types, or `*`. */
  readonly events: readonly string[];
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
    void this.#runInOrder(ordered, this.policy, this.#life.signal);
  }

  /**
   * First attempts go one after another, so that the order is what it says; a retry waits beside them and holds up nobody.
   * Nothing in here rejects: it runs without anybody waiting for it.
   */
  async #runInOrder(jobs: readonly Job[], policy: WebhookPolicy, signal: AbortSignal): Promise<void> {
    for (const job of jobs) {
      if (!(await pause(policy.delayMs, signal))) return;
      if (!(await delivered(job, policy))) void this.#retry(job, policy, signal);
    }
  }

  async #retry(job: Job, policy: WebhookPolicy, signal: AbortSignal): Promise<void> {
    for (const pauseMs of this.#retryMs) {
      if (!(await pause(pauseMs, signal)) || (await delivered(job, policy))) return;
    }
    job.delivery.state = 'failed';
  }
}

/** @returns false when everything was reset meanwhile, so that there is nothing to do any more */
async function pause(pauseMs: number, signal: AbortSignal): Promise<boolean> {
  await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** One attempt. */
async function delivered({ delivery, event, endpoint }: Job, policy: WebhookPolicy): Promise<boolean> {
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
    delivery.attempts.push({
      at,
      status: null,
      answer: error instanceof Error ? error.message : String(error),
    });
    return false;
  }
}

function keep<T>(entries: T[], entry: T): void {
  entries.push(entry);
  if (entries.length > FAKECLOUD_LIMITS.webhookDeliveries) entries.shift();
}
