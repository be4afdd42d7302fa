/**
 * A module in its author's tests: its methods called directly, in the real sandbox, with what the host prepares before each call; and
 * what came of it: tasks, log lines, requests, the service's state.
 */
import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall, ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import { HOST_ONLY_METHODS } from '../../sandbox/contract/kinds.ts';
import { createInvoice } from '../billing/invoices.ts';
import { judgeLifecycle, responseOf, valueOf } from '../catalog/answers.ts';
import type { FakeCloud } from '../fakecloud/spawn.ts';
import { enqueueTask } from '../jobs/queue.ts';
import type { ModuleCaller, PayInput } from '../web/deps.ts';
import type { FakeApi } from './api.ts';
import type { KitHost, KitTenant } from './host.ts';
import { type RunTasksOptions, runTasks, type TaskView, readTasks } from './tasks.ts';

export type Values = Readonly<Record<string, unknown>>;

/** Everything load() found out about the module it put in place. */
export interface Installed extends KitTenant {
  readonly host: KitHost;
  readonly name: string;
  readonly folder: string;
  readonly installationId: string;
  readonly instanceId: string | null;
  readonly cloud: FakeCloud | undefined;
  readonly api: FakeApi | undefined;
}

export interface LogLine {
  readonly level: string;
  readonly action: string;
  readonly request: unknown;
  readonly response: unknown;
  /** 'module', or 'host' for what the host says about it (refusals, errors). */
  readonly source: string;
}

export interface RequestLine {
  /** 'POST api.example.com/accounts': no query string, no secret. */
  readonly target: string;
  readonly status: number | null;
  readonly error_code: string | null;
}

export interface BookedPayment {
  readonly transaction_id: string | null;
  readonly amount: number;
  readonly fee: number;
}

export interface ServiceState {
  readonly uuid: string;
  readonly status: string;
  readonly provision_status: string;
  readonly data: Values;
  readonly provision_data: Values;
}

const Json = v.record(v.string(), v.unknown());
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const VERBS: readonly ModuleRequest['method'][] = ['GET', 'POST', 'PUT', 'DELETE'];

const onModule = (method: string, ...args: readonly unknown[]): ModuleCall => ({
  target: { on: 'module' },
  method,
  args,
});

/** A request as the panel hands it to a module. */
export function requestOf(method: string, path: string, body?: unknown, headers: Values = {}): ModuleRequest {
  const verb = VERBS.find((known) => known === method.toUpperCase());
  if (verb === undefined)
    throw new HostError('BAD_INPUT', `${method}: one of ${VERBS.join(', ')} is expected.`);
  const isText = typeof body === 'string';
  const type: [string, string][] = body === undefined || isText ? [] : [['content-type', 'application/json']];
  return {
    method: verb,
    url: `http://127.0.0.1:4300/${path}`,
    headers: [
      ...type,
      ...Object.entries(headers).map(([key, value]): [string, string] => [key, String(value)]),
    ],
    body: { text: isText ? body : body === undefined ? '' : JSON.stringify(body) },
    params: {},
  };
}

export class KitModule implements AsyncDisposable {
  readonly #at: Installed;
  readonly #services = new Map<string, string>();
  #serviceId: string | null = null;
  #productId: string | null = null;
  #productData: Values = {};
  #serviceData: Values = {};

  constructor(at: Installed) {
    this.#at = at;
  }

  get installed(): Installed {
    return this.#at;
  }

