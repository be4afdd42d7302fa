/** The control API from the outside: what tests and the demo hold in their hands. Every answer is parsed, none is trusted. */
import { faultShape } from './faults.ts';
import type { Fault, FaultInput } from './faults.ts';
import { effectShape, requestEntryShape } from './ledger.ts';
import type { Effect, EffectKind, RequestEntry } from './ledger.ts';
import { mailShape } from './mail.ts';
import type { Mail } from './mail.ts';
import { PRESETS } from './presets.ts';
import { integer, list, object, record, text, unknown } from './shape.ts';
import type { Shape } from './shape.ts';
import { slackMessageShape } from './slack.ts';
import type { SlackMessage } from './slack.ts';
import { DEFAULT_POLICY, deliveryShape } from './webhook-shapes.ts';
import type { Delivery, WebhookPolicy } from './webhook-shapes.ts';

const nothing: Shape<void> = () => undefined;

export class FakeCloudControl {
  readonly #origin: string;
  readonly #token: string;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Switches a fault on. @throws Error with the control API's message when it is not a valid one */
  addFault(fault: FaultInput): Promise<Fault> {
    return this.#call('POST', '/faults', faultShape, fault);
  }

  /** Switches one of the page's ready-made faults on. @throws Error when there is none of this id */
  addPreset(id: string): Promise<Fault> {
    const preset = PRESETS.find((candidate) => candidate.id === id);
    if (preset === undefined)
      throw new Error(`no preset ${id}; there are ${PRESETS.map(({ id }) => id).join(', ')}`);
    return this.addFault(preset.fault);
  }

  /** All faults, spent ones too, with how often each has struck. */
  faults(): Promise<Fault[]> {
    return this.#call('GET', '/faults', list(faultShape));
  }

  removeFault(id: string): Promise<void> {
    return this.#call('DELETE', `/faults/${id}`, nothing);
  }

  clearFaults(): Promise<void> {
    return this.#call('DELETE', '/faults', nothing);
  }

  /** Applies at once, to servers and actions under way too. */
  setDelays(delays: { readonly provisioningMs: number; readonly actionMs: number }): Promise<void> {
    return this.#call('PUT', '/delays', nothing, delays);
  }

  /** Every request to the APIs, the hosted pages and the mail server, oldest first. */
  requests(): Promise<RequestEntry[]> {
    return this.#call('GET', '/requests', list(requestEntryShape));
  }

  /** What really happened, oldest first; of one kind when given. */
  async effects(kind?: EffectKind): Promise<Effect[]> {
    const all = await this.#call('GET', '/effects', list(effectShape));
    return kind === undefined ? all : all.filter((effect) => effect.kind === kind);
  }

  /** The servers as the API would show them, without needing its token or meeting its faults. */
  droplets(): Promise<Record<string, unknown>[]> {
    return this.#call('GET', '/droplets', list(record(unknown())));
  }

  /** Destroys a server behind everyone's back. */
  destroyDroplet(id: number): Promise<void> {
    return this.#call('DELETE', `/droplets/${id}`, nothing);
  }

  mails(): Promise<Mail[]> {
    return this.#call('GET', '/mails', list(mailShape));
  }

  slackMessages(): Promise<SlackMessage[]> {
    return this.#call('GET', '/slack', list(slackMessageShape));
  }

  /** Adds a webhook endpoint, for the first Stripe account unless a key is given. */
  addWebhook(endpoint: {
    readonly url: string;
    readonly events?: readonly string[];
    readonly secretKey?: string;
  }): Promise<{ id: string; secret: string }> {
    return this.#call('POST', '/webhooks/endpoints', object({ id: text(), secret: text() }), endpoint);
  }

  removeWebhook(id: string): Promise<void> {
    return this.#call('DELETE', `/webhooks/endpoints/${id}`, nothing);
  }

  /** How webhooks are sent from now on; what is left out goes back to normal. */
  setWebhookPolicy(policy: Partial<WebhookPolicy>): Promise<void> {
    return this.#call('PUT', '/webhooks/policy', nothing, { ...DEFAULT_POLICY, ...policy });
  }

  /** Sends what the policy's `hold` kept back. @returns how many deliveries */
  async releaseWebhooks(): Promise<number> {
    return (await this.#call('POST', '/webhooks/release', object({ released: integer() }))).released;
  }

  webhookDeliveries(): Promise<Delivery[]> {
    return this.#call('GET', '/webhooks/deliveries', list(deliveryShape));
  }

  resendWebhook(eventId: string): Promise<void> {
    return this.#call('POST', `/webhooks/events/${eventId}/resend`, nothing);
  }

  /** Back to how it started; ports and tokens stay. */
  reset(): Promise<void> {
    return this.#call('POST', '/reset', nothing);
  }

  async #call<T>(method: string, path: string, shape: Shape<T>, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#origin}/_control${path}`, {
      method,
      headers: { 'x-control-token': this.#token, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    if (!response.ok)
      throw new Error(`fake cloud: ${method} /_control${path} answered ${response.status}: ${answer}`);
    return shape(answer === '' ? undefined : JSON.parse(answer), path);
  }
}
