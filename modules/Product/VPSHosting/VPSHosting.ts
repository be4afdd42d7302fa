/**
 * VPS hosting: one virtual server for each service, created, suspended, resized and deleted through a cloud provider's API. Creating
 * returns before the server exists; statusCheckJob looks until it does and completes the service. The README says what of this is the
 * module guide's example and what was added to it.
 */
import { json, Product } from 'bulkhead';
import type {
  ActionAnswer,
  ClientAction,
  Data,
  Field,
  IncomingRequest,
  PasswordRequest,
  Permission,
  ReconcileAnswer,
  Reply,
  Route,
  SaveAnswer,
  ServiceButton,
  SidebarEntry,
  Tabs,
  UsageAnswer,
} from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { ClientArea } from './services/ClientArea.ts';
import { CloudAPIClient } from './services/CloudAPIClient.ts';
import { cloudInit } from './services/cloud-init.ts';
import { PRODUCT_FIELDS, SERVICE_FIELDS } from './services/fields.ts';
import { activeImages, DEFAULT_IMAGE, isImageActive, seedImages } from './services/images.ts';
import { ProductRules, ServiceRules } from './services/rules.ts';
import { createTables } from './services/schema.ts';
import { ServerCare } from './services/ServerCare.ts';
import { Servers } from './services/servers.ts';
import { ServerSteps } from './services/steps.ts';
import { count, list, text } from './services/values.ts';

