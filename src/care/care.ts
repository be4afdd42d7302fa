/**
 * What people do with a service beside its lifecycle, as the pages use it: the module's buttons, a new password, signing on, usage, and the
 * comparison with the remote account. Each use case looks up the service for whoever asks: a client's own, or the tenant's for its staff.
 */
import type {
  ReconcileReport,
  ServiceButton,
  UsageMetric,
} from '../../sandbox/contract/kinds/service-care.ts';

/** Who asks; as the pages' ModuleCaller. */
export interface CareCaller {
  readonly id: string;
  readonly kind: 'admin' | 'client';
  readonly permissions: readonly string[];
}

export interface OfService {
  readonly tenantId: string;
  readonly serviceId: string;
  readonly account: CareCaller;
}

/** How it went. A module's refusal is no exception: it is shown. */
export interface Done {
  readonly ok: boolean;
  readonly message: string;
  /** Of the row that the page after this one reads. */
  readonly actionId: string;
}

export interface Said {
  readonly action: 'button' | 'password' | 'sign_on' | 'reconcile' | 'not_found' | 'test';
  readonly title: string;
  readonly ok: boolean;
  readonly message: string;
  readonly durationMs: number;
}

export interface ShownMetric extends UsageMetric {
  readonly key: string;
  /** Of the limit, 0 to 100; null without one. */
  readonly percent: number | null;
}

/** What the service's page offers this account, and what is known of the service. */
export interface CareView {
  readonly buttons: readonly ServiceButton[];
  readonly password: boolean;
  readonly signOn: boolean;
  readonly reconcile: boolean;
  /** Null: the module does not tell, or has not told yet. */
  readonly usage: readonly ShownMetric[] | null;
  readonly usageAt: Date | null;
  readonly usageError: string | null;
  /** For staff only. */
  readonly report: ReconcileReport | null;
  readonly reportAt: Date | null;
  readonly reportError: string | null;
}

/** All of it @throws NOT_FOUND for somebody else's service, NOT_GRANTED without the permission, CONFLICT if the module does not run, LIMIT. */
export interface Care {
  view(input: OfService): Promise<CareView>;
  /** @throws NOT_FOUND for a button that the module did not declare for this kind of account */
  press(input: OfService & { readonly button: string }): Promise<Done>;
  /** `password` null: the module makes one. What comes back is to be shown once and kept nowhere. @throws BAD_INPUT */
  changePassword(
    input: OfService & { readonly password: string | null },
  ): Promise<Done & { readonly password: string | null }>;
  /** @throws NOT_GRANTED for an address that the module may not send people to, MODULE_ERROR with its refusal */
  signOn(input: OfService): Promise<{ readonly url: string }>;
  /** Staff only. */
  reconcile(input: OfService): Promise<Done>;
  /** The remote account is gone, as the last report says. Staff only. @throws CONFLICT if it says otherwise */
  markNotFound(input: OfService): Promise<void>;
  /** Of a product, an instance, or the module's settings. Staff only. */
  testConnection(input: {
    readonly tenantId: string;
    readonly installationId: string;
    readonly productId?: string;
    readonly instanceId?: string;
    readonly account: CareCaller;
  }): Promise<Done>;
  /** What an action said, for whoever did it; undefined for anybody else. */
  said(input: {
    readonly tenantId: string;
    readonly actionId: string;
    readonly accountId: string;
  }): Promise<Said | undefined>;
}
