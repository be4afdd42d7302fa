/**
 * Everything the panel needs from the rest of the host, in one interface. The pages read plain rows through `db`; whatever changes
 * something or enters a module goes through a use case here, so that the panel holds no business rule and can be tested with its own
 * double of this file. Functions throw HostError with a closed code; a mistake of the person who filled in a form is a value
 * (`errors` by field), never a throw. All ids are UUIDs, all money is integer minor units, all times Date or epoch milliseconds.
 *
 * The panel checks who asks (session, permission, own tenant) before it calls; it has looked up every id it passes
 * in the tenant's own rows.
 */
import type { Kysely } from 'kysely';
import type { Answer, Risk } from '../../sandbox/contract/grant.ts';
import type { ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import type { Field } from '../../sandbox/contract/kinds/module.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import type { HostMail } from '../mail/host-mail.ts';
import type { Auth } from '../auth/auth.ts';
import type { BillingSettings } from '../billing/settings.ts';
import type { Tables } from '../database/tables.ts';
import type { Category, Level } from '../notifications/categories.ts';
import type { Care } from '../care/care.ts';
import type { Layout, Locale, Template, TemplateName } from '../notifications/templates.ts';

export interface WebDeps {
  readonly db: Kysely<Tables>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Where browsers reach the panel, base path included: 'https://panel.example.com' or 'https://example.com/hosting'. */
  readonly publicUrl: string;
  /** The client's address as the server or a trusted proxy saw it; the socket's own if undefined. */
  readonly clientAddress?: (request: Request) => string | undefined;
  /** Addresses and ranges of reverse proxies whose X-Forwarded-For counts: '10.0.0.0/8 ::1'. */
  readonly trustedProxies?: string;
  /** The host's own mail; absent if the operator set up none. */
  readonly mail?: HostMail;
  /** Whoever holds it may hand in packages over HTTP; undefined: nobody may. */
  readonly uploadToken?: string;
  readonly auth: Auth;
  readonly catalog: Catalog;
  readonly instances: InstanceCases;
  readonly notifications: NotificationCases;
  readonly gateways: Gateways;
  readonly schedules: ScheduleCases;
  readonly hosts: HostCases;
  readonly events: EventCases;
  readonly billing: Billing;
  readonly invoicing: Invoicing;
  readonly care: Care;
  readonly jobs: Jobs;
  readonly modules: ModuleCalls;
  readonly packages: Packages;
  /** Stores elsewhere, whose modules may be brought here. */
  readonly stores: StoreCases;
  /** Whether this host's own store answers strangers. */
  readonly openStore?: boolean;
  readonly tenants: TenantCases;
  /** The runner processes of this host at this moment. */
  runners(): Promise<readonly RunnerView[]>;
  /** An error nobody expected, with the id that the person was shown. Never throws. */
  reportError(
    error: unknown,
    context: { readonly id: string; readonly method: string; readonly path: string },
  ): void;
}

/** Hosts that modules ask for while they run. */
export interface HostCases {
  /** May be decided again. @throws NOT_FOUND */
  decide(input: {
    readonly requestId: string;
    readonly status: 'confirmed' | 'refused';
    readonly accountId: string;
  }): Promise<void>;
  /** As if it had never been asked for; the module may ask again. */
  forget(requestId: string): Promise<void>;
}

export interface ScheduleCases {
  /** @throws CONFLICT while a run waits or runs, NOT_FOUND */
  runNow(scheduleId: string): Promise<void>;
  pause(scheduleId: string): Promise<void>;
  resume(scheduleId: string): Promise<void>;
}

export interface EventCases {
  /** Runs a module's handler of an event once more, as a new task. */
  runAgain(deliveryId: string): Promise<void>;
}

/** Errors by field, ready to stand under the fields; the key '' is for the whole form. */
export type FormErrors = Readonly<Record<string, readonly string[]>>;
/** What a form's use case answers: done, or what to mend. */
export type FormResult<T extends object = object> =
  | ({ readonly ok: true } & T)
  | { readonly ok: false; readonly errors: FormErrors; readonly message?: string };

/** What a form is drawn from: typed fields with their present values. Secret fields never carry a value, only whether one is set. */
/** A field as it is drawn: with the choices its module gave, or `unloaded` where it could give none. */
export type DrawnField = Field & { readonly unloaded?: true };

export interface FormView {
  readonly fields: readonly DrawnField[];
  readonly values: Readonly<Record<string, unknown>>;
  /** Keys of secret fields that hold a value. */
  readonly secretsSet: readonly string[];
}

export interface StoreEntry {
  readonly moduleId: string;
  readonly publisher: string;
  readonly type: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly icon: string;
  /** The newest published version. */
  readonly version: string;
  readonly versionId: string;
  readonly publishedAt: Date;
}

export interface StorePage extends StoreEntry {
  readonly fingerprint: string;
  readonly pinnedAt: Date;
  readonly author: string;
  readonly email: string;
  readonly website: string;
  /** The module's picture, by its path below views/assets/; empty if it ships none. */
  readonly logo: string;
  readonly versions: readonly {
    readonly id: string;
    readonly version: string;
    readonly status: 'in_review' | 'published' | 'revoked';
    readonly publishedAt: Date;
    readonly sizeBytes: number;
  }[];
  /** What the newest version asks for, in plain words. */
  readonly lines: readonly ConsentLine[];
  /** What an admin will be asked for in its settings, as its manifest declares it. */
  readonly settings: readonly Pick<Field, 'key' | 'type' | 'title' | 'help' | 'required'>[];
  readonly warnings: readonly string[];
}

/** One thing a module asks for: one line of the consent page. */
export interface ConsentLine {
  /** The ask's stable id: 'http.hosts:api.example.com'. */
  readonly id: string;
  readonly capability: string;
  /** The capability's title and Font Awesome name: the heading the line stands under. */
  readonly capabilityTitle: string;
  readonly icon: string;
  readonly field: string;
  /** 'list' lines with a pattern may be narrowed in place, 'amount' lines lowered. */
  readonly sort: 'list' | 'amount' | 'switch' | 'named';
  readonly item: string;
  /** A host pattern that a narrower one may replace. */
  readonly narrowable: boolean;
  /** The amount asked for, with its unit. */
  readonly amount?: number;
  readonly unit?: string;
  readonly optional: boolean;
  readonly reason: string;
  readonly risk: Risk;
  readonly text: string;
  readonly granted: boolean;
  readonly grantedAmount?: number;
  readonly grantedItem?: string;
  /** True when the running version does not ask for it yet: what an update adds. */
  readonly added: boolean;
  /** Uses of the grant so far, and the last one; absent when it was never granted. */
  readonly uses?: number;
  readonly lastUsedAt?: Date | null;
}

export interface Consent {
  readonly lines: readonly ConsentLine[];
  /** The version the lines belong to: the waiting one when the installation is restricted. */
  readonly version: string;
  /** Ids of lines that enabling waits for. */
  readonly missing: readonly string[];
}

export interface Catalog {
  /** Published modules whose title, name, publisher or description holds the text; all if it is empty. */
  search(text: string): Promise<readonly StoreEntry[]>;
  /** @throws NOT_FOUND */
  modulePage(moduleId: string): Promise<StorePage>;
  /** @throws CONFLICT if the tenant has the module already, or one of the same type and name */
  install(input: {
    tenantId: string;
    versionId: string;
    accountId: string;
  }): Promise<{ installationId: string }>;
  consent(installationId: string): Promise<Consent>;
  /** Replaces the grants by what is answered; what is not answered is not granted. @throws BAD_INPUT for a wider answer */
  grant(input: {
    installationId: string;
    answers: Readonly<Record<string, Answer>>;
    accountId: string;
    /** The version that was shown. @throws CONFLICT if another one waits by now: nobody consents to what they did not see */
    version?: string;
  }): Promise<void>;
  /** Also accepts a waiting update. @throws NOT_GRANTED naming what is missing, MODULE_ERROR with what activate() said */
  enable(installationId: string, accountId: string): Promise<void>;
  /** Data and grants stay. */
  disable(installationId: string, accountId: string): Promise<void>;
  /** Only when disabled, and only when no service uses it. The schema stays until purge. @throws CONFLICT */
  uninstall(installationId: string, accountId: string): Promise<void>;
  /** Drops the module's own data for good; only when disabled. @throws CONFLICT */
  purge(installationId: string, accountId: string): Promise<void>;
  /** Every row of the module's own tables, as lines of JSON. @throws CONFLICT without any, LIMIT while others run */
  exportData(installationId: string): Promise<AsyncIterable<string>>;
  /** Ends a pause of the circuit breaker. */
  unpause(installationId: string, accountId: string): Promise<void>;
  /** Back to the version before the last update, with the data as they are. @throws CONFLICT if there is none, NOT_GRANTED */
  rollback(installationId: string, accountId: string): Promise<void>;
  /** Moves to a newer version: 'restricted' until its update and new permissions are accepted. */
  update(input: { installationId: string; versionId: string; accountId: string }): Promise<void>;
  settings(installationId: string): Promise<FormView>;
  /** An empty secret leaves the stored one as it is. */
  saveSettings(input: {
    installationId: string;
    values: Readonly<Record<string, unknown>>;
    accountId: string;
  }): Promise<FormResult>;
  /** Fields of the product's configuration, or the module's own HTML for its frame. */
  productForm(installationId: string, productId: string | null): Promise<ProductForm>;
  saveProduct(input: {
    tenantId: string;
    installationId: string;
    productId: string | null;
    name: string;
    description: string;
    active: boolean;
    data: Readonly<Record<string, unknown>>;
    prices: readonly { period: string; setupMinor: number; amountMinor: number }[];
    /** Whether an order waits for its payment; null: as the tenant's setting says. */
    payFirst?: boolean | null;
    /** The name of its services, with macros (billing/service-name.ts); empty: the product's own. */
    serviceName?: string;
    accountId: string;
  }): Promise<FormResult<{ productId: string }>>;
}

/** One way to pay that a client may choose. */
export interface OfferedGateway {
  readonly instanceId: string;
  readonly installationId: string;
  /** The admin's name of it. */
  readonly name: string;
  /** Of its module, for its title and icon. */
  readonly manifest: unknown;
}

/** Paying invoices through modules. */
/** A client and the way they pay an invoice. */
export interface PayInput {
  readonly tenantId: string;
  readonly invoiceId: string;
  readonly instanceId: string;
  readonly account: ModuleCaller;
  readonly returnUrl: string;
  readonly cancelUrl: string;
}

export interface Gateways {
  /** Instances that are on, of modules that are enabled. */
  offered(tenantId: string): Promise<readonly OfferedGateway[]>;
  /**
   * What the instance shows, or where it sends the client: to a granted host only, or to one of the two addresses of ours.
   * @throws NOT_FOUND, CONFLICT if nothing is due, NOT_GRANTED for a redirect elsewhere
   */
  pay(input: PayInput): Promise<ModuleResponse>;
  /** What the instance answers to a form in that. @throws as pay(), NOT_FOUND if its module takes none */
  submit(input: PayInput & { readonly request: ModuleRequest }): Promise<ModuleResponse>;
  /** Whether the module that a payment came through can give money back. */
  canRefund(instanceId: string): Promise<boolean>;
  /**
   * Notes a refund and queues the module's refund(); the task's page shows how it goes.
   * @throws NOT_FOUND, BAD_INPUT beyond what is left of the payment, CONFLICT for a gateway that cannot
   */
  refund(input: {
    tenantId: string;
    invoiceId: string;
    paymentId: string;
    amountMinor: number;
    reason: string;
    accountId: string;
  }): Promise<{ refundId: string; taskId: string }>;
  /** The client is back: the module looks at its gateway. What `query` says proves nothing. */
  returned(input: {
    tenantId: string;
    invoiceId: string;
    instanceId: string;
    query: Readonly<Record<string, string>>;
    account: ModuleCaller;
  }): Promise<void>;
}

/** Messages to people: what is sent again or tried, and what an admin writes. */
export interface NotificationCases {
  /** Queues a message that shows whether a sender works; `to` does not matter to a chat. */
  sendTest(input: {
    tenantId: string;
    instanceId: string;
    to: string;
  }): Promise<FormResult<{ deliveryId: string }>>;
  /** The same content once more; one in doubt keeps its id. @throws NOT_FOUND, CONFLICT */
  resend(input: { tenantId: string; deliveryId: string }): Promise<{ deliveryId: string }>;
  /** Of a delivery in doubt, of which a person knows that it arrived. @throws NOT_FOUND, CONFLICT */
  markSent(input: { tenantId: string; deliveryId: string }): Promise<void>;
  addRule(input: {
    tenantId: string;
    category: Category;
    event: string | null;
    minLevel: Level;
    instanceIds: readonly string[];
  }): Promise<FormResult>;
  removeRule(input: { tenantId: string; ruleId: string }): Promise<void>;
  /** A rule that is off tells nobody, and still keeps the host's own rules out. */
  switchRule(input: { tenantId: string; ruleId: string; active: boolean }): Promise<void>;
  template(tenantId: string, name: TemplateName, locale: Locale): Promise<Template>;
  layout(tenantId: string, locale: Locale): Promise<Layout>;
  saveTemplate(input: {
    tenantId: string;
    name: TemplateName;
    locale: Locale;
    template: TemplateWords;
  }): Promise<FormResult>;
  saveLayout(input: { tenantId: string; locale: Locale; html: string }): Promise<FormResult>;
  resetTemplate(input: { tenantId: string; name: TemplateName; locale: Locale }): Promise<void>;
  resetLayout(input: { tenantId: string; locale: Locale }): Promise<void>;
  /** Rendered with sample values. @throws BAD_INPUT with what is wrong with the template */
  preview(input: {
    tenantId: string;
    tenantName: string;
    locale: Locale;
    template: TemplateWords;
    /** The tenant's own if absent. */
    layout?: string;
  }): Promise<TemplateWords>;
}

export interface TemplateWords {
  readonly subject: string;
  readonly html: string;
  readonly plain: string;
}

/** Sets of settings of one installation, of a type that has them (Payment, Notification). */
export interface InstanceCases {
  create(input: {
    installationId: string;
    name: string;
    accountId: string;
  }): Promise<FormResult<{ instanceId: string }>>;
  rename(input: { instanceId: string; name: string; accountId: string }): Promise<FormResult>;
  /** Whether it is offered. Deliveries for what was begun before are taken all the same. */
  setActive(input: { instanceId: string; active: boolean; accountId: string }): Promise<void>;
  /** For good, with its secrets and its webhook address. @throws CONFLICT if payments came through it */
  remove(instanceId: string, accountId: string): Promise<void>;
  /** Its typed fields, or the module's own page for its frame. */
  form(instanceId: string): Promise<InstanceForm>;
  /** An empty secret leaves the stored one as it is. */
  save(input: {
    instanceId: string;
    values: Readonly<Record<string, unknown>>;
    accountId: string;
  }): Promise<FormResult>;
}

export type InstanceForm = FormView & {
  /** To be given to the other side; null if the module takes no deliveries. */
  readonly webhookUrl: string | null;
  /** True where the module draws its settings itself: getSettingsPage(). */
  readonly html: boolean;
};

export type ProductForm =
  | ({ readonly kind: 'fields' } & FormView)
  /** getProductPage()'s HTML; its inputs are `product_data[key]` or plain keys, collected by the frame kit on save. */
  | { readonly kind: 'html' };

export interface Billing {
  /** Fields of an order of this product (serviceFields), with their defaults. */
  orderForm(productId: string): Promise<FormView>;
  order(input: {
    clientId: string;
    productId: string;
    period: string;
    data: Readonly<Record<string, unknown>>;
    /** Who pressed the button: the client, or an admin for the client. */
    accountId: string;
    /** Of the form, new each time it is shown: the same one again is the same order. With it the client's rate limit applies. */
    token?: string;
  }): Promise<FormResult<{ serviceId: string; invoiceId: string | null }>>;
  /** Queues the action's job. `productId` is the target of change_package. @throws CONFLICT if the state does not allow it */
  serviceAction(input: {
    serviceId: string;
    action: ServiceAction;
    /** Null: the host itself, for billing. */
    accountId: string | null;
    productId?: string;
  }): Promise<{ message: string }>;
}

interface OfInvoice {
  readonly tenantId: string;
  readonly invoiceId: string;
  readonly accountId: string;
}

/** Invoices, credit and refunds, as people deal with them. All of it @throws NOT_FOUND for another tenant's, CONFLICT, BAD_INPUT. */
export interface Invoicing {
  settings(tenantId: string): Promise<BillingSettings>;
  saveSettings(tenantId: string, settings: BillingSettings): Promise<void>;
  /** One by hand. `dueAt` null: the tenant's days from now. */
  create(input: {
    tenantId: string;
    clientId: string;
    /** `amountMinor`: of the whole line, with or without tax as the settings say. */
    items: readonly { description: string; quantity?: number; amountMinor: number }[];
    dueAt: Date | null;
  }): Promise<{ invoiceId: string }>;
  /** Money that came in elsewhere. The same reference twice is booked once. */
  bookByHand(input: OfInvoice & { amountMinor: number; reference: string }): Promise<{ booked: boolean }>;
  useCredit(input: OfInvoice): Promise<void>;
  /** What was paid of it becomes credit; an order that waits for it is cancelled too. */
  cancel(input: OfInvoice): Promise<void>;
  setDueDate(input: OfInvoice & { dueAt: Date }): Promise<void>;
  /** Less than nothing takes away. */
  giveCredit(input: {
    tenantId: string;
    clientId: string;
    amountMinor: number;
    note: string;
    accountId: string;
  }): Promise<void>;
  /** A person sent the money back. */
  refundByHand(input: {
    tenantId: string;
    invoiceId: string;
    paymentId: string;
    amountMinor: number;
    reason: string;
    accountId: string;
  }): Promise<void>;
  /** A refund in doubt: a person looked whether it arrived. */
  settleRefund(input: {
    tenantId: string;
    invoiceId: string;
    refundId: string;
    arrived: boolean;
  }): Promise<void>;
  /** At the end of what is paid; an order that waits for its payment at once. @returns when */
  cancelService(input: { tenantId: string; serviceId: string; actor: 'client' | 'admin' }): Promise<Date>;
  keepService(input: { tenantId: string; serviceId: string }): Promise<void>;
}

export interface Jobs {
  /** Runs a failed or cancelled task again as it is. @throws CONFLICT */
  retry(taskId: string, accountId: string): Promise<void>;
  cancel(taskId: string, accountId: string): Promise<void>;
  /** Runs the step in doubt again: the person looked, and the request had no effect. @throws CONFLICT */
  resume(taskId: string, step: string, accountId: string): Promise<void>;
  /** Takes the step in doubt as done: the person looked, and the request had its effect. @throws CONFLICT */
  markStepDone(input: { taskId: string; step: string; value: unknown; accountId: string }): Promise<void>;
}

/** Who a module's page is shown to. Permissions are the account's keys; '*' is everything. */
export interface ModuleCaller {
  readonly id: string;
  readonly kind: 'admin' | 'client';
  readonly permissions: readonly string[];
}

/** Entries into a module that answer a browser. The implementer matches routes against the declaration and checks their permission. */
/** What stands around the frames of an installation. */
export interface ModuleOwner {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly version_id: string;
}

export interface ModuleCalls {
  /**
   * An enabled installation of this tenant, from the host's snapshot: each request to a module begins here and reads no SQL.
   * @throws NOT_FOUND, also for another tenant's; CONFLICT if it is not enabled
   */
  enabled(tenantId: string, installationId: string): Promise<ModuleOwner>;
  /**
   * An admin page or API route. `path` is below the module's prefix, without a leading slash: 'servers/1'.
   * A redirect to a route comes back as kind 'redirect' whose `to` is such a path; anything else is an outside address.
   * @throws NOT_FOUND (no such declared route), NOT_GRANTED (the account lacks the route's permission), CONFLICT (not active)
   */
  adminPage(input: {
    installationId: string;
    path: string;
    request: ModuleRequest;
    account: ModuleCaller;
  }): Promise<ModuleResponse>;
  /** getProductPage() of a product of this installation, for its frame. */
  productPage(input: {
    installationId: string;
    productId: string | null;
    account: ModuleCaller;
  }): Promise<ModuleResponse>;
  /** getSettingsPage() of an instance, for its frame. */
  settingsPage(input: { instanceId: string; account: ModuleCaller }): Promise<ModuleResponse>;
  /** getServicePage() of a service, for the admin's page of it. */
  servicePage(input: { serviceId: string; account: ModuleCaller }): Promise<ModuleResponse>;
  /** One tab of a service, rendered with variables_{tab}(). @throws NOT_FOUND for a tab that is not declared */
  clientTab(input: { serviceId: string; tab: string; account: ModuleCaller }): Promise<ModuleResponse>;
  /** controllerClient_{tab}{Verb}(request). */
  clientCall(input: {
    serviceId: string;
    tab: string;
    request: ModuleRequest;
    account: ModuleCaller;
  }): Promise<ModuleResponse>;
  /** True if the installation, with an instance's settings where one shows the page, may send a person to this outside address (permissions.redirect.hosts, or a host granted for http). */
  mayLeaveTo(of: { installationId: string; instanceId?: string }, url: string): Promise<boolean>;
  /** One file of a version's views/assets/, by its path below that folder; undefined if there is none. */
  asset(versionId: string, path: string): Promise<Uint8Array | undefined>;
  /** A webhook delivery. `hookId` is the unguessable id in the address. @throws NOT_FOUND, LIMIT */
  webhook(input: { hookId: string; request: ModuleRequest; address: string }): Promise<ModuleResponse>;
}

export interface Packages {
  /** Puts a version in force or refuses it. @throws CONFLICT */
  review(input: {
    versionId: string;
    decision: 'published' | 'revoked';
    reason: string;
    accountId: string;
  }): Promise<void>;
  /** Reads a package file: signature, contents, manifest, declaration. The version waits in review. @throws BAD_INPUT */
  upload(input: { bytes: Uint8Array; accountId: string | null }): Promise<{ versionId: string }>;
}

/** Stores elsewhere. Whatever asks one @throws HostError HTTP_FAILED, NOT_FOUND, LIMIT with what a person can do about it. */
export interface StoreCases {
  rows(): Promise<readonly StoreRow[]>;
  /** @throws NOT_FOUND */
  row(storeId: string): Promise<StoreRow>;
  add(input: {
    name: string;
    url: string;
    policy: StoreRow['policy'];
    accountId: string;
  }): Promise<FormResult<{ storeId: string }>>;
  setPolicy(input: { storeId: string; policy: StoreRow['policy'] }): Promise<void>;
  /** What was brought from it stays. */
  remove(storeId: string): Promise<void>;
  /** Of one store or of all; one that does not answer is named in `away`, never a throw. */
  offers(storeId?: string): Promise<{
    readonly offers: readonly RemoteOffer[];
    readonly away: readonly { readonly name: string; readonly reason: string }[];
  }>;
  module(input: { storeId: string; name: RemoteName }): Promise<RemotePage>;
  /** Pins the publisher's key, as the operator compared it. @throws CONFLICT if it is another by now */
  trust(input: { storeId: string; name: RemoteName; fingerprint: string }): Promise<void>;
  /** Brings a version here, where it waits in review or is published as the store's policy says. @throws CONFLICT, BAD_INPUT */
  bring(input: { storeId: string; name: RemoteName; version: string }): Promise<{
    moduleId: string;
    versionId: string;
    status: 'in_review' | 'published' | 'revoked';
  }>;
}

export interface StoreRow {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly policy: 'review' | 'publish';
  readonly addedAt: Date;
}

export interface RemoteName {
  readonly publisher: string;
  readonly type: string;
  readonly name: string;
}

/** Of a publisher's key here: pinned, never seen, another one is pinned, or taken back. */
export type Trust = 'trusted' | 'unknown' | 'other-key' | 'revoked';

export interface RemoteOffer extends RemoteName {
  readonly storeId: string;
  readonly storeName: string;
  readonly title: string;
  readonly description: string;
  readonly icon: string;
  readonly version: string;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly trust: Trust;
  /** The same publisher/Type/Name here, with its newest version. */
  readonly localModuleId: string | null;
  readonly localVersion: string | null;
  readonly isNewer: boolean;
}

export interface RemotePage extends RemoteName {
  readonly store: StoreRow;
  readonly title: string;
  readonly description: string;
  readonly icon: string;
  readonly author: string;
  readonly website: string;
  readonly version: string;
  readonly fingerprint: string;
  readonly knownFingerprint: string | null;
  readonly trust: Trust;
  readonly localModuleId: string | null;
  readonly lines: readonly {
    readonly text: string;
    readonly risk: Risk;
    readonly reason: string;
    readonly optional: boolean;
  }[];
  readonly versions: readonly {
    readonly version: string;
    readonly sizeBytes: number;
    readonly publishedAt: Date;
    readonly yanked: boolean;
    readonly reason: string | null;
    /** This very package's status here; null: not brought. */
    readonly here: 'in_review' | 'published' | 'revoked' | null;
  }[];
}

export interface TenantCases {
  /** Makes the tenant with its first admin, who holds every permission. */
  create(input: {
    slug: string;
    name: string;
    currency: string;
    timezone: string;
    admin: { email: string; name: string; password: string };
  }): Promise<FormResult<{ tenantId: string }>>;
  /** Private addresses the tenant's modules may reach; told to the runners at once. */
  allowEgress(input: {
    tenantId: string;
    allow: readonly { cidr: string; port: number }[];
    accountId: string;
  }): Promise<FormResult>;
}

export interface RunnerView {
  readonly id: string;
  /** The tenant's id, or 'shared'. */
  readonly group: string;
  readonly pid: number;
  readonly uid: number | null;
  readonly rssBytes: number;
  readonly cpuUs: number;
  readonly isolates: number;
  readonly invocations: number;
  readonly startedAt: Date;
}
