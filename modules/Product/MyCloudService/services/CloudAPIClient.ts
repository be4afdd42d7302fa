/** The panel that runs on a server. Every answer is {status: 'success', data, http_code} or {status: 'error', error, http_code}. */
import { CapabilityError, HttpError, type Http } from 'bulkhead';

type Client = ReturnType<Http['client']>;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface ServerConfig {
  /** 'https://server1.example.com:8443' */
  readonly baseUrl: string;
  /** The key itself, or the handle of a secret: both go into a header. */
  readonly apiKey: string;
  readonly username: string;
  readonly password: string;
}

export interface Success {
  readonly status: 'success';
  readonly data: unknown;
  readonly http_code: number;
}
export interface Failure {
  readonly status: 'error';
  readonly error: string;
  /** 0 if there was no answer. */
  readonly http_code: number;
}
export type Result = Success | Failure;

const account = (username: string): string => `/accounts/${encodeURIComponent(username)}`;

export class CloudAPIClient {
  private readonly client: Client;

  constructor(http: Http, server: ServerConfig) {
    this.client = http.client({
      baseURL: server.baseUrl,
      timeout: 30,
      connectTimeout: 10,
      headers: {
        Authorization:
          server.apiKey === ''
            ? `Basic ${btoa(`${server.username}:${server.password}`)}`
            : `Bearer ${server.apiKey}`,
        'Content-Type': 'application/json',
        'User-Agent': 'MyCloudService-Module/1.0',
        Accept: 'application/json',
      },
    });
  }

  async createAccount(data: object, idempotencyKey: string): Promise<Result> {
    return this.makeRequest('POST', '/accounts', data, { 'idempotency-key': idempotencyKey });
  }

  async getAccount(username: string): Promise<Result> {
    return this.makeRequest('GET', account(username));
  }

  async suspendAccount(username: string): Promise<Result> {
    return this.makeRequest('PUT', `${account(username)}/suspend`);
  }

  async unsuspendAccount(username: string): Promise<Result> {
    return this.makeRequest('PUT', `${account(username)}/unsuspend`);
  }

  async changePackage(username: string, data: object): Promise<Result> {
    return this.makeRequest('PUT', `${account(username)}/package`, data);
  }

  async deleteAccount(username: string): Promise<Result> {
    return this.makeRequest('DELETE', account(username));
  }

  async getFiles(username: string): Promise<Result> {
    return this.makeRequest('GET', `${account(username)}/files`);
  }

  async getServers(): Promise<Result> {
    return this.makeRequest('GET', '/servers');
  }

  private async makeRequest(
    method: Method,
    endpoint: string,
    data: object = {},
    headers: Record<string, string> = {},
  ): Promise<Result> {
    const body = Object.keys(data).length === 0 ? {} : { json: data };
    try {
      const response = await this.client.request(method, endpoint, { ...body, headers });
      return { status: 'success', data: response.data, http_code: response.status };
    } catch (error) {
      if (error instanceof HttpError)
        return { status: 'error', error: error.message, http_code: error.status };
      if (error instanceof CapabilityError) return { status: 'error', error: error.message, http_code: 0 };
      throw error;
    }
  }
}
