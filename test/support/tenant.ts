/**
 * One tenant as its people use the host: the admin finds, grants and enables modules, the client orders. All of it goes through the
 * panel's use cases, as the pages do; only what came of it is read from the tables.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Answer } from '../../sandbox/contract/grant.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import type { Bulkhead } from '../../src/host.ts';
import { readError } from '../../src/jobs/task.ts';
import type { Category } from '../../src/notifications/categories.ts';
import type { WebDeps } from '../../src/web/deps.ts';
import { translators } from '../../src/web/lang/texts.ts';
import { readTimeline } from '../../src/web/timeline.ts';
import { until } from './until.ts';

export type Values = Readonly<Record<string, unknown>>;

const MONTHLY = [{ period: 'monthly', setupMinor: 0, amountMinor: 500 }];

/** How the admin answers the consent page: everything yes, but for what is named here. Keys are asks' ids. */
export interface GrantHow {
  readonly without?: readonly string[];
  readonly amounts?: Readonly<Record<string, number>>;
  readonly items?: Readonly<Record<string, string>>;
}

/** The code and text of the HostError that `work` throws. @throws Error if it does not */
export async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof HostError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('it was not refused');
}

export class Tenant {
  readonly bulkhead: Bulkhead;
  readonly panel: WebDeps;
  readonly id: string;
  readonly slug: string;
  readonly adminId: string;
  readonly clientId: string;

  constructor(bulkhead: Bulkhead, ids: Pick<Tenant, 'id' | 'slug' | 'adminId' | 'clientId'>) {
    this.bulkhead = bulkhead;
    this.panel = bulkhead.panel;
    this.id = ids.id;
    this.slug = ids.slug;
    this.adminId = ids.adminId;
    this.clientId = ids.clientId;
  }

  /** A tenant that is there already, with its first admin and client. */
  static async find(bulkhead: Bulkhead, slug: string): Promise<Tenant> {
    const { db } = bulkhead.panel;
    const tenant = await db
      .selectFrom('tenants')
      .select('id')
      .where('slug', '=', slug)
      .executeTakeFirstOrThrow();
    const account = async (kind: 'admin' | 'client'): Promise<string> =>
      (
        await db
          .selectFrom('accounts')
          .select('id')
          .where('tenant_id', '=', tenant.id)
          .where('kind', '=', kind)
          .orderBy('created_at')
          .executeTakeFirstOrThrow()
      ).id;
    return new Tenant(bulkhead, {
      id: tenant.id,
      slug,
      adminId: await account('admin'),
      clientId: await account('client'),
    });
  }

  async installation(name: string) {
    return this.panel.db
      .selectFrom('installations as installation')
      .innerJoin('modules as module', 'module.id', 'installation.module_id')
      .selectAll('installation')
      .where('installation.tenant_id', '=', this.id)
      .where('module.name', '=', name)
      .executeTakeFirstOrThrow();
  }

  async installationId(name: string): Promise<string> {
    return (await this.installation(name)).id;
  }

  /** Finds a module in the store and installs it. */
  async install(name: string): Promise<{ installationId: string; found: string }> {
    const entry = (await this.panel.catalog.search(name)).find((candidate) => candidate.name === name);
    if (entry === undefined) throw new Error(`${name} is not in the store`);
    const { installationId } = await this.panel.catalog.install({
      tenantId: this.id,
      versionId: entry.versionId,
      accountId: this.adminId,
    });
    return { installationId, found: `${entry.title} ${entry.version} by ${entry.publisher}` };
  }

  async consent(name: string) {
    return this.panel.catalog.consent(await this.installationId(name));
  }

  async grant(name: string, how: GrantHow = {}): Promise<void> {
    const installationId = await this.installationId(name);
    const { lines } = await this.panel.catalog.consent(installationId);
    const answers = Object.fromEntries(
      lines.map((line): [string, Answer] => {
        if (how.without?.includes(line.id) === true) return [line.id, { granted: false }];
        const amount = how.amounts?.[line.id];
        const item = how.items?.[line.id];
        return [
          line.id,
          {
            granted: true,
            ...(amount === undefined ? {} : { amount }),
            ...(item === undefined ? {} : { item }),
          },
        ];
      }),
    );
    await this.panel.catalog.grant({ installationId, answers, accountId: this.adminId });
  }

