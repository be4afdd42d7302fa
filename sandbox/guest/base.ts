/**
 * The classes a module extends. `super()` has everything of contract §4 ready, so constructors and field initialisers may use it.
 * An instance lives for one invocation. What was not granted is absent (undefined) here and refused by the host besides.
 */
import type { Kysely } from 'kysely';
import type { Renewal, ServiceAction } from '../contract/kinds/product.ts';
import type { ClientAction, ServiceButton } from '../contract/kinds/service-care.ts';
import type { Field, Permission, Route, SidebarEntry } from '../contract/kinds/module.ts';
import type { Message } from '../contract/kinds/notification.ts';
import type { InvoiceView } from '../contract/kinds/payment.ts';
import type { OpInput, OpOutput } from '../contract/capabilities.ts';
import { type Cache, createCache } from './cache.ts';
import { createDb } from './db.ts';
import { currentRuntime } from './current.ts';
import type { Env } from './env.ts';
import type { On } from './hooks.ts';
import { createHttp, type HostStatus, type Http } from './http.ts';
import { type Moment, now } from './moment.ts';
import type { LogPart } from './own-name.ts';
import { randomInt, strongPassword } from './random.ts';
import { isRunning, PAYMENT_CALLS, runPaymentCall } from './payment-calls.ts';
import type { Reply } from './replies.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import {
  type Clients,
  createClients,
  createProducts,
  createServices,
  type Products,
  type Services,
} from './records.ts';
import { createStep, type Step } from './step.ts';
import { validate, validated, type Validated } from './validate.ts';
import type { Resources, ViewScope } from './view.ts';
import { translate } from './view.ts';
import type { GenericSchema, InferOutput } from 'valibot';

/** What the runtime gives the base classes of one invocation. */
export interface Runtime {
  readonly env: Env;
  readonly resources: Resources;
  readonly viewScope: ViewScope;
  render(template: string, data: Readonly<Record<string, unknown>>): string;
  /** Takes the handlers of hooks.ts. */
  readonly on: On;
  /** From the invocation’s own generator. */
  randomBytes(length: number): Uint8Array;
}

export type Data = Record<string, unknown>;
export interface SaveError {
  status: 'error';
  message?: string | Record<string, string | string[]>;
  errors?: Record<string, string | string[]>;
  code?: number;
}
export type SaveAnswer = { status: 'success'; data?: Data; code?: number } | SaveError;
export interface ActionAnswer {
  status?: string;
  success?: boolean;
  message?: unknown;
  error?: unknown;
  data?: unknown;
  retry?: boolean;
  /** As in HTTP; of a message, 4xx says that it is wrong and need not be tried again. */
  code?: number;
}
export type Tabs = Record<string, { name: string; template: string }>;
type Maybe<T> = T | Promise<T>;

/** `this.tasks` */
export interface Tasks {
  add(request: OpInput<'tasks', 'add'>): Promise<OpOutput<'tasks', 'add'>>;
  /** Those of this module in use, for `add({instance})`. */
  instances(): Promise<OpOutput<'tasks', 'instances'>['instances']>;
  get(uuid: string): Promise<OpOutput<'tasks', 'get'>>;
  cancel(uuid: string): Promise<boolean>;
  /** How far the running job is, in percent. */
  progress(percent: number, note?: string): void;
  /** Ends what `this.schedule` began for a method. */
  unschedule(method: string): Promise<void>;
}

/** `this.schedule` */
export type Schedule = (wanted: OpInput<'tasks', 'schedule'>) => Promise<OpOutput<'tasks', 'schedule'>>;
/** `this.mail` */
export interface Mail {
  send(mail: OpInput<'mail', 'send'>): Promise<OpOutput<'mail', 'send'>>;
}
/** `this.notify(…)`; gives the ids of what was queued. */
export type Notify = (message: OpInput<'notify', 'send'>) => Promise<readonly string[]>;

/** `this.smtp` */
export interface Smtp {
  send(mail: OpInput<'smtp', 'send'>): Promise<OpOutput<'smtp', 'send'>>;
}

