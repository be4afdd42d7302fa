/**
 * The provider's API, shaped like DigitalOcean's. As in the guide, an answer that is an error becomes {success: false, error}. What is
 * added: of a request that changes something and got no answer at all, nobody knows whether it had its effect, so that one is thrown: the
 * job's step then looks before it sends it again (services/steps.ts).
 */
import { CapabilityError, HttpError, v, type Http } from 'bulkhead';
import {
  AccountAnswer,
  ActionAnswer,
  ConsoleAnswer,
  DropletAnswer,
  DropletsAnswer,
  MetricsAnswer,
  SnapshotsAnswer,
  UsageAnswer,
} from './answers.ts';
import type { Droplet, Metrics, Snapshot, Usage } from './answers.ts';

type HttpClient = ReturnType<Http['client']>;

export type Failure = {
  readonly success: false;
  readonly error: string;
  /** The provider has no such thing (any more). */
  readonly missing: boolean;
  /** The provider is out of order or busy: the same may work later. */
  readonly passing: boolean;
};
export type Result<T extends object = object> = (T & { readonly success: true }) | Failure;

export type NewServer = {
  readonly name: string;
  readonly image: string;
  readonly size: string;
  readonly region: string;
  readonly ssh_keys: readonly string[];
  /** By these a server is found again whose creation was never answered. */
  readonly tags: readonly string[];
  readonly user_data: string;
};
export type PowerAction =
  | 'power_on'
  | 'power_off'
  | 'shutdown'
  | 'reboot'
  | 'resize'
  | 'snapshot'
  | 'password_reset';

const PAGE = 200;
const NOT_FOUND = 404;
const TOO_MANY_REQUESTS = 429;
const SERVER_ERROR = 500;

const path = (serverId: string, rest = ''): string => `/v2/droplets/${encodeURIComponent(serverId)}${rest}`;

/** True for a request that was sent, or may have been, and got no answer. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof CapabilityError && (error.code === 'HTTP_FAILED' || error.code === 'TIMEOUT');
}

function isPassing(status: number): boolean {
  return status >= SERVER_ERROR || status === TOO_MANY_REQUESTS;
}

/** For the log and the task. Providers say in {message} what is wrong; of an answer that could not be read nothing is repeated. */
function failure(error: unknown): Failure {
  if (error instanceof HttpError) {
    const said = v.safeParse(v.object({ message: v.string() }), error.body);
    const detail = said.success ? `${error.status} ${said.output.message}` : `status ${error.status}`;
    return {
      success: false,
      error: `API Error: ${detail}`,
      missing: error.status === NOT_FOUND,
      passing: isPassing(error.status),
    };
  }
  const detail = error instanceof CapabilityError ? error.message : 'the answer could not be read';
  return {
    success: false,
    error: `API Error: ${detail}`,
    missing: false,
    passing: error instanceof CapabilityError,
  };
}

export class CloudAPIClient {
  private readonly client: HttpClient;

  constructor(client: HttpClient) {
    this.client = client;
  }

  /** @throws CapabilityError when the answer was lost: the server may exist */
  async createServer(data: NewServer, idempotencyKey: string): Promise<Result<{ readonly data: Droplet }>> {
    return this.change(async () => {
      const response = await this.client.post('/v2/droplets', {
        json: data,
        headers: { 'idempotency-key': idempotencyKey },
      });
      return { success: true, data: v.parse(DropletAnswer, response.data).droplet };
    });
  }

  /** The server with a tag, if there is one. @throws any error: not to know is not the same as "none" */
  async findServer(tag: string): Promise<Droplet | undefined> {
    const response = await this.client.get('/v2/droplets', { query: { tag_name: tag, per_page: PAGE } });
    return v.parse(DropletsAnswer, response.data).droplets[0];
  }

  async getServerStatus(serverId: string): Promise<
    Result<{
      readonly status: string;
      readonly ip_address: string | null;
      readonly size: string;
    }>
  > {
    return this.read(async () => {
      const response = await this.client.get(path(serverId));
      const { status, networks, size_slug } = v.parse(DropletAnswer, response.data).droplet;
      return { success: true, status, ip_address: networks.v4[0]?.ip_address ?? null, size: size_slug };
    });
  }

  /** The guide sends `action`, DigitalOcean wants `type`. @throws CapabilityError when the answer was lost */
  async powerAction(
    serverId: string,
    action: PowerAction,
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<Result<{ readonly action_id: string }>> {
    return this.change(async () => {
      const response = await this.client.post(path(serverId, '/actions'), {
        json: { action, type: action, ...options },
      });
      return { success: true, action_id: v.parse(ActionAnswer, response.data).action.id };
    });
  }

  async getAction(actionId: string): Promise<Result<{ readonly status: string }>> {
    return this.read(async () => {
      const response = await this.client.get(`/v2/actions/${encodeURIComponent(actionId)}`);
      return { success: true, status: v.parse(ActionAnswer, response.data).action.status };
    });
  }

  async resizeServer(serverId: string, size: string): Promise<Result<{ readonly action_id: string }>> {
    return this.powerAction(serverId, 'resize', { size });
  }

  /** Whose key it is: an answer means that the address and the key are right. */
  async getAccount(): Promise<Result<{ readonly email: string }>> {
    return this.read(async () => {
      const response = await this.client.get('/v2/account');
      return { success: true, email: v.parse(AccountAnswer, response.data).account.email };
    });
  }

  async getUsage(serverId: string): Promise<Result<{ readonly usage: Usage }>> {
    return this.read(async () => {
      const response = await this.client.get(path(serverId, '/usage'));
      return { success: true, usage: v.parse(UsageAnswer, response.data).usage };
    });
  }

  /** A server that is gone already counts as deleted. @throws CapabilityError when the answer was lost */
  async deleteServer(serverId: string): Promise<Result> {
    const result = await this.change(async () => {
      await this.client.delete(path(serverId));
      return { success: true };
    });
    return !result.success && result.missing ? { success: true } : result;
  }

  /** @throws any error, as the guide's controller expects */
  async getConsoleUrl(serverId: string): Promise<string> {
    const response = await this.client.get(path(serverId, '/console'));
    return v.parse(ConsoleAnswer, response.data).console_url;
  }

  async listSnapshots(serverId: string): Promise<Result<{ readonly snapshots: readonly Snapshot[] }>> {
    return this.read(async () => {
      const response = await this.client.get(path(serverId, '/snapshots'), { query: { per_page: PAGE } });
      return { success: true, snapshots: v.parse(SnapshotsAnswer, response.data).snapshots };
    });
  }

  async deleteSnapshot(snapshotId: string): Promise<Result> {
    return this.change(async () => {
      await this.client.delete(`/v2/snapshots/${encodeURIComponent(snapshotId)}`);
      return { success: true };
    });
  }

  async getMetrics(serverId: string, minutes: number): Promise<Result<{ readonly metrics: Metrics }>> {
    return this.read(async () => {
      const response = await this.client.get(path(serverId, '/metrics'), { query: { minutes } });
      return { success: true, metrics: v.parse(MetricsAnswer, response.data).metrics };
    });
  }

  private async read<T extends object>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    try {
      return await work();
    } catch (error) {
      return failure(error);
    }
  }

  private async change<T extends object>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CapabilityError) throw error;
      return failure(error);
    }
  }
}
