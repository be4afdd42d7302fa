/** My Cloud Service: what it sells, and through which API. */
import { Product, rules, v } from 'bulkhead';
import type { ActionAnswer, Data, Field, Permission, Route, SaveAnswer, SidebarEntry, Tabs } from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { CloudAPIClient } from './services/CloudAPIClient.ts';
import { createTables } from './services/schema.ts';

const PLANS = ['basic', 'premium', 'enterprise'] as const;

const ProductRules = v.object({
  server_location: rules.text(),
  plan_type: rules.oneOf(PLANS),
  disk_space: rules.integer({ min: 1 }),
  bandwidth: rules.integer({ min: 1 }),
});
const ServiceRules = v.object({ domain: rules.domain() });

/** Settings and stored data may hold anything; what is no text is none. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export default class MyCloudService extends Product<Tables> {
  private readonly apiClient: CloudAPIClient;

  constructor() {
    super();
    this.apiClient = new CloudAPIClient(
      this.http.client({
        baseURL: text(this.config('api_url')),
        headers: { Authorization: `Bearer ${this.secret('api_key')}` },
        timeout: 30,
      }),
    );
  }

  /** Runs whenever the module is enabled, also on data that was kept: make only what is not there. */
  override async activate(): Promise<string> {
    await createTables(this.db);
    this.logInfo('activate', 'Module activated successfully');
    return 'success';
  }

  // What an admin sets when making a product of this module

  override productFields(): Field[] {
    const required = { help: '', required: true } as const;
    return [
      { ...required, key: 'server_location', type: 'text', title: 'Location' },
      {
        ...required,
        key: 'plan_type',
        type: 'select',
        title: 'Plan',
        options: PLANS.map((value) => ({ value, title: value })),
      },
      { ...required, key: 'disk_space', type: 'number', title: 'Disk (GB)', min: 1 },
      { ...required, key: 'bandwidth', type: 'number', title: 'Bandwidth (GB a month)', min: 1 },
    ];
  }

  override getProductData(data: Data = {}): Data {
    this.product_data = {
      server_location: data['server_location'] ?? '',
      plan_type: data['plan_type'] ?? 'basic',
      disk_space: data['disk_space'] ?? 10,
      bandwidth: data['bandwidth'] ?? 100,
    };
    return this.product_data;
  }

  override saveProductData(data: Data = {}): SaveAnswer {
    return this.validate(ProductRules, data);
  }

  // What a client enters when ordering

  override serviceFields(): Field[] {
    return [{ key: 'domain', type: 'text', title: 'Domain', help: 'Such as example.com', required: true }];
  }

  /** What is returned here is stored: a password is made once and stays. */
  override getServiceData(data: Data = {}): Data {
    this.service_data = {
      domain: data['domain'] ?? '',
      username: data['username'] ?? `user${this.randomInt(100_000, 999_999)}`,
      password: data['password'] ?? this.generateStrongPassword(16),
    };
    return this.service_data;
  }

  override saveServiceData(data: Data = {}): SaveAnswer {
    return this.validate(ServiceRules, data);
  }

  // The work. create(), suspend() … of the base class queue these as background jobs.

  async createJob(): Promise<ActionAnswer> {
    const domain = text(this.service_data['domain']);
    const username = text(this.service_data['username']);
    // A step runs once: if this job is run again after a crash, its result is taken from before.
    const account = await this.step('create-account', ({ idempotencyKey }) =>
      this.apiClient.createAccount(
        {
          domain,
          username,
          password: text(this.service_data['password']),
          plan: text(this.product_data['plan_type']),
        },
        idempotencyKey,
      ),
    );
    await this.db
      .insertInto('cloud_accounts')
      .values({
        service_uuid: this.service_uuid ?? '',
        external_id: account.id,
        domain,
        username,
        status: 'active',
      })
      .onConflict((conflict) =>
        conflict.column('service_uuid').doUpdateSet({ external_id: account.id, status: 'active' }),
      )
      .execute();
    await this.service.setProvisionData({ username });
    await this.service.setProvisionStatus('completed');
    this.logInfo('createJob', 'Service created successfully', { domain, username });
    return { status: 'success' };
  }

  async suspendJob(): Promise<ActionAnswer> {
    await this.apiClient.setSuspended(await this.externalId(), true);
    await this.setStatus('suspended');
    await this.service.setProvisionStatus('suspended');
    return { status: 'success' };
  }

  async unsuspendJob(): Promise<ActionAnswer> {
    await this.apiClient.setSuspended(await this.externalId(), false);
    await this.setStatus('active');
    await this.service.setProvisionStatus('completed');
    return { status: 'success' };
  }

  async terminationJob(): Promise<ActionAnswer> {
    await this.apiClient.deleteAccount(await this.externalId());
    await this.setStatus('terminated');
    await this.service.setProvisionStatus('terminated');
    return { status: 'success' };
  }

  async change_packageJob(): Promise<ActionAnswer> {
    await this.apiClient.changePlan(await this.externalId(), text(this.product_data['plan_type']));
    await this.service.setProvisionStatus('completed');
    return { status: 'success' };
  }

  private async externalId(): Promise<string> {
    const account = await this.db
      .selectFrom('cloud_accounts')
      .select('external_id')
      .where('service_uuid', '=', this.service_uuid ?? '')
      .executeTakeFirst();
    if (account === undefined) throw new Error('This service has no account.');
    return account.external_id;
  }

  private async setStatus(status: Tables['cloud_accounts']['status']): Promise<void> {
    await this.db
      .updateTable('cloud_accounts')
      .set({ status, updated_at: new Date() })
      .where('service_uuid', '=', this.service_uuid ?? '')
      .execute();
  }

  // The client's page of a service: a tab each, with its template and the data for it

  override getClientAreaMenuConfig(): Tabs {
    return { general: { name: 'General', template: 'client_area.general' } };
  }

  variables_general(): Data {
    return { domain: this.service_data['domain'], username: this.service_data['username'] };
  }

  // The admin's pages

  override adminPermissions(): Permission[] {
    return [{ name: 'View accounts', key: 'view-accounts', description: 'See the list of accounts' }];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: 'My Cloud Service',
        link: 'accounts',
        active_links: ['accounts'],
        permission: 'view-accounts',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'accounts',
        permission: 'view-accounts',
        name: 'accounts',
        controller: 'MyCloudServiceController@accounts',
      },
    ];
  }
}