  async enable(name: string): Promise<void> {
    await this.panel.catalog.enable(await this.installationId(name), this.adminId);
  }

  async disable(name: string): Promise<void> {
    await this.panel.catalog.disable(await this.installationId(name), this.adminId);
  }

  async update(name: string, versionId: string): Promise<void> {
    const installationId = await this.installationId(name);
    await this.panel.catalog.update({ installationId, versionId, accountId: this.adminId });
  }

  async trySettings(name: string, values: Values) {
    const installationId = await this.installationId(name);
    return this.panel.catalog.saveSettings({ installationId, values, accountId: this.adminId });
  }

  async saveSettings(name: string, values: Values): Promise<void> {
    const saved = await this.trySettings(name, values);
    if (!saved.ok) throw new Error(`settings were refused: ${JSON.stringify(saved)}`);
  }

  /** Installs, grants all that is asked, saves settings, enables. @returns the installation's id */
  async installed(name: string, settings: Values = {}, how: GrantHow = {}): Promise<string> {
    const { installationId } = await this.install(name);
    await this.grant(name, how);
    await this.saveSettings(name, settings);
    await this.enable(name);
    return installationId;
  }

  /** Installs, grants all, enables, and makes one set of settings. @returns the instance's id */
  async installedWithInstance(name: string, settings: Values = {}, how: GrantHow = {}): Promise<string> {
    await this.install(name);
    await this.grant(name, how);
    await this.enable(name);
    return this.newInstance(name, 'Main', settings);
  }

  async newInstance(module: string, name: string, settings: Values = {}): Promise<string> {
    const installationId = await this.installationId(module);
    const { instances } = this.panel;
    const made = await instances.create({ installationId, name, accountId: this.adminId });
    if (!made.ok) throw new Error(JSON.stringify(made));
    const { instanceId } = made;
    const saved = await instances.save({ instanceId, values: settings, accountId: this.adminId });
    if (!saved.ok) throw new Error(`settings were refused: ${JSON.stringify(saved)}`);
    return instanceId;
  }

  /** The path below the panel at which an instance's deliveries are taken. */
  async hook(instanceId: string): Promise<string> {
    const { webhookUrl } = await this.panel.instances.form(instanceId);
    return new URL(webhookUrl ?? '').pathname;
  }

  /** Messages of a category go out through these senders. */
  async rule(category: Category, instanceIds: readonly string[]): Promise<void> {
    const { db } = this.panel;
    const { id } = await db
      .insertInto('notification_rules')
      .values({ tenant_id: this.id, category })
      .returning('id')
      .executeTakeFirstOrThrow();
    const senders = instanceIds.map((instance_id) => ({ rule_id: id, instance_id }));
    await db.insertInto('notification_rule_senders').values(senders).execute();
  }

  /** Tables of the installation's schema with their owners, as the modules' database has them. */
  async tables(name: string): Promise<{ schema: string; table: string; owner: string }[]> {
    const { schema_name: schema } = await this.installation(name);
    const { sql } = this.bulkhead.databases.modules;
    return [
      ...(await sql<{ schema: string; table: string; owner: string }[]>`
        select n.nspname as schema, c.relname as table, r.rolname as owner
        from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
        where n.nspname = ${schema ?? ''} and c.relkind = 'r' order by 2`),
    ];
  }

  /** Calls a method of the module as the host does for a page, and gives back what it returned. */
  async call(name: string, method: string, ...args: unknown[]): Promise<unknown> {
    const { results } = await this.bulkhead.invoker.invoke({
      installationId: await this.installationId(name),
      purpose: 'request',
      calls: [{ target: { on: 'module' }, method, args }],
    });
    const last = results.at(-1);
    return last !== undefined && 'value' in last ? last.value : undefined;
  }

  async saveProduct(module: string, name: string, data: Values) {
    return this.panel.catalog.saveProduct({
      tenantId: this.id,
      installationId: await this.installationId(module),
      productId: null,
      name,
      description: '',
      active: true,
      data,
      prices: MONTHLY,
      accountId: this.adminId,
    });
  }

