/**
 * The classes a module extends. `super()` has everything of contract §4 ready, so constructors and field initialisers may use it.
 * An instance lives for one invocation. What was not granted is absent (undefined) here and refused by the host besides.
 */
import type { Kysely } from 'kysely';
import type { ServiceAction } from '../contract/kinds/product.ts';
import type { Field, Permission, Route, SidebarEntry } from '../contract/kinds/module.ts';
import type { Message } from '../contract/kinds/notification.ts';
import type { InvoiceView } from '../contract/kinds/payment.ts';
import type { OpInput, OpOutput } from '../contract/capabilities.ts';
import { type Cache, createCache } from './cache.ts';
import { createDb } from './db.ts';
import type { Env } from './env.ts';
import type { On } from './hooks.ts';
import { createHttp, type HostStatus, type Http } from './http.ts';
import { type Moment, now } from './moment.ts';
import type { LogPart } from './own-name.ts';
import { randomInt, strongPassword } from './random.ts';
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

/** Everything modules and controllers share. `Tables` types `this.db`. */
export abstract class Base<Tables = Record<string, Record<string, unknown>>> {
  readonly module_name: string;
  readonly module_type: string;
  readonly module_version: string;
  readonly tenant: Env['context']['tenant'];
  readonly auth: {
    readonly id: string;
    readonly kind: string;
    readonly permissions: readonly string[];
    hasPermission(key: string): boolean;
  } | null;
  readonly locale: string;
  readonly product_uuid: string | null;
  readonly service_uuid: string | null;
  readonly task_uuid: string | null;
  /** The set of settings this call is for; null where it is about the module as a whole. */
  readonly instance: Env['context']['instance'];
  /** Where deliveries from outside are taken for this instance, else for this module. */
  readonly webhook_url: string | null;
  /** What getModuleData made of the instance's settings. */
  module_data: Data = {};
  /** What getProductData made of the stored configuration. */
  product_data: Data;
  /** What getServiceData made of the order, with provision data over it. */
  service_data: Data;
  readonly #runtime: Runtime;
  #db: Kysely<Tables> | undefined;
  #http: Http | undefined;

  constructor(runtime: Runtime) {
    const { context } = runtime.env;
    this.#runtime = runtime;
    this.module_name = context.module.name;
    this.module_type = context.module.type;
    this.module_version = context.module.version;
    this.tenant = context.tenant;
    const auth = context.auth;
    this.auth =
      auth === null
        ? null
        : {
            ...auth,
            hasPermission: (key) => auth.permissions.includes('*') || auth.permissions.includes(key),
          };
    this.locale = context.locale;
    this.product_uuid = context.product?.uuid ?? null;
    this.service_uuid = context.service?.uuid ?? null;
    this.task_uuid = context.task?.uuid ?? null;
    this.instance = context.instance;
    this.webhook_url = context.webhook_url;
    this.product_data = { ...context.product?.data };
    this.service_data = { ...context.service?.data, ...context.service?.provision_data };
  }

  /** Where a gateway sends the client back to; '' where the call is not about a client's payment. */
  protected payUrl(which: 'return_url' | 'cancel_url'): string {
    return this.#runtime.env.context.pay?.[which] ?? '';
  }