/** `this.net` */
export interface Net {
  /** Milliseconds until the server took a connection. @param timeout seconds */
  connect(host: string, port: number, timeout?: number): Promise<number>;
  /** Milliseconds until the host answered. @param timeout seconds */
  ping(host: string, timeout?: number): Promise<number>;
  /** Asks the admin for a server that is not in the grant. */
  requestHost(host: string, port: number): Promise<HostStatus>;
}

function createNet(env: Env): Net {
  const timeoutMs = (timeout: number | undefined) =>
    timeout === undefined ? {} : { timeoutMs: Math.round(timeout * 1_000) };
  return {
    connect: async (host, port, timeout) =>
      (await env.call('net', 'connect', { host, port, ...timeoutMs(timeout) })).ms,
    ping: async (host, timeout) => (await env.call('net', 'ping', { host, ...timeoutMs(timeout) })).ms,
    requestHost: async (host, port) => (await env.call('net', 'requestHost', { host, port })).status,
  };
}

/** `this.events` */
export interface Events {
  /** Tells that something happened; the module’s name is put in front. @returns the event's uuid */
  dispatch(name: string, payload?: Data): Promise<string>;
}

function createTasks(env: Env): Tasks {
  return {
    add: (request) => env.call('tasks', 'add', request),
    instances: async () => (await env.call('tasks', 'instances', {})).instances,
    get: (uuid) => env.call('tasks', 'get', { uuid }),
    cancel: async (uuid) => (await env.call('tasks', 'cancel', { uuid })).cancelled,
    progress: (percent, note = '') => env.notify('tasks', 'progress', { percent, note }),
    unschedule: async (method) => {
      await env.call('tasks', 'unschedule', { method });
    },
  };
}

function createEvents(env: Env): Events {
  return {
    dispatch: async (name, payload = {}) => (await env.call('events', 'dispatch', { name, payload })).uuid,
  };
}

interface Auth {
  readonly id: string;
  readonly kind: string;
  readonly permissions: readonly string[];
  hasPermission(key: string): boolean;
}

