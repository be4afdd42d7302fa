/**
 * The payments that exist: checkout sessions, what became of them, refunds. Amounts are integer minor units throughout, as at
 * Stripe. Everything belongs to the account of the key it was made with; another account's ids do not exist.
 */
import { createHash } from 'node:crypto';
import type { Ledger, RequestEntry } from './ledger.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { freshToken } from './secrets.ts';

export interface NewSession {
  readonly account: string;
  readonly amount: number;
  readonly currency: string;
  readonly title: string;
  readonly successUrl: string;
  readonly cancelUrl: string | null;
  readonly reference: string | null;
  readonly email: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly intentMetadata: Readonly<Record<string, string>>;
  readonly description: string | null;
}

export interface Session extends NewSession {
  readonly id: string;
  readonly intent: Intent;
  readonly createdS: number;
  status: 'open' | 'complete' | 'expired';
}

export interface Intent {
  readonly id: string;
  readonly account: string;
  readonly amount: number;
  readonly currency: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly description: string | null;
  readonly createdS: number;
  status: 'requires_payment_method' | 'succeeded' | 'canceled';
  charge: Charge | null;
  declined: boolean;
}

export interface Charge {
  readonly id: string;
  readonly intent: Intent;
  readonly balanceTransaction: string;
  readonly createdS: number;
  readonly refunds: Refund[];
}

export interface Refund {
  readonly id: string;
  readonly charge: Charge;
  readonly amount: number;
  readonly reason: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdS: number;
}

/** Stripe's usual European price: 1.5 % and 25 minor units. */
export function feeOf(amount: number): number {
  return Math.round(amount * 0.015) + 25;
}

export function accountOf(secretKey: string): string {
  return `acct_${createHash('sha256').update(secretKey).digest('hex').slice(0, 16)}`;
}

export function refundedOf(charge: Charge): number {
  return charge.refunds.reduce((sum, refund) => sum + refund.amount, 0);
}

export class StripeStore {
  readonly #ledger: Ledger;
  readonly #sessions = new Map<string, Session>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  create(wanted: NewSession, request: RequestEntry): Session {
    const { account, amount, currency, description, intentMetadata: metadata } = wanted;
    const createdS = nowS();
    const intent: Intent = {
      id: freshToken('pi_'),
      account,
      amount,
      currency,
      description,
      metadata,
      createdS,
      status: 'requires_payment_method',
      charge: null,
      declined: false,
    };
    const session: Session = { ...wanted, id: freshToken('cs_test_', 30), intent, createdS, status: 'open' };
    this.#sessions.set(session.id, session);
    const oldest = this.#sessions.keys().next();
    if (this.#sessions.size > FAKECLOUD_LIMITS.checkoutSessions && oldest.done !== true)
      this.#sessions.delete(oldest.value);
    this.#ledger.effect('checkout.created', session.id, request);
    return session;
  }

  sessions(): Session[] {
    const oldestS = nowS() - FAKECLOUD_LIMITS.checkoutOpenMs / 1000;
    const all = [...this.#sessions.values()];
    for (const session of all)
      if (session.status === 'open' && session.createdS < oldestS) session.status = 'expired';
    return all;
  }

  /** `account` null is the payer at the hosted page, who has only the session's unguessable id. */
  session(id: string, account: string | null): Session | undefined {
    return this.sessions().find(
      (session) => session.id === id && (account === null || session.account === account),
    );
  }

  intent(id: string, account: string): Intent | undefined {
    return this.sessions().find(({ intent }) => intent.id === id && intent.account === account)?.intent;
  }

  charge(id: string, account: string): Charge | undefined {
    const charges = this.sessions().map(({ intent }) => intent.charge);
    return charges.find((charge) => charge?.id === id && charge.intent.account === account) ?? undefined;
  }

  /** Pays an open session; a session that is not open is left as it is, so a second press of Pay pays nothing. */
  pay(session: Session, request: RequestEntry): boolean {
    if (session.status !== 'open') return false;
    session.status = 'complete';
    const { intent } = session;
    intent.status = 'succeeded';
    intent.charge = {
      id: freshToken('ch_'),
      intent,
      balanceTransaction: freshToken('txn_'),
      createdS: nowS(),
      refunds: [],
    };
    this.#ledger.effect('payment.succeeded', intent.id, request);
    return true;
  }

  /** Declines the card; the session stays open for another try. */
  decline(session: Session, request: RequestEntry): boolean {
    if (session.status !== 'open') return false;
    session.intent.declined = true;
    this.#ledger.effect('payment.failed', session.intent.id, request);
    return true;
  }

  expire(session: Session, request: RequestEntry): boolean {
    if (session.status !== 'open') return false;
    session.status = 'expired';
    session.intent.status = 'canceled';
    this.#ledger.effect('checkout.expired', session.id, request);
    return true;
  }

  /** The caller has made sure that so much is left to refund. */
  refund(
    charge: Charge,
    wanted: Pick<Refund, 'amount' | 'reason' | 'metadata'>,
    request: RequestEntry,
  ): Refund {
    const refund: Refund = { ...wanted, id: freshToken('re_'), charge, createdS: nowS() };
    charge.refunds.push(refund);
    this.#ledger.effect('refund.created', refund.id, request);
    return refund;
  }

  reset(): void {
    this.#sessions.clear();
  }
}

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