const DEFAULT_API_URL = 'https://api.digitalocean.com';
const API_TIMEOUT_SECONDS = 30;
const PASSWORD_CHARACTERS = 20;
const STATUS_CHECK_DELAY = 30;
const STATUS_CHECK_LIMIT = 60;
const CREATE_TRIES = 3;
const RETRY_DELAY = 10;

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export default class VPSHosting extends Product<Tables> {
  private readonly apiClient: CloudAPIClient;

  constructor() {
    super();
    this.apiClient = new CloudAPIClient(
      this.http.client({
        baseURL: text(this.config('api_url'), DEFAULT_API_URL),
        timeout: API_TIMEOUT_SECONDS,
        headers: { Authorization: `Bearer ${this.secret('api_key')}`, 'Content-Type': 'application/json' },
      }),
    );
  }

  private get servers(): Servers {
    return new Servers(this.db);
  }

  private get steps(): ServerSteps {
    return new ServerSteps(this.step, this.apiClient);
  }

  private get clientArea(): ClientArea {
    return new ClientArea(this, this.apiClient, this.servers);
  }

  private get care(): ServerCare {
    return new ServerCare(this, this.apiClient, this.servers);
  }

  /** By this the provider's list shows which service a server belongs to. */
  private get tag(): string {
    return `service:${this.service_uuid ?? ''}`;
  }

  // Lifecycle. deactivate() is the base's: data stays; the host drops the schema on a separate, confirmed purge.

  override async activate(): Promise<string> {
    try {
      await createTables(this.db);
      await seedImages(this.db);
      return 'success';
    } catch (error) {
      this.logError('activate', reason(error));
      return `Error: ${reason(error)}`;
    }
  }

  // Product configuration

  override productFields(): Field[] {
    return PRODUCT_FIELDS;
  }

  override getProductData(data: Data = {}): Data {
    this.product_data = {
      cpu_cores: data['cpu_cores'] ?? 1,
      ram_mb: data['ram_mb'] ?? 1024,
      disk_gb: data['disk_gb'] ?? 25,
      bandwidth_gb: data['bandwidth_gb'] ?? 1000,
      location: data['location'] ?? 'us-east-1',
      backup_enabled: data['backup_enabled'] ?? false,
    };
    return this.product_data;
  }

  override saveProductData(data: Data = {}): SaveAnswer {
    return this.validate(ProductRules, data);
  }

  override getProductPage(): string {
    return this.view('admin_area.product', { config: this.product_data, fields: PRODUCT_FIELDS });
  }

  // Services

  override serviceFields(): Field[] {
    return SERVICE_FIELDS;
  }

  /** The choices of the order's image field. */
  async imageOptions(): Promise<{ value: string; title: string }[]> {
    return activeImages(this.db);
  }

  override getServiceData(data: Data = {}): Data {
    this.service_data = {
      hostname: data['hostname'] ?? '',
      image_id: data['image_id'] ?? DEFAULT_IMAGE,
      ssh_keys: data['ssh_keys'] ?? [],
      // The host stores what is returned here, so one password is made for an order and no second one.
      root_password: text(data['root_password'], '') || this.generateSecurePassword(),
    };
    return this.service_data;
  }

  override async saveServiceData(data: Data = {}): Promise<SaveAnswer> {
    const checked = this.validate(ServiceRules, data);
    if (checked.status === 'error') return checked;
    if (await isImageActive(this.db, checked.data.image_id)) return checked;
    const errors = { image_id: [this.t('order.image_unknown')] };
    return { status: 'error', message: errors, errors, code: 422 };
  }

  override async getServicePage(): Promise<string> {
    return this.view('admin_area.service', { server: await this.clientArea.shownServer() });
  }

  private generateSecurePassword(): string {
    return this.generateStrongPassword(PASSWORD_CHARACTERS);
  }

  // Jobs. create(), suspend() and the others are the base's: they set 'processing' and queue these.

  /** As the base queues it, but with more than one try: a provider that is out of order for a moment is no reason to fail an order. */
  override async create(): Promise<ActionAnswer> {
    await this.service.setProvisionStatus('processing');
    await this.tasks.add({
      method: 'createJob',
      tries: CREATE_TRIES,
      backoff: count(this.config('retry_delay'), RETRY_DELAY),
      timeout: 600,
      maxExceptions: 1,
      tags: ['create', this.tag],
    });
    return { status: 'success' };
  }

  async createJob(): Promise<ActionAnswer> {
    try {
      await this.service.setProvisionStatus('processing');
      const vpsData = {
        name: text(this.service_data['hostname'], ''),
        image: text(this.service_data['image_id'], DEFAULT_IMAGE),
        size: this.getServerSize(),
        region: text(this.product_data['location'], ''),
        ssh_keys: list(this.service_data['ssh_keys']),
        tags: [this.tag],
        user_data: cloudInit(text(this.service_data['root_password'], '')),
      };
      const result = await this.steps.create(vpsData, this.tag);
      if (!result.success) {
        this.logError('createJob', 'VPS creation failed', result);
        // Tried again while there are tries; the host sets 'failed' when the last one is over.
        if (result.passing) return { status: 'error', message: result.error, retry: true };
        await this.service.setProvisionStatus('failed');
        return { status: 'error', message: result.error };
      }
      await this.servers.store({
        service_uuid: this.service_uuid ?? '',
        server_id: result.data.id,
        hostname: vpsData.name,
        root_password: await this.encrypt(text(this.service_data['root_password'], '')),
        server_specs: this.product_data,
      });
      await this.scheduleStatusCheck(result.data.id, 1);
      this.logInfo('createJob', 'VPS creation initiated', result);
      return { status: 'success' };
    } catch (error) {
      await this.service.setProvisionStatus('failed');
      this.logError('createJob', 'Exception in VPS creation', reason(error));
      return { status: 'error', message: 'VPS creation failed' };
    }
  }

  /** Maps a product's data to one of the provider's sizes. */
  private getServerSize(): string {
    const cpu = Number(this.product_data['cpu_cores']);
    const ram = Number(this.product_data['ram_mb']);
    if (cpu === 1 && ram <= 1024) return 's-1vcpu-1gb';
    if (cpu === 2 && ram <= 2048) return 's-2vcpu-2gb';
    if (cpu === 4 && ram <= 8192) return 's-4vcpu-8gb';
    return 'custom';
  }

  /** Queues the check-th look at a server that is being created. */
  private async scheduleStatusCheck(serverId: string, check: number): Promise<void> {
    await this.tasks.add({
      method: 'statusCheckJob',
      params: { server_id: serverId, check },
      tags: ['status_check', 'vps'],
      tries: 2,
      backoff: 30,
      timeout: 120,
      maxExceptions: 1,
      delay: count(this.config('status_check_delay'), STATUS_CHECK_DELAY),
    });
  }

  async statusCheckJob(params: Data = {}): Promise<ActionAnswer> {
    try {
      const vpsServer = await this.servers.latest(this.service_uuid);
      if (vpsServer?.server_id == null) {
        this.logError('statusCheckJob', 'VPS server record not found');
        return { status: 'error', message: 'VPS server record not found' };
      }
      // Suspended or terminated while it was being created: its status is those jobs' business now.
      if (vpsServer.status !== 'creating') return { status: 'success' };
      const result = await this.apiClient.getServerStatus(vpsServer.server_id);
      if (result.success && result.status === 'active') {
        await this.servers.change(vpsServer.id, { ip_address: result.ip_address, status: 'active' });
        await this.service.setProvisionData({ ip_address: result.ip_address });
        await this.service.setProvisionStatus('completed');
        this.logInfo('statusCheckJob', 'VPS is now active', result);
        return { status: 'success' };
      }
      this.logInfo('statusCheckJob', 'VPS still provisioning', result);
      if (!result.success && result.missing)
        return await this.giveUp('not_found', 'The provider has no such server');
      if (result.success && result.status !== 'new' && result.status !== 'creating')
        return await this.giveUp('failed', `The server became ${result.status}`);
      return await this.checkAgain(vpsServer.server_id, count(params['check'], 1));
    } catch (error) {
      this.logError('statusCheckJob', 'Status check failed', reason(error));
      return { status: 'error', message: 'Status check failed', retry: true };
    }
  }

  /** An API that does not answer is asked again like a server that is not ready, and neither for ever. */
  private async checkAgain(serverId: string, check: number): Promise<ActionAnswer> {
    const limit = count(this.config('status_check_limit'), STATUS_CHECK_LIMIT);
    if (check >= limit) return this.giveUp('failed', `Not ready after ${check} status checks`);
    await this.scheduleStatusCheck(serverId, check + 1);
    return { status: 'success' };
  }

  private async giveUp(status: 'failed' | 'not_found', message: string): Promise<ActionAnswer> {
    await this.service.setProvisionStatus(status);
    this.logError('statusCheckJob', message);
    return { status: 'error', message };
  }

  async suspendJob(): Promise<ActionAnswer> {
    return this.work('suspendJob', 'Suspension failed', async () => {
      const server = await this.servers.current(this.service_uuid);
      if (server === undefined) return 'Server not found';
      const result = await this.steps.power(server.server_id, 'power_off');
      if (!result.success) return result.error;
      await this.servers.change(server.id, { status: 'suspended' });
      await this.service.setProvisionStatus('suspended');
      this.logInfo('suspendJob', 'Service suspended');
      return undefined;
    });
  }

  async unsuspendJob(): Promise<ActionAnswer> {
    return this.work('unsuspendJob', 'Reactivation failed', async () => {
      const server = await this.servers.current(this.service_uuid);
      if (server === undefined) return 'Server not found';
      const result = await this.steps.power(server.server_id, 'power_on');
      if (!result.success) return result.error;
      await this.servers.change(server.id, { status: 'active' });
      await this.service.setProvisionStatus('completed');
      this.logInfo('unsuspendJob', 'Service reactivated');
      return undefined;
    });
  }

  async terminationJob(): Promise<ActionAnswer> {
    return this.work('terminationJob', 'Termination failed', async () => {
      const server = await this.servers.current(this.service_uuid);
      // Without a row there may still be a server: one whose creation was never recorded.
      const serverId = server?.server_id ?? (await this.apiClient.findServer(this.tag))?.id;
      const result = serverId === undefined ? undefined : await this.steps.remove(serverId);
      if (result?.success === false) return result.error;
      if (server !== undefined) await this.servers.change(server.id, { status: 'terminated' });
      await this.service.setProvisionStatus('terminated');
      this.logInfo('terminationJob', 'Service terminated');
      return undefined;
    });
  }

  /** The server runs on whether or not it could be resized, so the service stays completed either way. */
  async change_packageJob(): Promise<ActionAnswer> {
    const answer = await this.work(
      'change_packageJob',
      'Change failed',
      async () => {
        const server = await this.servers.current(this.service_uuid);
        if (server === undefined) return 'Server not found';
        const problem = await this.resize(server.server_id, this.getServerSize());
        if (problem !== undefined) return problem;
        await this.servers.change(server.id, { server_specs: this.product_data });
        this.logInfo('change_packageJob', 'Plan changed');
        return undefined;
      },
      'completed',
    );
    if (answer.status === 'success') await this.service.setProvisionStatus('completed');
    return answer;
  }

  /** Providers resize servers that are off; it is switched on again whatever came of it. Returns what went wrong. */
  private async resize(serverId: string, size: string): Promise<string | undefined> {
    const before = await this.steps.sizeBefore(serverId);
    if (!before.success) return before.error;
    if (before.size === size) return undefined;
    const off = await this.steps.power(serverId, 'power_off');
    const resized = off.success ? await this.steps.resize(serverId, size) : off;
    const on = await this.steps.power(serverId, 'power_on');
    if (!resized.success) return resized.error;
    return on.success ? undefined : on.error;
  }

  /** A job's frame: `job` returns what went wrong, the log gets all of it, the task's message no more than the guide's. */
  private async work(
    name: string,
    failed: string,
    job: () => Promise<string | undefined>,
    statusAfterFailure: 'failed' | 'completed' = 'failed',
  ): Promise<ActionAnswer> {
    try {
      const problem = await job();
      if (problem === undefined) return { status: 'success' };
      await this.service.setProvisionStatus(statusAfterFailure);
      this.logError(name, failed, problem);
      return { status: 'error', message: problem };
    } catch (error) {
      await this.service.setProvisionStatus(statusAfterFailure);
      this.logError(name, failed, reason(error));
      return { status: 'error', message: failed };
    }
  }

  // Beside the lifecycle: what staff and clients do with a server

  async testConnection(): Promise<ActionAnswer> {
    return this.care.testConnection();
  }

  async changePassword(request: PasswordRequest): Promise<ActionAnswer> {
    return this.care.changePassword(request);
  }

  /** The provider's console, in a window of its own. */
  async singleSignOn(): Promise<{ url: string } | { status: 'error'; message: string }> {
    return this.care.singleSignOn();
  }

  async usageUpdate(): Promise<UsageAnswer | ActionAnswer> {
    return this.care.usage(this.product_data['bandwidth_gb']);
  }

  async reconcile(): Promise<ReconcileAnswer | ActionAnswer> {
    return this.care.reconcile(this.getServerSize());
  }

  override clientActions(): ClientAction[] {
    return ['changePassword', 'singleSignOn'];
  }

  override adminButtons(): ServiceButton[] {
    return [{ key: 'reboot', title: 'Restart', icon: 'fas fa-rotate', confirm: 'Restart the server now?' }];
  }

  override clientButtons(): ServiceButton[] {
    return this.adminButtons();
  }

  async adminButton_reboot(): Promise<ActionAnswer> {
    return this.care.reboot();
  }

  async clientButton_reboot(): Promise<ActionAnswer> {
    return this.care.reboot();
  }

  // Client area

  override getClientAreaMenuConfig(): Tabs {
    return {
      general: { name: 'Overview', template: 'client_area.overview' },
      console: { name: 'Console', template: 'client_area.console' },
      snapshots: { name: 'Snapshots', template: 'client_area.snapshots' },
      monitoring: { name: 'Monitoring', template: 'client_area.monitoring' },
    };
  }

  async variables_general(): Promise<Data> {
    return { server: await this.clientArea.shownServer(), service_uuid: this.service_uuid };
  }

  async variables_console(): Promise<Data> {
    return { server: await this.clientArea.shownServer() };
  }

  async variables_snapshots(): Promise<Data> {
    return { server: await this.clientArea.shownServer(), ...(await this.clientArea.snapshots()) };
  }

  async variables_monitoring(): Promise<Data> {
    return { server: await this.clientArea.shownServer(), ...(await this.clientArea.monitoring()) };
  }

  async controllerClient_generalGet(): Promise<Reply> {
    return this.clientArea.status();
  }

  async controllerClient_generalPost(request: IncomingRequest): Promise<Reply> {
    return this.clientArea.act(request.input('action'));
  }

  async controllerClient_consoleGet(_request: IncomingRequest): Promise<Reply> {
    try {
      const vpsServer = await this.servers.current(this.service_uuid);
      if (vpsServer === undefined) return json({ error: 'Server not found' }, 404);
      if (vpsServer.status !== 'active') return json({ error: 'Server is not active' }, 409);
      const consoleUrl = await this.apiClient.getConsoleUrl(vpsServer.server_id);
      return json({ success: true, console_url: consoleUrl });
    } catch (error) {
      this.logError('controllerClient_consoleGet', 'Console unavailable', reason(error));
      return json({ error: 'Console unavailable' }, 500);
    }
  }

  async controllerClient_snapshotsGet(): Promise<Reply> {
    return this.clientArea.listSnapshots();
  }

  async controllerClient_snapshotsPost(request: IncomingRequest): Promise<Reply> {
    return this.clientArea.takeSnapshot(request.all());
  }

  async controllerClient_snapshotsDelete(request: IncomingRequest): Promise<Reply> {
    return this.clientArea.deleteSnapshot(request.input('id'));
  }

  async controllerClient_monitoringGet(): Promise<Reply> {
    return this.clientArea.showMonitoring();
  }

  // Admin area

  override adminPermissions(): Permission[] {
    return [
      { name: 'View servers', key: 'view-servers', description: 'See the list of virtual servers' },
      { name: 'View images', key: 'view-images', description: 'See the list of images' },
      { name: 'Manage images', key: 'manage-images', description: 'Choose which images clients may order' },
    ];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: 'VPS servers',
        link: 'servers',
        active_links: ['servers'],
        permission: 'view-servers',
        icon: 'fas fa-server',
      },
      {
        title: 'VPS images',
        link: 'images',
        active_links: ['images'],
        permission: 'view-images',
        icon: 'fas fa-compact-disc',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'servers',
        permission: 'view-servers',
        name: 'servers',
        controller: 'VPSHostingController@servers',
      },
      {
        method: 'get',
        uri: 'images',
        permission: 'view-images',
        name: 'images',
        controller: 'VPSHostingController@images',
      },
    ];
  }

  override adminApiRoutes(): Route[] {
    return [
      {
        method: 'post',
        uri: 'images/{id}/toggle',
        permission: 'manage-images',
        name: 'images.toggle',
        controller: 'VPSHostingController@toggleImage',
      },
    ];
  }
}
