/**
 * What clients see of their server and may do with it. A client reaches a server only through the service the request is for, and only
 * while it is active: a suspended server cannot be switched on from here. No answer carries a detail of what went wrong; the log does.
 */
import { json, validate, type Reply } from 'bulkhead';
import type { VpsServer } from '../models/tables.ts';
import { chartsOf, type Chart } from './charts.ts';
import type { CloudAPIClient, Failure } from './CloudAPIClient.ts';
import { SnapshotRules } from './rules.ts';
import type { Servers } from './servers.ts';
import type { Snapshot } from './answers.ts';

type LogPart = string | Readonly<Record<string, unknown>>;
const METRICS_MINUTES = 60;
const CLIENT_ACTIONS = ['reboot', 'power_on', 'shutdown'] as const;
type ClientAction = (typeof CLIENT_ACTIONS)[number];
type ActiveServer = VpsServer & { server_id: string };

/** What this needs of the module it belongs to. */
interface Owner {
  readonly service_uuid: string | null;
  decrypt(sealed: string): Promise<string>;
  t(key: string): string;
  logError(action: string, request?: LogPart, answer?: LogPart): void;
  logInfo(action: string, request?: LogPart, answer?: LogPart): void;
}

function isClientAction(value: unknown): value is ClientAction {
  return CLIENT_ACTIONS.some((action) => action === value);
}

export class ClientArea {
  readonly #owner: Owner;
  readonly #api: CloudAPIClient;
  readonly #servers: Servers;

  constructor(owner: Owner, api: CloudAPIClient, servers: Servers) {
    this.#owner = owner;
    this.#api = api;
    this.#servers = servers;
  }

  /** The newest server without its password; null when there is none yet. */
  async shownServer(): Promise<Omit<VpsServer, 'root_password'> | null> {
    const server = await this.#servers.latest(this.#owner.service_uuid);
    if (server === undefined) return null;
    const { root_password: _, ...shown } = server;
    return shown;
  }

  /** For the page: snapshots, or that they could not be read. */
  async snapshots(): Promise<{ snapshots: readonly Snapshot[]; unavailable: boolean }> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server === undefined) return { snapshots: [], unavailable: false };
    const result = await this.#api.listSnapshots(server.server_id);
    if (!result.success) this.#owner.logError('snapshots', 'Snapshots unavailable', result);
    return result.success
      ? { snapshots: result.snapshots, unavailable: false }
      : { snapshots: [], unavailable: true };
  }

  /** For the page: charts of the last hour, or that they could not be read. */
  async monitoring(): Promise<{ charts: readonly Chart[]; unavailable: boolean }> {
    const server = await this.#servers.current(this.#owner.service_uuid);
    if (server === undefined) return { charts: [], unavailable: false };
    const result = await this.#api.getMetrics(server.server_id, METRICS_MINUTES);
    if (!result.success) this.#owner.logError('monitoring', 'Monitoring unavailable', result);
    return result.success
      ? { charts: chartsOf(result.metrics), unavailable: false }
      : { charts: [], unavailable: true };
  }

  /** How the server is at this moment, as the provider says. */
  async status(): Promise<Reply> {
    return this.#withServer('any', async (server) => {
      const result = await this.#api.getServerStatus(server.server_id);
      if (!result.success) return this.#failed('status', 'Status unavailable', result);
      const { status, ip_address } = result;
      return json({ success: true, data: { status, ip_address, hostname: server.hostname } });
    });
  }

  /** A power action, or the root password. */
  async act(action: unknown): Promise<Reply> {
    return this.#withServer('active', async (server) => {
      if (action === 'reveal_password') {
        this.#owner.logInfo('reveal_password', { server_id: server.server_id });
        return json({
          success: true,
          data: { root_password: await this.#owner.decrypt(server.root_password) },
        });
      }
      if (!isClientAction(action)) return json({ success: false, message: 'Unknown action' }, 422);
      const result = await this.#api.powerAction(server.server_id, action);
      if (!result.success) return this.#failed(action, 'Action failed', result);
      this.#owner.logInfo(action, { server_id: server.server_id });
      return json({ success: true, message: this.#owner.t('overview.action_started') });
    });
  }

  async listSnapshots(): Promise<Reply> {
    return this.#withServer('any', async (server) => {
      const result = await this.#api.listSnapshots(server.server_id);
      if (!result.success) return this.#failed('snapshots', 'Snapshots unavailable', result);
      return json({ success: true, data: result.snapshots });
    });
  }

  async takeSnapshot(input: unknown): Promise<Reply> {
    const checked = validate(SnapshotRules, input);
    if (checked.status === 'error')
      return json({ success: false, message: 'A name is expected', errors: checked.errors }, 422);
    return this.#withServer('active', async (server) => {
      const result = await this.#api.powerAction(server.server_id, 'snapshot', checked.data);
      if (!result.success) return this.#failed('snapshot', 'Snapshot failed', result);
      this.#owner.logInfo('snapshot', checked.data);
      return json({ success: true, message: this.#owner.t('snapshots.started') });
    });
  }

  /** The provider would delete any snapshot of the account: only one of this server is let through. */
  async deleteSnapshot(id: unknown): Promise<Reply> {
    return this.#withServer('active', async (server) => {
      const own = await this.#api.listSnapshots(server.server_id);
      if (!own.success) return this.#failed('snapshot', 'Snapshots unavailable', own);
      const snapshot = own.snapshots.find((candidate) => candidate.id === String(id));
      if (snapshot === undefined) return json({ success: false, message: 'Snapshot not found' }, 404);
      const result = await this.#api.deleteSnapshot(snapshot.id);
      if (!result.success) return this.#failed('snapshot', 'Snapshot could not be deleted', result);
      this.#owner.logInfo('snapshot deleted', { id: snapshot.id, name: snapshot.name });
      return json({ success: true, message: this.#owner.t('snapshots.deleted') });
    });
  }

  async showMonitoring(): Promise<Reply> {
    return this.#withServer('any', async () => {
      const { charts, unavailable } = await this.monitoring();
      return unavailable
        ? json({ success: false, message: 'Monitoring unavailable' }, 502)
        : json({ success: true, data: charts });
    });
  }

  async #withServer(
    wanted: 'any' | 'active',
    work: (server: ActiveServer) => Promise<Reply>,
  ): Promise<Reply> {
    try {
      const server = await this.#servers.current(this.#owner.service_uuid);
      if (server === undefined) return json({ success: false, message: 'Server not found' }, 404);
      if (wanted === 'active' && server.status !== 'active')
        return json({ success: false, message: 'Server is not active' }, 409);
      return await work(server);
    } catch (error) {
      this.#owner.logError(
        'client area',
        'Request failed',
        error instanceof Error ? error.message : String(error),
      );
      return json({ success: false, message: 'The request could not be carried out' }, 502);
    }
  }

  #failed(action: string, message: string, failure: Failure): Reply {
    this.#owner.logError(action, message, failure);
    return json({ success: false, message }, failure.missing ? 404 : 502);
  }
}