  /** The fake cloud that load() started. @throws HostError without one */
  get cloud(): FakeCloud {
    if (this.#at.cloud === undefined)
      throw new HostError('CONFLICT', 'There is no fake cloud: give load() the option cloud: true.');
    return this.#at.cloud;
  }

  /** The service that load() started from its option `api`, with what it was asked. @throws HostError without one */
  get api(): FakeApi {
    if (this.#at.api === undefined)
      throw new HostError('CONFLICT', 'There is no such service: give load() the option api.');
    return this.#at.api;
  }

  /**
   * Calls a method of the module as the host would: as the admin, with getProductData and getServiceData before it when a service was
   * set. activate(), update() and the like run with what only they may do; a …Job runs as a background job.
   * @throws HostError with the module's error
   */
  async call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    if (HOST_ONLY_METHODS.has(method)) return this.#lifecycle(method, args);
    if (method.endsWith('Job')) return this.#job(method, args);
    const prepared = await this.#prepared();
    const { results } = await this.#at.host.bulkhead.invoker.invoke({
      ...this.#identity(),
      purpose: 'request',
      calls: [...prepared, onModule(method, ...args)],
    });
    const last = results.at(-1);
    return last !== undefined && 'response' in last ? last.response : valueOf(last);
  }

  #identity() {
    const { installationId, instanceId } = this.#at;
    return { installationId, instanceId, serviceId: this.#serviceId, account: this.admin };
  }

  async #lifecycle(method: string, args: readonly unknown[]): Promise<unknown> {
    const { installationId } = this.#at;
    const { results, deferred } = await this.#at.host.bulkhead.invoker.invoke({
      installationId,
      purpose: 'lifecycle',
      calls: [onModule(method, ...args)],
      judge: judgeLifecycle,
    });
    const { db } = this.#at.host.bulkhead.panel;
    await db.transaction().execute(async (trx) => {
      for (const work of deferred) await work(trx);
    });
    return valueOf(results.at(-1));
  }

  async #job(method: string, [params = {}]: readonly unknown[]): Promise<unknown> {
    const { bulkhead } = this.#at.host;
    const { installationId, instanceId } = this.#at;
    const { id } = await enqueueTask(bulkhead.panel.db, {
      installationId,
      instanceId,
      serviceId: this.#serviceId,
      method,
      params: v.parse(Json, params),
      // Told apart from what the module itself may have queued.
      tags: [`kit:${randomUUID()}`],
    });
    const task = (await this.runTasks()).find(({ uuid }) => uuid === id);
    if (task?.status === 'completed') return task.result;
    const failed = v.safeParse(v.looseObject({ code: v.string(), message: v.string() }), task?.error);
    throw new HostError(
      'MODULE_ERROR',
      failed.success
        ? `${method}: ${failed.output.code}: ${failed.output.message}`
        : `${method} ended as ${task?.status ?? 'nothing'}: ${JSON.stringify(task?.error ?? task?.result)}`,
    );
  }

  /** What the host calls first, so that this.product_data and this.service_data are there. */
  async #prepared(): Promise<ModuleCall[]> {
    if (this.#serviceId === null) return [];
    const row = await this.#at.host.bulkhead.panel.db
      .selectFrom('services as service')
      .innerJoin('products as product', 'product.id', 'service.product_id')
      .select(['service.data', 'service.provision_data', 'product.data as product_data'])
      .where('service.id', '=', this.#serviceId)
      .executeTakeFirstOrThrow();
    const data = { ...v.parse(Json, row.data), ...v.parse(Json, row.provision_data) };
    return [onModule('getProductData', row.product_data), onModule('getServiceData', data)];
  }

  get admin(): ModuleCaller {
    return { id: this.#at.adminId, kind: 'admin', permissions: ['*'] };
  }

  get client(): ModuleCaller {
    return { id: this.#at.clientId, kind: 'client', permissions: [] };
  }

  /** What products made from now on are configured with: as an admin would save it. */
  setProductData(data: Values): void {
    this.#productData = data;
    this.#productId = null;
  }

  /** What services made from now on were ordered with: as a client would enter it. */
  setServiceData(data: Values): void {
    this.#serviceData = data;
  }

  /**
   * The service that calls are about from now on. A name that is no uuid ('test-uuid') stands for a service of the kit's own, made when
   * it is first named; null means none.
   * @returns its uuid
   */
  async setServiceUuid(uuid: string | null): Promise<string | null> {
    if (uuid === null || UUID.test(uuid)) this.#serviceId = uuid;
    else {
      const known = this.#services.get(uuid) ?? (await this.newService());
      this.#services.set(uuid, known);
      this.#serviceId = known;
    }
    return this.#serviceId;
  }

  /** A service that nothing was done with yet: it was ordered, and create() was not called. @returns its uuid */
  async newService(): Promise<string> {
    const { bulkhead } = this.#at.host;
    const { tenantId, clientId, installationId } = this.#at;
    const row = await bulkhead.panel.db
      .insertInto('services')
      .values({
        tenant_id: tenantId,
        client_id: clientId,
        product_id: await this.product(),
        installation_id: installationId,
        name: 'Kit service',
        data: { ...this.#serviceData },
        period: 'monthly',
        amount_minor: 0,
        currency: 'USD',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    return row.id;
  }

  /** A product of this module with what setProductData was given. @throws HostError BAD_INPUT with the module's errors by field */
  async product(): Promise<string> {
    if (this.#productId !== null) return this.#productId;
    const { tenantId, installationId, adminId } = this.#at;
    const saved = await this.#at.host.bulkhead.panel.catalog.saveProduct({
      tenantId,
      installationId,
      productId: null,
      name: `Kit product ${randomUUID()}`,
      description: '',
      active: true,
      data: this.#productData,
      prices: [{ period: 'monthly', setupMinor: 0, amountMinor: 0 }],
      accountId: adminId,
    });
    if (!saved.ok)
      throw new HostError(
        'BAD_INPUT',
        `The module refused the product: ${JSON.stringify(saved.errors)} ${saved.message ?? ''} Give setProductData() what it wants.`,
      );
    this.#productId = saved.productId;
    return saved.productId;
  }

  /** Orders as a client does: the module checks the data, the service is made, create() is called. @returns its uuid */
  async order(data: Values = this.#serviceData): Promise<string> {
    const { clientId } = this.#at;
    const ordered = await this.#at.host.bulkhead.panel.billing.order({
      clientId,
      productId: await this.product(),
      period: 'monthly',
      data,
      accountId: clientId,
    });
    if (!ordered.ok)
      throw new HostError('BAD_INPUT', `The order was refused: ${JSON.stringify(ordered.errors)}`);
    this.#serviceId = ordered.serviceId;
    return ordered.serviceId;
  }

  /** The service that is set, as the host has it. */
  async service(): Promise<ServiceState> {
    if (this.#serviceId === null)
      throw new HostError('CONFLICT', 'No service is set: call setServiceUuid() or order() first.');
    const row = await this.#at.host.bulkhead.panel.db
      .selectFrom('services')
      .selectAll()
      .where('id', '=', this.#serviceId)
      .executeTakeFirstOrThrow();
    return {
      uuid: row.id,
      status: row.status,
      provision_status: row.provision_status,
      data: v.parse(Json, row.data),
      provision_data: v.parse(Json, row.provision_data),
    };
  }

  /** An unpaid invoice of the kit's client. @returns its uuid */
  async newInvoice(amount = 1_000, currency = 'USD'): Promise<string> {
    const { tenantId, clientId } = this.#at;
    const items = [
      { kind: 'other' as const, serviceId: null, description: 'Kit invoice', amountMinor: amount },
    ];
    const { id } = await this.#at.host.bulkhead.panel.db
      .transaction()
      .execute((trx) => createInvoice(trx, { tenantId, clientId, currency, useCredit: false, items }));
    return id;
  }

  /** What the client sees who chose this Payment for an invoice: getClientAreaHtml, or where it sends them. */
  async pay(invoiceId: string): Promise<ModuleResponse> {
    return this.#at.host.bulkhead.panel.gateways.pay(this.#payInput(invoiceId));
  }

  /** What it answers when they send a form of that page: clientAreaPost. */
  async submitPayForm(invoiceId: string, fields: Values): Promise<ModuleResponse> {
    const request = requestOf('POST', `invoices/${invoiceId}`, fields);
    return this.#at.host.bulkhead.panel.gateways.submit({ ...this.#payInput(invoiceId), request });
  }

  #payInput(invoiceId: string): PayInput {
    const { tenantId, instanceId } = this.#at;
    return {
      tenantId,
      invoiceId,
      instanceId: instanceId ?? '',
      account: this.client,
      returnUrl: 'http://127.0.0.1:4300/return',
      cancelUrl: 'http://127.0.0.1:4300/cancel',
    };
  }

  /** What is booked for an invoice, oldest first; amounts in minor units. */
  async payments(invoiceId: string): Promise<BookedPayment[]> {
    return this.#at.host.bulkhead.panel.db
      .selectFrom('payments')
      .select(['transaction_id', 'amount_minor as amount', 'fee_minor as fee'])
      .where('invoice_id', '=', invoiceId)
      .where('tenant_id', '=', this.#at.tenantId)
      .orderBy('created_at')
      .execute();
  }

  /** Runs the jobs that wait, and those they add. @returns all tasks of the module, oldest first */
  async runTasks(options: RunTasksOptions = {}): Promise<TaskView[]> {
    return runTasks(this.#at.host.bulkhead, this.#at.installationId, options);
  }

  async tasks(): Promise<TaskView[]> {
    return readTasks(this.#at.host.bulkhead, this.#at.installationId);
  }

  /** An admin page or API route of the module; `path` is the route's uri, filled in. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    account: ModuleCaller = this.admin,
  ): Promise<ModuleResponse> {
    return this.#at.host.bulkhead.panel.modules.adminPage({
      installationId: this.#at.installationId,
      path,
      request: requestOf(method, path, body),
      account,
    });
  }

  /** A tab of the client's page of the service that is set, rendered. */
  async tab(tab: string, account: ModuleCaller = this.client): Promise<ModuleResponse> {
    const { uuid } = await this.service();
    return this.#at.host.bulkhead.panel.modules.clientTab({ serviceId: uuid, tab, account });
  }

  /** A tab's own request: controllerClient_{tab}{Verb}. */
  async tabRequest(
    method: string,
    tab: string,
    body?: unknown,
    account: ModuleCaller = this.client,
  ): Promise<ModuleResponse> {
    const { uuid } = await this.service();
    const request = requestOf(method, tab, body);
    return this.#at.host.bulkhead.panel.modules.clientCall({ serviceId: uuid, tab, request, account });
  }

  /** Presses a button of adminButtons() or clientButtons() of the service that is set, as its page does. */
  async press(button: string, account: ModuleCaller = this.admin): Promise<{ ok: boolean; message: string }> {
    const { uuid } = await this.service();
    const { host, tenantId } = this.#at;
    return host.bulkhead.panel.care.press({ tenantId, serviceId: uuid, account, button });
  }

  /** A delivery from outside: apiWebhookPost or apiWebhookGet. A text goes as it is, other bodies as JSON. */
  async webhook(method: 'GET' | 'POST', body?: unknown, headers: Values = {}): Promise<ModuleResponse> {
    const { installationId, instanceId } = this.#at;
    const { results } = await this.#at.host.bulkhead.invoker.invoke({
      installationId,
      instanceId,
      purpose: 'delivery',
      calls: [
        {
          ...onModule(method === 'GET' ? 'apiWebhookGet' : 'apiWebhookPost'),
          request: requestOf(method, 'hook', body, headers),
        },
      ],
    });
    return responseOf(results.at(-1));
  }

  /** What the module wrote into its log, and what the host wrote there about it; oldest first. */
  async logs(): Promise<LogLine[]> {
    await this.#at.host.bulkhead.recorder.flush();
    return this.#at.host.bulkhead.panel.db
      .selectFrom('logs')
      .select(['level', 'action', 'request', 'response', 'source'])
      .where('installation_id', '=', this.#at.installationId)
      .orderBy('id')
      .execute();
  }

  /** Requests the module sent through this.http, oldest first. */
  async requests(): Promise<RequestLine[]> {
    await this.#at.host.bulkhead.recorder.flush();
    return this.#at.host.bulkhead.panel.db
      .selectFrom('calls')
      .select(['target', 'status', 'error_code'])
      .where('installation_id', '=', this.#at.installationId)
      .where('op', '=', 'http.request')
      .orderBy('id')
      .execute();
  }

  /** Ends what load() started. */
  async close(): Promise<void> {
    await this.#at.api?.close();
    await this.#at.cloud?.stop();
    await this.#at.host.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