  /** @returns the product's id */
  async product(module: string, name: string, data: Values = {}): Promise<string> {
    const saved = await this.saveProduct(module, name, data);
    if (!saved.ok) throw new Error(JSON.stringify(saved));
    return saved.productId;
  }

  async productNamed(name: string): Promise<string> {
    const row = await this.panel.db
      .selectFrom('products')
      .select('id')
      .where('tenant_id', '=', this.id)
      .where('name', '=', name)
      .executeTakeFirstOrThrow();
    return row.id;
  }

  async tryOrder(productId: string, data: Values = {}) {
    return this.panel.billing.order({
      clientId: this.clientId,
      productId,
      period: 'monthly',
      data,
      accountId: this.clientId,
    });
  }

  /** @returns the service's id */
  async order(productId: string, data: Values = {}): Promise<string> {
    const ordered = await this.tryOrder(productId, data);
    if (!ordered.ok) throw new Error(JSON.stringify(ordered));
    return ordered.serviceId;
  }

  async service(serviceId: string) {
    return this.panel.db
      .selectFrom('services')
      .selectAll()
      .where('id', '=', serviceId)
      .executeTakeFirstOrThrow();
  }

  async action(serviceId: string, action: ServiceAction, productId?: string): Promise<void> {
    await this.panel.billing.serviceAction({
      serviceId,
      action,
      accountId: this.adminId,
      ...(productId === undefined ? {} : { productId }),
    });
  }

  /** Tasks of a service, oldest first. */
  async tasks(serviceId: string) {
    return this.panel.db
      .selectFrom('tasks')
      .selectAll()
      .where('service_id', '=', serviceId)
      .orderBy('created_at')
      .execute();
  }

  /** The newest task of a service with this method, once it has ended for good. */
  async ended(serviceId: string, method: string) {
    return until(`${method} to end`, async () => {
      const task = (await this.tasks(serviceId)).findLast((candidate) => candidate.method === method);
      return task?.finished_at != null && task;
    });
  }

  /** Waits until the service has got there and none of its tasks is open. @throws Error with the reason if it failed instead */
  async reached(serviceId: string, provision: string, status: string) {
    return until(`${provision}/${status}`, async () => {
      const service = await this.service(serviceId);
      if (service.provision_status === 'failed' && provision !== 'failed')
        throw new Error(await this.failure(serviceId));
      const open = (await this.tasks(serviceId)).some((task) => task.finished_at === null);
      return service.provision_status === provision && service.status === status && !open && service;
    });
  }

  /** What the newest failed task of a service says: 'createJob: CODE: text'. */
  async failure(serviceId: string): Promise<string> {
    const task = (await this.tasks(serviceId)).findLast((candidate) => candidate.error !== null);
    const error = readError(task?.error);
    return task === undefined || error === null
      ? 'no task failed'
      : `${task.method}: ${error.code}: ${error.message}`;
  }

  /** The service's timeline as its page shows it, oldest first, each entry on a line. */
  async timeline(serviceId: string): Promise<string[]> {
    await this.bulkhead.recorder.flush();
    const entries = await readTimeline(this.panel.db, { serviceId }, translators.en);
    return entries
      .reverse()
      .map(({ title, facts, badge, by, message }) =>
        [title, ...facts, badge, by === undefined ? undefined : `by ${by}`, message]
          .filter((part) => part !== undefined)
          .join(' · '),
      );
  }

  /** The log of one installation, oldest first, as 'source level action request'. */
  async logs(name: string): Promise<string[]> {
    await this.bulkhead.recorder.flush();
    const rows = await this.panel.db
      .selectFrom('logs')
      .selectAll()
      .where('installation_id', '=', await this.installationId(name))
      .orderBy('id')
      .execute();
    return rows.map((row) =>
      [row.source, row.level, row.action, textOf(row.request), textOf(row.response)].join(' ').trim(),
    );
  }
}

function textOf(stored: unknown): string {
  if (stored === null) return '';
  return typeof stored === 'string' ? stored : JSON.stringify(stored);
}
