/** One look at a server: ping, http or port. What is looked at has to be confirmed by the admin first; `permitted` asks for it. */
import { HttpError, type Http, type Net } from 'bulkhead';
import type { Check } from '../models/tables.ts';

const TIMEOUT_SECONDS = 10;
const PING_PORT = 443;
const UP_FROM = 200;
const UP_BELOW = 400;

export class Probe {
  private readonly http: Http;
  private readonly net: Net;

  constructor(http: Http, net: Net) {
    this.http = http;
    this.net = net;
  }

  /** Whether the check may be run: asks for its host if nobody has yet. */
  async permitted(
    check: Pick<Check, 'type' | 'target' | 'config'>,
  ): Promise<'asked' | 'confirmed' | 'refused'> {
    if (check.type === 'http') {
      const { protocol, hostname, port } = new URL(check.target);
      return this.http.requestHost(`${protocol}//${hostname}`, port === '' ? undefined : Number(port));
    }
    return this.net.requestHost(check.target, check.config.port ?? PING_PORT);
  }

  async pingCheck(target: string, config: Check['config']): Promise<boolean> {
    await this.net.ping(target, config.timeout ?? TIMEOUT_SECONDS);
    return true;
  }

  /** @throws Error for a status that is not the one expected: its text is what the result shows */
  async httpCheck(target: string, config: Check['config']): Promise<boolean> {
    const status = await this.statusOf(target, config);
    const up =
      config.expected_status === undefined
        ? status >= UP_FROM && status < UP_BELOW
        : status === config.expected_status;
    if (!up) throw new Error(`HTTP status ${status}`);
    return true;
  }

  /** An answer of 400 and above is an answer too; the client throws it. */
  private async statusOf(target: string, config: Check['config']): Promise<number> {
    const client = this.http.client({ timeout: config.timeout ?? TIMEOUT_SECONDS });
    try {
      return (await client.request(config.method ?? 'GET', target, { redirect: 'manual' })).status;
    } catch (error) {
      if (error instanceof HttpError) return error.status;
      throw error;
    }
  }

  async portCheck(target: string, config: Check['config']): Promise<boolean> {
    await this.net.connect(target, config.port ?? PING_PORT, config.timeout ?? TIMEOUT_SECONDS);
    return true;
  }
}
