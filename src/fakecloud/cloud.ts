/** Everything one fake cloud remembers, and how it is put back to the start. */
import { Consoles } from './console-page.ts';
import { DropletStore } from './droplet-store.ts';
import { Faults } from './faults.ts';
import { Replays } from './idempotency.ts';
import { Ledger } from './ledger.ts';
import { Mailbox } from './mail.ts';
import type { FakeCloudOptions } from './options.ts';
import { freshToken } from './secrets.ts';
import { ShapeError } from './shape.ts';
import { SlackChannel } from './slack.ts';
import { accountOf, StripeStore } from './stripe-store.ts';
import { Webhooks } from './stripe-webhooks.ts';

export class Cloud {
  readonly options: FakeCloudOptions;
  readonly ledger = new Ledger();
  readonly faults = new Faults();
  readonly replays = new Replays();
  readonly consoles = new Consoles();
  readonly slack = new SlackChannel();
  readonly mailbox = new Mailbox();
  readonly droplets: DropletStore;
  readonly stripe: StripeStore;
  readonly webhooks: Webhooks;
  /** Signs for `options.webhookUrl`; the same over a reset, because it is in the module's settings by then. */
  readonly webhookSecret = freshToken('whsec_');
  /** Known once the ports are bound. */
  origin = '';
  smtpPort = 0;

  constructor(options: FakeCloudOptions) {
    this.options = options;
    this.droplets = new DropletStore(this.ledger, options);
    this.stripe = new StripeStore(this.ledger);
    this.webhooks = new Webhooks(options.webhookRetryMs);
    this.#addFirstEndpoint();
  }

  /** The Stripe account that is meant where nobody says which. */
  get firstAccount(): string {
    return accountOf(this.options.stripeKeys[0] ?? '');
  }

  /** Forgets all that happened and every setting changed since the start; tokens, ports and addresses stay. */
  reset(): void {
    this.faults.clear();
    this.replays.reset();
    this.slack.reset();
    this.mailbox.reset();
    this.droplets.reset(this.options);
    this.stripe.reset();
    this.webhooks.reset();
    this.ledger.reset();
    this.#addFirstEndpoint();
  }

  #addFirstEndpoint(): void {
    const { webhookUrl } = this.options;
    if (webhookUrl === null) return;
    const added = this.webhooks.addEndpoint(this.firstAccount, webhookUrl, ['*'], this.webhookSecret);
    if (typeof added === 'string') throw new ShapeError(`FAKECLOUD_WEBHOOK_URL: ${added}`);
  }
}
