/**
 * What an invocation is told of itself. Its own part was read with its input; the part that it shares with others of its installation is a
 * text until the module asks for something of it, and most calls never do. Read anew for each invocation, so that nothing one of them
 * does to it reaches the next.
 */
import type { InvocationContext, OwnContext, SharedContext } from '../contract/invocation.ts';

const { parse } = JSON;

export class GuestContext implements InvocationContext {
  readonly #text: string;
  #read: SharedContext | undefined;
  readonly auth: OwnContext['auth'];
  readonly product: OwnContext['product'];
  readonly service: OwnContext['service'];
  readonly instance: OwnContext['instance'];
  readonly pay: OwnContext['pay'];
  readonly task: OwnContext['task'];
  readonly from_version: OwnContext['from_version'];
  readonly now: OwnContext['now'];
  readonly seed: OwnContext['seed'];

  /** @param shared a SharedContext as JSON */
  constructor(shared: string, own: OwnContext) {
    this.#text = shared;
    this.auth = own.auth;
    this.product = own.product;
    this.service = own.service;
    this.instance = own.instance;
    this.pay = own.pay;
    this.task = own.task;
    this.from_version = own.from_version;
    this.now = own.now;
    this.seed = own.seed;
  }

  get #shared(): SharedContext {
    return (this.#read ??= parse(this.#text) as SharedContext);
  }

  get module(): SharedContext['module'] {
    return this.#shared.module;
  }

  get capabilities(): SharedContext['capabilities'] {
    return this.#shared.capabilities;
  }

  get config(): SharedContext['config'] {
    return this.#shared.config;
  }

  get secrets(): SharedContext['secrets'] {
    return this.#shared.secrets;
  }

  get tenant(): SharedContext['tenant'] {
    return this.#shared.tenant;
  }

  get locale(): SharedContext['locale'] {
    return this.#shared.locale;
  }

  get asset_base(): SharedContext['asset_base'] {
    return this.#shared.asset_base;
  }

  get webhook_url(): SharedContext['webhook_url'] {
    return this.#shared.webhook_url;
  }
}
