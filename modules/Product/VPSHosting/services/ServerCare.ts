/**
 * What staff and clients do with a server beside its lifecycle: a new root password, the console without the tab, usage, and the comparison
 * of the provider's server with the row that is kept of it.
 */
import type { ActionAnswer, Data, PasswordRequest, ReconcileAnswer, UsageAnswer } from 'bulkhead';
import type { VpsServer } from '../models/tables.ts';
import type { CloudAPIClient, Failure } from './CloudAPIClient.ts';
import type { Servers } from './servers.ts';

type ActiveServer = VpsServer & { server_id: string };
type LogPart = string | Readonly<Record<string, unknown>>;

const PASSWORD_CHARACTERS = 20;
/** What the row says of a server, in the provider's words. */
const REMOTE_STATUS: Readonly<Record<string, string>> = { active: 'active', suspended: 'off' };

/** What this needs of the module it belongs to. */
interface Owner {
  readonly service_uuid: string | null;
  readonly service: { setProvisionData(data: Data): Promise<unknown> };
  encrypt(text: string): Promise<string>;
  generateStrongPassword(length: number): string;
  t(key: string): string;
  logError(action: string, request?: LogPart, answer?: LogPart): void;
  logInfo(action: string, request?: LogPart, answer?: LogPart): void;
}

export class ServerCare {
  readonly #owner: Owner;
  readonly #api: CloudAPIClient;
  readonly #servers: Servers;

  constructor(owner: Owner, api: CloudAPIClient, servers: Servers) {
    this.#owner = owner;
    this.#api = api;
    this.#servers = servers;
  }

  async testConnection(): Promise<ActionAnswer> {
    const result = await this.#api.getAccount();
    return result.success
      ? { status: 'success', message: result.email }
      : { status: 'error', message: result.error };
  }

  /** The row is written after the server took it: it must never say a password that is not the server's. */
  async changePassword(request: PasswordRequest): Promise<ActionAnswer> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server?.status !== 'active') return this.#refused('care.no_server');
    const password = request.password ?? this.#owner.generateStrongPassword(PASSWORD_CHARACTERS);
    const result = await this.#api.powerAction(server.server_id, 'password_reset', { password });
    if (!result.success) return this.#failed('changePassword', result);
    await this.#servers.change(server.id, { root_password: await this.#owner.encrypt(password) });
    this.#owner.logInfo('changePassword', { server_id: server.server_id, by: request.who.kind });
    return { status: 'success', message: this.#owner.t('care.password_set'), data: { password } };
  }

  async singleSignOn(): Promise<{ url: string } | { status: 'error'; message: string }> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server?.status !== 'active') return { status: 'error', message: this.#owner.t('care.no_server') };
    return { url: await this.#api.getConsoleUrl(server.server_id) };
  }

  async usage(bandwidthGb: unknown): Promise<UsageAnswer | ActionAnswer> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server === undefined) return {};
    const result = await this.#api.getUsage(server.server_id);
    if (!result.success) return { status: 'error', message: result.error };
    const { disk_gb: disk, bandwidth_gb: bandwidth } = result.usage;
    const sold = Number(bandwidthGb);
    return {
      disk: { value: disk.used, limit: disk.limit, unit: 'GB' },
      // What the product promises, not what the provider would let through.
      bandwidth: { value: bandwidth.used, limit: sold > 0 ? sold : bandwidth.limit, unit: 'GB' },
    };
  }

  async reboot(): Promise<ActionAnswer> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server?.status !== 'active') return this.#refused('care.no_server');
    const result = await this.#api.powerAction(server.server_id, 'reboot');
    if (!result.success) return this.#failed('reboot', result);
    this.#owner.logInfo('reboot', { server_id: server.server_id });
    return { status: 'success', message: this.#owner.t('overview.action_started') };
  }

  /** The address follows the provider; whether a server should be on, or of another size, is for a person to say. */
  async reconcile(size: string): Promise<ReconcileAnswer | ActionAnswer> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server === undefined) return { status: 'missing', message: this.#owner.t('server.none') };
    const remote = await this.#api.getServerStatus(server.server_id);
    if (!remote.success)
      return remote.missing ? { status: 'missing' } : { status: 'error', message: remote.error };
    const differences = [
      { field: 'status', local: REMOTE_STATUS[server.status] ?? server.status, remote: remote.status },
      { field: 'size', local: size, remote: remote.size },
      { field: 'ip_address', local: server.ip_address, remote: remote.ip_address },
    ].filter(({ local, remote: there }) => local !== there);
    if (differences.length === 0) return { status: 'in_sync' };
    const mended = differences.some(({ field }) => field === 'ip_address') && remote.ip_address !== null;
    if (mended) await this.#mendAddress(server, remote.ip_address);
    return {
      status: 'different',
      differences: differences.map((one) => ({ ...one, mended: mended && one.field === 'ip_address' })),
    };
  }

  async #mendAddress(server: ActiveServer, address: string | null): Promise<void> {
    await this.#servers.change(server.id, { ip_address: address });
    await this.#owner.service.setProvisionData({ ip_address: address });
  }

  #refused(key: string): ActionAnswer {
    return { status: 'error', message: this.#owner.t(key) };
  }

  /** Clients read this too: the detail is for the log. */
  #failed(action: string, failure: Failure): ActionAnswer {
    this.#owner.logError(action, failure.error);
    return this.#refused('care.failed');
  }
}
