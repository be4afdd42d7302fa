/** My Cloud Service: hosting accounts on one's own servers. Each server's panel is asked through services/CloudAPIClient.ts. */
import { Product } from 'bulkhead';
import type {
  ActionAnswer,
  Data,
  Field,
  IncomingRequest,
  Permission,
  Reply,
  Route,
  SaveAnswer,
  SidebarEntry,
  Tabs,
} from 'bulkhead';
import { json } from 'bulkhead';
import { cloudServers } from './models/CloudServer.ts';
import { groupNamed } from './models/CloudServerGroup.ts';
import type { Tables } from './models/tables.ts';
import { CloudAPIClient, type Result, type ServerConfig } from './services/CloudAPIClient.ts';
import { detail, InvalidConfiguration, orThrow, shortText } from './services/provision.ts';
import { PRODUCT_FIELDS, ProductRules, SERVICE_FIELDS, ServiceRules } from './services/rules.ts';
import { createTables } from './services/schema.ts';
import { adminRoutes, apiRoutes, PERMISSIONS } from './services/routes.ts';

const NOT_FOUND = 404;

/** Settings and stored data may hold anything; what is no text is none. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export default class MyCloudService extends Product<Tables> {
  // Lifecycle

  override async activate(): Promise<string> {
    try {
      await createTables(this.db);
      await groupNamed(this.db, 'Default');
      this.logInfo('activate', 'Module activated successfully');
      return 'success';
    } catch (error) {
      this.logError('activate', `Activation failed: ${detail(error)}`);
      return `error: ${detail(error)}`;
    }
  }

  /** The tables stay, with the data: the host drops them when an admin purges the module. */
  override deactivate(): string {
    this.logInfo('deactivate', 'Module deactivated successfully');
    return 'success';
  }

  // What an admin sets when making a product of this module

  override productFields(): Field[] {
    return PRODUCT_FIELDS;
  }

  override getProductData(data: Data = {}): Data {
    this.product_data = {
      server_location: data['server_location'] ?? '',
      plan_type: data['plan_type'] ?? '',
      disk_space: data['disk_space'] ?? '',
      bandwidth: data['bandwidth'] ?? '',
      username_prefix: data['username_prefix'] ?? '',
      username_suffix: data['username_suffix'] ?? '',
    };
    return this.product_data;
  }

  override saveProductData(data: Data = {}): SaveAnswer {
    return this.validate(ProductRules, data);
  }

  override getProductPage(): string {
    return this.view('admin_area.product', { config: this.product_data });
  }

  // What a client enters when ordering

  override serviceFields(): Field[] {
    return SERVICE_FIELDS;
  }

  override getServiceData(data: Data = {}): Data {
    this.service_data = {
      domain: data['domain'] ?? '',
      username: data['username'] ?? '',
      password: data['password'] ?? '',
      ip_address: data['ip_address'] ?? '',
    };
    return this.service_data;
  }

  /** What the client leaves out is made here, once: what is saved is what every later job gets. */
  override saveServiceData(data: Data = {}): SaveAnswer {
    return this.validate(ServiceRules, { ...this.credentials(), ...data });
  }

  private credentials(): { username: string; password: string } {
    const { username_prefix: prefix, username_suffix: suffix } = this.product_data;
    return {
      username: `${text(prefix)}${this.randomInt(100_000, 999_999)}${text(suffix)}`,
      password: this.generateStrongPassword(10),
    };
  }

  override getServicePage(): string {
    return this.view('admin_area.service', { service_data: this.service_data, config: this.config() });
  }

  // The work. create() and its like queue the jobs below.

  override async create(): Promise<ActionAnswer> {
    await this.service.setProvisionStatus('processing');
    return this.queueModuleTask('createJob', ['create']);
  }

  private async queueModuleTask(method: string, tags: string[] = [], tries = 1): Promise<ActionAnswer> {
    await this.tasks.add({
      method,
      tries,
      backoff: 60,
      timeout: 600,
      maxExceptions: 1,
      tags: [...tags, `service:${this.service_uuid ?? ''}`],
    });
    return { status: 'success' };
  }

  async createJob(): Promise<ActionAnswer> {
    await this.service.setProvisionStatus('processing');
    await this.tell('cloud.account.creating');
    const result = await this.provisionAccount();
    await this.tell('cloud.account.created', { success: result.success });
    if (result.success) {
      await this.service.setProvisionData(this.service_data);
      await this.service.setProvisionStatus('completed');
      this.logOperation('createJob', { message: 'Service created successfully' });
    } else {
      await this.service.setProvisionStatus('failed');
      this.logError('createJob', 'Service creation failed', { error: result.error });
    }
    return {
      status: result.success ? 'success' : 'error',
      message: result.error,
      data: result.data,
    };
  }

  async suspendJob(): Promise<ActionAnswer> {
    return this.change('suspendJob', 'suspended', (api, username) => api.suspendAccount(username));
  }

  async unsuspendJob(): Promise<ActionAnswer> {
    return this.change('unsuspendJob', 'completed', (api, username) => api.unsuspendAccount(username));
  }

  async terminationJob(): Promise<ActionAnswer> {
    return this.change('terminationJob', 'terminated', async (api, username) => {
      const result = await api.deleteAccount(username);
      // What is gone already need not be deleted.
      return result.http_code === NOT_FOUND
        ? { status: 'success', data: null, http_code: NOT_FOUND }
        : result;
    });
  }

  async change_packageJob(): Promise<ActionAnswer> {
    return this.change('change_packageJob', 'completed', (api, username) =>
      api.changePackage(username, {
        plan: this.product_data['plan_type'] ?? 'basic',
        bandwidth: this.product_data['bandwidth'] ?? null,
      }),
    );
  }

  /** An account on the server; the detail of a failure goes to the log, a short text to the caller. */
  private async provisionAccount(): Promise<{ success: boolean; data?: unknown; error?: string }> {
    try {
      const api = await this.apiClient();
      const { domain, username, password } = this.service_data;
      const name = text(username);
      if (name === '' || text(domain) === '')
        throw new InvalidConfiguration('The order has no domain or user name.');
      const find = async (): Promise<Result | undefined> => {
        const found = await api.getAccount(name);
        if (found.http_code === NOT_FOUND) return undefined;
        return orThrow(found);
      };
      // Once, even if the answer is lost or the process dies: then the server is asked whether the account is there.
      const result = await this.step<Result>(
        'create-account',
        async ({ idempotencyKey }) =>
          orThrow(await api.createAccount({ domain, username, password }, idempotencyKey)),
        { check: find },
      );
      return { success: true, data: orThrow(result).data };
    } catch (error) {
      this.logError('provision', shortText(error), detail(error));
      return { success: false, error: shortText(error) };
    }
  }

  private async change(
    job: string,
    status: 'suspended' | 'completed' | 'terminated',
    work: (api: CloudAPIClient, username: string) => Promise<Result>,
  ): Promise<ActionAnswer> {
    try {
      const api = await this.apiClient();
      await this.step(job, async () => orThrow(await work(api, text(this.service_data['username']))));
      await this.service.setProvisionStatus(status);
      this.logOperation(job);
      return { status: 'success' };
    } catch (error) {
      await this.service.setProvisionStatus('failed');
      this.logError(job, shortText(error), detail(error));
      return { status: 'error', message: shortText(error) };
    }
  }

  /** The first server in use; without one, what the settings say. @throws InvalidConfiguration */
  private async apiClient(): Promise<CloudAPIClient> {
    return new CloudAPIClient(this.http, await this.serverConfig());
  }

  private async serverConfig(): Promise<ServerConfig> {
    const server = await cloudServers(this.db).where('active', true).orderBy('created_at').first();
    if (server !== undefined) {
      const { host, port, ssl, username, password } = server;
      const baseUrl = `${ssl ? 'https' : 'http'}://${host}:${port}`;
      return { baseUrl, username, password, apiKey: server.api_key ?? '' };
    }
    const baseUrl = text(this.config('api_url'));
    if (baseUrl === '')
      throw new InvalidConfiguration('There is neither a server in use nor an API address.');
    return { baseUrl, username: '', password: '', apiKey: this.secret('api_key') };
  }

  private async tell(name: string, more: Data = {}): Promise<void> {
    await this.events.dispatch(name, { module: this.module_name, service_uuid: this.service_uuid, ...more });
  }

  private logOperation(operation: string, context: Data = {}): void {
    this.logInfo(operation, {
      module: this.module_name,
      service_uuid: this.service_uuid,
      timestamp: this.now().toISOString(),
      user_id: this.auth?.id ?? null,
      ...context,
    });
  }

  /** The servers as the panel itself knows them; asked again after five minutes. */
  async getServerList(): Promise<unknown> {
    const ask = async (): Promise<unknown> => orThrow(await (await this.apiClient()).getServers()).data;
    // The cache is optional: an admin may have left it out.
    return this.cache === undefined ? ask() : this.cache.remember('cloud_servers', 300, ask);
  }

  // The admin's pages

  override adminPermissions(): Permission[] {
    return PERMISSIONS;
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: 'Servers',
        link: 'servers',
        active_links: ['servers', 'configuration'],
        permission: 'view-servers',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return adminRoutes;
  }

  override adminApiRoutes(): Route[] {
    return apiRoutes;
  }

  // The client's page of a service: a tab each, with its template and the data for it

  override getClientAreaMenuConfig(): Tabs {
    return {
      general: { name: 'General', template: 'client_area.general' },
      files: { name: 'File Manager', template: 'client_area.files' },
      statistics: { name: 'Statistics', template: 'client_area.statistics' },
    };
  }

  variables_general(): Data {
    return {
      service_data: this.service_data,
      config: this.config(),
      module_name: this.module_name,
      service_uuid: this.service_uuid,
    };
  }

  async controllerClient_generalGet(_request: IncomingRequest): Promise<Reply> {
    return this.answer((api, username) => api.getAccount(username));
  }

  async variables_files(): Promise<Data> {
    return { files: await this.listed((api, username) => api.getFiles(username)) };
  }

  async variables_statistics(): Promise<Data> {
    return { account: await this.listed((api, username) => api.getAccount(username)) };
  }

  /** What the server says, or null: a tab is shown all the same. */
  private async listed(ask: (api: CloudAPIClient, username: string) => Promise<Result>): Promise<unknown> {
    try {
      return orThrow(await ask(await this.apiClient(), text(this.service_data['username']))).data;
    } catch (error) {
      this.logError('tab', shortText(error), detail(error));
      return null;
    }
  }

  private async answer(ask: (api: CloudAPIClient, username: string) => Promise<Result>): Promise<Reply> {
    const data = await this.listed(ask);
    return data === null
      ? json({ success: false, message: this.t('unavailable') }, 500)
      : json({ success: true, data });
  }
}