/** What one instance knows: whom it works for, and what was made for it when it was first asked for. */
class Own {
  readonly runtime: Runtime;
  readonly env: Env;
  db: unknown = undefined;
  http: Http | undefined = undefined;
  #auth: Auth | null | undefined = undefined;
  #moduleData: Data | undefined = undefined;
  #productData: Data | undefined = undefined;
  #serviceData: Data | undefined = undefined;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    this.env = runtime.env;
  }

  has(capability: string): boolean {
    return this.env.context.capabilities.includes(capability);
  }

  get auth(): Auth | null {
    if (this.#auth !== undefined) return this.#auth;
    const { auth } = this.env.context;
    const hasPermission = (key: string): boolean =>
      auth?.permissions.includes('*') === true || auth?.permissions.includes(key) === true;
    return (this.#auth = auth === null ? null : { ...auth, hasPermission });
  }

  get module_data(): Data {
    return (this.#moduleData ??= {});
  }

  set module_data(data: Data) {
    this.#moduleData = data;
  }

  get product_data(): Data {
    return (this.#productData ??= { ...this.env.context.product?.data });
  }

  set product_data(data: Data) {
    this.#productData = data;
  }

  get service_data(): Data {
    const { service } = this.env.context;
    return (this.#serviceData ??= { ...service?.data, ...service?.provision_data });
  }

  set service_data(data: Data) {
    this.#serviceData = data;
  }

  log(level: 'debug' | 'info' | 'error', action: string, request?: LogPart, response?: LogPart): void {
    this.env.notify('logs', 'write', { level, action, request, response });
  }
}

/** The properties of contract §4 that are there without being asked of the host. */
const PROPERTIES = {
  module_name: ({ env }: Own) => env.context.module.name,
  module_type: ({ env }: Own) => env.context.module.type,
  module_version: ({ env }: Own) => env.context.module.version,
  tenant: ({ env }: Own) => env.context.tenant,
  auth: ({ auth }: Own) => auth,
  locale: ({ env }: Own) => env.context.locale,
  product_uuid: ({ env }: Own) => env.context.product?.uuid ?? null,
  service_uuid: ({ env }: Own) => env.context.service?.uuid ?? null,
  task_uuid: ({ env }: Own) => env.context.task?.uuid ?? null,
  instance: ({ env }: Own) => env.context.instance,
  webhook_url: ({ env }: Own) => env.context.webhook_url,
} as const;
/** Those that methods of the module replace. */
const DATA = ['module_data', 'product_data', 'service_data'] as const;

/** Everything modules and controllers share. `Tables` types `this.db`. */
export abstract class Base<Tables = Record<string, Record<string, unknown>>> {
  declare readonly module_name: string;
  declare readonly module_type: string;
  declare readonly module_version: string;
  declare readonly tenant: Env['context']['tenant'];
  declare readonly auth: Auth | null;
  declare readonly locale: string;
  declare readonly product_uuid: string | null;
  declare readonly service_uuid: string | null;
  declare readonly task_uuid: string | null;
  /** The set of settings this call is for; null where it is about the module as a whole. */
  declare readonly instance: Env['context']['instance'];
  /** Where deliveries from outside are taken for this instance, else for this module. */
  declare readonly webhook_url: string | null;
  /** What getModuleData made of the instance's settings. */
  declare module_data: Data;
  /** What getProductData made of the stored configuration. */
  declare product_data: Data;
  /** What getServiceData made of the order, with provision data over it. */
  declare service_data: Data;
  readonly #own: Own;

  /**
   * A module's class is made anew for each invocation, and each property that a constructor gives to an instance of a new class costs as
   * much as a small function. So an instance has one, and what the others say is read when it is asked for.
   */
  static {
    for (const name of Object.keys(PROPERTIES) as (keyof typeof PROPERTIES)[]) {
      const read: (own: Own) => unknown = PROPERTIES[name];
      Object.defineProperty(this.prototype, name, {
        get(this: Base): unknown {
          return read(this.#own);
        },
        set(this: Base, value: unknown) {
          Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
        },
      });
    }
    for (const name of DATA)
      Object.defineProperty(this.prototype, name, {
        get(this: Base): Data {
          return this.#own[name];
        },
        set(this: Base, data: Data) {
          this.#own[name] = data;
        },
      });
  }

  constructor() {
    this.#own = new Own(currentRuntime());
  }

  /** Where a gateway sends the client back to; '' where the call is not about a client's payment. */
  protected payUrl(which: 'return_url' | 'cancel_url'): string {
    return this.#own.env.context.pay?.[which] ?? '';
  }

  /** Tables of the module's own. */
  get db(): Kysely<Tables> {
    if (!this.#own.has('db')) return undefined as never;
    this.#own.db ??= createDb<Tables>(this.#own.env);
    return this.#own.db as Kysely<Tables>;
  }

  /** Requests to granted hosts; `this.http.client({...})` for an API client. */
  get http(): Http {
    if (!this.#own.has('http')) return undefined as never;
    return (this.#own.http ??= createHttp(this.#own.env).http);
  }

  /** A mail to a client or to staff, through the tenant's own senders. */
  get mail(): Mail {
    const { env } = this.#own;
    return this.#own.has('mail') ? { send: (mail) => env.call('mail', 'send', mail) } : (undefined as never);
  }

  /** Tells a category of people something; the tenant's rules say how. */
  get notify(): Notify {
    const { env } = this.#own;
    return this.#own.has('notify')
      ? async (message) => (await env.call('notify', 'send', message)).deliveries
      : (undefined as never);
  }

  /** Mail through a granted mail server; for modules that are senders. */
  get smtp(): Smtp {
    const { env } = this.#own;
    return this.#own.has('smtp') ? { send: (mail) => env.call('smtp', 'send', mail) } : (undefined as never);
  }

  get tasks(): Tasks {
    return this.#own.has('tasks') ? createTasks(this.#own.env) : (undefined as never);
  }

  /** Runs a method again and again: `{method, cron}` in the tenant's time zone, or `{method, every}` in seconds. */
  get schedule(): Schedule {
    const { env } = this.#own;
    return this.#own.has('tasks') ? (wanted) => env.call('tasks', 'schedule', wanted) : (undefined as never);
  }

  /** Whether servers answer. */
  get net(): Net {
    return this.#own.has('net') ? createNet(this.#own.env) : (undefined as never);
  }

  get events(): Events {
    return this.#own.has('events') ? createEvents(this.#own.env) : (undefined as never);
  }

  get service(): Services {
    return createServices(this.#own.env);
  }

  /** The tenant's clients: what of them was granted. */
  get clients(): Clients {
    return this.#own.has('clients') ? createClients(this.#own.env) : (undefined as never);
  }

  /** What the tenant sells. */
  get products(): Products {
    return this.#own.has('products') ? createProducts(this.#own.env) : (undefined as never);
  }

  /** A named, resumable part of a job. */
  get step(): Step {
    return createStep(this.#own.env);
  }

  /** Results kept for a while: `remember` asks again only when they are gone. */
  get cache(): Cache {
    return this.#own.has('cache') ? createCache(this.#own.env) : (undefined as never);
  }

  /** The tenant's invoices, as far as granted. */
  get invoices(): Invoices {
    if (!this.#own.has('invoices')) return undefined as never;
    const { env } = this.#own;
    return {
      get: (uuid) => env.call('invoices', 'get', { uuid }),
      list: (where = {}) => env.call('invoices', 'list', where),
      recordPayment: (payment) =>
        env.call('invoices', 'recordPayment', { handled: isRunning(env, 'onPaymentSuccess'), ...payment }),
      recordFailure: async (failure) => {
        const handled = isRunning(env, 'onPaymentFailed');
        await env.call('invoices', 'recordFailure', { handled, ...failure });
      },
    };
  }

  get crypt(): {
    encryptString(text: string): Promise<string>;
    decryptString(sealed: string): Promise<string>;
  } {
    const { env } = this.#own;
    return {
      encryptString: async (text) => (await env.call('crypt', 'encrypt', { text })).sealed,
      decryptString: async (sealed) => (await env.call('crypt', 'decrypt', { sealed })).text,
    };
  }

  async encrypt(text: string): Promise<string> {
    return this.crypt.encryptString(text);
  }

  async decrypt(sealed: string): Promise<string> {
    return this.crypt.decryptString(sealed);
  }

  /** Computing with secrets, and storing one; none can be read. */
  get secrets(): Secrets {
    return this.#own.has('secrets') ? createSecrets(this.#own.env) : (undefined as never);
  }

  /** The handle of a secret: a text to join into a header, the URL or the body. Its value never comes here. */
  secret(name: string): string {
    return this.#own.env.context.secrets[name] ?? '';
  }

  /** One configuration value (settings over the manifest's config), or the whole record without a key. */
  config(): Readonly<Data>;
  config(key: string): unknown;
  config(key?: string): unknown {
    const { config } = this.#own.env.context;
    if (key === undefined) return config;
    return Object.hasOwn(config, key) ? config[key] : null;
  }

  /** Renders a template of this module to HTML. 'admin_area.product' is views/admin_area/product.liquid. */
  view(template: string, data: Readonly<Data> = {}): string {
    return this.#own.runtime.render(template, data);
  }

  t(key: string, values: Readonly<Data> = {}): string {
    return translate(this.#own.runtime.resources.lang, this.locale, key, values);
  }

  /** The checked data. @throws ValidationError with the errors by field */
  validated<S extends GenericSchema>(schema: S, data: unknown): InferOutput<S> {
    return validated(schema, data);
  }

  validate<S extends GenericSchema>(schema: S, data: unknown): Validated<InferOutput<S>> {
    return validate(schema, data);
  }

  /** The present instant, with `addDays(n)`, `toDateTimeString()` and the like. */
  now(): Moment {
    return now();
  }

  getCurrentVersion(): string {
    return this.#own.env.context.from_version ?? this.module_version;
  }

  /** A password with lower case, upper case and digits in it, from the invocation's secure randomness. */
  generateStrongPassword(length = 16): string {
    return strongPassword(this.#own.runtime.randomBytes, length);
  }

  /** A whole number from min to max, both included. */
  randomInt(min: number, max: number): number {
    return randomInt(this.#own.runtime.randomBytes, min, max);
  }

  /** Runs fn and logs how long it took and how much memory it left in use. */
  async measure<T>(name: string, fn: () => Maybe<T>): Promise<T> {
    const { env } = this.#own;
    const heapBytes = await env.heapBytes();
    const startedMs = Date.now();
    try {
      return await fn();
    } finally {
      const ms = Date.now() - startedMs;
      const usedBytes = await env.heapBytes();
      this.logInfo('performance', {
        operation: name,
        execution_time: `${ms}ms`,
        memory_usage: `${Math.round((usedBytes - heapBytes) / 1_024)}KB`,
        memory: `${Math.round(usedBytes / 104_857.6) / 10}MB`,
      });
    }
  }

  logDebug(action: string, request?: LogPart, answer?: LogPart): void {
    this.#own.log('debug', action, request, answer);
  }

  logInfo(action: string, request?: LogPart, answer?: LogPart): void {
    this.#own.log('info', action, request, answer);
  }

  logError(action: string, request?: LogPart, answer?: LogPart): void {
    this.#own.log('error', action, request, answer);
  }
}

/** A module of any type: lifecycle, permissions, menu and routes, each with a working default. */
export abstract class Module<Tables = Record<string, Record<string, unknown>>> extends Base<Tables> {
  activate(): Maybe<string> {
    return 'success';
  }
  deactivate(): Maybe<string> {
    return 'success';
  }
  update(_fromVersion: string): Maybe<string> {
    return 'success';
  }
  purge(): Maybe<string> {
    return 'success';
  }
  adminPermissions(): Maybe<Permission[]> {
    return [];
  }
  adminSidebar(): Maybe<SidebarEntry[]> {
    return [];
  }
  adminWebRoutes(): Maybe<Route[]> {
    return [];
  }
  adminApiRoutes(): Maybe<Route[]> {
    return [];
  }
}

export abstract class Plugin<Tables = Record<string, Record<string, unknown>>> extends Module<Tables> {}

/** A controller: the methods that routes name, with the same `this` as the module. */
export abstract class Controller<Tables = Record<string, Record<string, unknown>>> extends Base<Tables> {}

export abstract class Product<Tables = Record<string, Record<string, unknown>>> extends Module<Tables> {
  productFields(): Maybe<Field[]> {
    return [];
  }
  serviceFields(): Maybe<Field[]> {
    return [];
  }
  getProductData(data: Data): Maybe<Data> {
    this.product_data = data;
    return data;
  }
  saveProductData(data: Data): Maybe<SaveAnswer> {
    return { status: 'success', data, code: 200 };
  }
  getProductPage(): Maybe<string> {
    return '';
  }
  getServiceData(data: Data): Maybe<Data> {
    this.service_data = data;
    return data;
  }
  saveServiceData(data: Data): Maybe<SaveAnswer> {
    return { status: 'success', data, code: 200 };
  }
  getServicePage(): Maybe<string> {
    return '';
  }
  getClientAreaMenuConfig(): Maybe<Tabs> {
    return {};
  }

  create(): Maybe<ActionAnswer> {
    return this.queueAction('create');
  }
  suspend(): Maybe<ActionAnswer> {
    return this.queueAction('suspend');
  }
  unsuspend(): Maybe<ActionAnswer> {
    return this.queueAction('unsuspend');
  }
  termination(): Maybe<ActionAnswer> {
    return this.queueAction('termination');
  }
  change_package(): Maybe<ActionAnswer> {
    return this.queueAction('change_package');
  }

  // After the job the host itself sets status and dates; one of these is called only where a module has its own.
  createCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }
  suspendCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }
  unsuspendCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }
  terminationCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }
  change_packageCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }

  renewCallback(result: unknown, _taskUuid: string): Maybe<unknown> {
    return result;
  }

  /** Queues renewJob() with the period that was paid. Called only where there is a renewJob(), or a renew() of the module's own. */
  renew(paid: Renewal): Maybe<ActionAnswer> {
    return this.queueAction('renew', { ...paid });
  }
  adminButtons(): Maybe<ServiceButton[]> {
    return [];
  }
  clientButtons(): Maybe<ServiceButton[]> {
    return [];
  }
  /** What clients may do themselves: 'changePassword', 'singleSignOn'. */
  clientActions(): Maybe<ClientAction[]> {
    return [];
  }

  /** What create() and its like do: provision status 'processing', then the action's job (contract A09). */
  protected async queueAction(action: ServiceAction, params: Data = {}): Promise<ActionAnswer> {
    await this.service.setProvisionStatus('processing');
    await this.tasks.add({
      method: `${action}Job`,
      params,
      tries: 1,
      backoff: 60,
      timeout: 600,
      maxExceptions: 1,
      tags: [action, `service:${this.service_uuid ?? ''}`],
    });
    return { status: 'success' };
  }
}

/** What getClientAreaHtml gets. */
export interface PayData extends Data {
  readonly invoice: InvoiceView;
}
export interface RefundAnswer {
  status?: string;
  success?: boolean;
  /** The gateway's own number of the refund. */
  transaction_id?: string;
  message?: unknown;
}

/** `this.invoices` */
export interface Invoices {
  get(uuid: string): Promise<InvoiceView>;
  list(
    where?: OpInput<'invoices', 'list'>,
  ): Promise<{ readonly invoices: readonly InvoiceView[]; readonly next?: string | undefined }>;
  /** Exactly once for each transaction_id of this instance; amounts in minor units. */
  recordPayment(
    payment: OpInput<'invoices', 'recordPayment'>,
  ): Promise<OpOutput<'invoices', 'recordPayment'>>;
  recordFailure(failure: OpInput<'invoices', 'recordFailure'>): Promise<void>;
}

/** A payment module. Amounts are integer minor units. */
export abstract class Payment<Tables = Record<string, Record<string, unknown>>> extends Module<Tables> {
  getModuleData(data: Data): Maybe<Data> {
    return data;
  }
  getSettingsPage(_data: Data & { webhook_url: string }): Maybe<string> {
    return '';
  }
  getClientAreaHtml(_data: PayData): Maybe<string | Reply> {
    return '';
  }

  constructor() {
    super();
    const { env } = currentRuntime();
    for (const name of PAYMENT_CALLS) {
      const method = this[name];
      if (method === Payment.prototype[name]) continue;
      const value = (payload: Data): unknown => runPaymentCall(env, name, () => method.call(this, payload));
      Object.defineProperty(this, name, { value, writable: true, configurable: true });
    }
  }

  /** Called by the host after a payment was booked, with what the gateway told and `payment`; not if this method booked it itself. */
  onPaymentSuccess(_payload: Data): Maybe<unknown> {
    return { status: 'success' };
  }
  /** The same for an attempt that failed, with `failure`. */
  onPaymentFailed(_payload: Data): Maybe<unknown> {
    return { status: 'success' };
  }

  /** Where the gateway sends the client back to after paying. */
  getReturnUrl(): string {
    return this.payUrl('return_url');
  }

  /** Where the gateway sends a client who gave up. */
  getCancelUrl(): string {
    return this.payUrl('cancel_url');
  }
}

/** A module that carries messages. */
export abstract class Notification<Tables = Record<string, Record<string, unknown>>> extends Module<Tables> {
  getModuleData(data: Data): Maybe<Data> {
    return data;
  }
  getSettingsPage(_data: Data): Maybe<string> {
    return '';
  }
  abstract send(data: Message): Maybe<ActionAnswer>;
}