  #has(capability: string): boolean {
    return this.#runtime.env.context.capabilities.includes(capability);
  }

  /** Tables of the module's own. */
  get db(): Kysely<Tables> {
    if (!this.#has('db')) return undefined as never;
    return (this.#db ??= createDb<Tables>(this.#runtime.env));
  }

  /** Requests to granted hosts; `this.http.client({...})` for an API client. */
  get http(): Http {
    if (!this.#has('http')) return undefined as never;
    this.#http ??= createHttp(this.#runtime.env).http;
    return this.#http;
  }

  /** A mail to a client or to staff, through the tenant's own senders. */
  get mail(): Mail {
    const { env } = this.#runtime;
    return this.#has('mail') ? { send: (mail) => env.call('mail', 'send', mail) } : (undefined as never);
  }

  /** Tells a category of people something; the tenant's rules say how. */
  get notify(): Notify {
    const { env } = this.#runtime;
    return this.#has('notify')
      ? async (message) => (await env.call('notify', 'send', message)).deliveries
      : (undefined as never);
  }

  /** Mail through a granted mail server; for modules that are senders. */
  get smtp(): Smtp {
    const { env } = this.#runtime;
    return this.#has('smtp') ? { send: (mail) => env.call('smtp', 'send', mail) } : (undefined as never);
  }

  get tasks(): Tasks {
    return this.#has('tasks') ? createTasks(this.#runtime.env) : (undefined as never);
  }

  /** Runs a method again and again: `{method, cron}` in the tenant's time zone, or `{method, every}` in seconds. */
  get schedule(): Schedule {
    const { env } = this.#runtime;
    return this.#has('tasks') ? (wanted) => env.call('tasks', 'schedule', wanted) : (undefined as never);
  }

  /** Whether servers answer. */
  get net(): Net {
    return this.#has('net') ? createNet(this.#runtime.env) : (undefined as never);
  }

  get events(): Events {
    return this.#has('events') ? createEvents(this.#runtime.env) : (undefined as never);
  }

  get service(): Services {
    return createServices(this.#runtime.env);
  }

  /** The tenant's clients: what of them was granted. */
  get clients(): Clients {
    return this.#has('clients') ? createClients(this.#runtime.env) : (undefined as never);
  }

  /** What the tenant sells. */
  get products(): Products {
    return this.#has('products') ? createProducts(this.#runtime.env) : (undefined as never);
  }

  /** A named, resumable part of a job. */
  get step(): Step {
    return createStep(this.#runtime.env);
  }

  /** Results kept for a while: `remember` asks again only when they are gone. */
  get cache(): Cache {
    return this.#has('cache') ? createCache(this.#runtime.env) : (undefined as never);
  }

  /** The tenant's invoices, as far as granted. */
  get invoices(): Invoices {
    if (!this.#has('invoices')) return undefined as never;
    const { env } = this.#runtime;
    return {
      get: (uuid) => env.call('invoices', 'get', { uuid }),
      list: (where = {}) => env.call('invoices', 'list', where),
      recordPayment: (payment) => env.call('invoices', 'recordPayment', payment),
      recordFailure: async (failure) => {
        await env.call('invoices', 'recordFailure', failure);
      },
    };
  }

  get crypt(): {
    encryptString(text: string): Promise<string>;
    decryptString(sealed: string): Promise<string>;
  } {
    const { env } = this.#runtime;
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
    return this.#has('secrets') ? createSecrets(this.#runtime.env) : (undefined as never);
  }

  /** The handle of a secret: a text to join into a header, the URL or the body. Its value never comes here. */
  secret(name: string): string {
    return this.#runtime.env.context.secrets[name] ?? '';
  }

  /** One configuration value (settings over the manifest's config), or the whole record without a key. */
  config(): Readonly<Data>;
  config(key: string): unknown;
  config(key?: string): unknown {
    const { config } = this.#runtime.env.context;
    if (key === undefined) return config;
    return Object.hasOwn(config, key) ? config[key] : null;
  }

  /** Renders a template of this module to HTML. 'admin_area.product' is views/admin_area/product.liquid. */
  view(template: string, data: Readonly<Data> = {}): string {
    return this.#runtime.render(template, data);
  }

  t(key: string, values: Readonly<Data> = {}): string {
    return translate(this.#runtime.resources.lang, this.locale, key, values);
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
    return this.#runtime.env.context.from_version ?? this.module_version;
  }

  /** A password with lower case, upper case and digits in it, from the invocation's secure randomness. */
  generateStrongPassword(length = 16): string {
    return strongPassword(this.#runtime.randomBytes, length);
  }

  /** A whole number from min to max, both included. */
  randomInt(min: number, max: number): number {
    return randomInt(this.#runtime.randomBytes, min, max);
  }

  /** Runs fn and logs how long it took and how much memory it left in use. */
  async measure<T>(name: string, fn: () => Maybe<T>): Promise<T> {
    const { env } = this.#runtime;
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
    this.#log('debug', action, request, answer);
  }

  logInfo(action: string, request?: LogPart, answer?: LogPart): void {
    this.#log('info', action, request, answer);
  }

  logError(action: string, request?: LogPart, answer?: LogPart): void {
    this.#log('error', action, request, answer);
  }

  #log(
    level: 'debug' | 'info' | 'error',
    action: string,
    request: LogPart | undefined,
    answer: LogPart | undefined,
  ): void {
    this.#runtime.env.notify('logs', 'write', { level, action, request, response: answer });
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

  /** What the five above do: provision status 'processing', then the action's job (contract A09). */
  protected async queueAction(action: ServiceAction): Promise<ActionAnswer> {
    await this.service.setProvisionStatus('processing');
    await this.tasks.add({
      method: `${action}Job`,
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
  onPaymentSuccess(_payload: Data): Maybe<unknown> {
    return { status: 'success' };
  }
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
