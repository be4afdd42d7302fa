/**
 * `fetch` and `this.http` of one invocation. Both end in the same op. `connectTimeout`, retries and the rest that an API client wants
 * are in web/client.ts.
 */
import type { OpOutput } from '../contract/capabilities.ts';
import type { Env } from './env.ts';
import { createClient } from './web/client.ts';
import type { ClientOptions, HttpClient } from './web/client.ts';
import { createFetch } from './web/fetch.ts';
import type { Fetch } from './web/fetch.ts';

export type HostStatus = OpOutput<'http', 'requestHost'>['status'];

export interface Http {
  readonly fetch: Fetch;
  client(options?: ClientOptions): HttpClient;
  /** Asks the admin for a host that is not in the grant: 'https://api.example.com', 'http://10.0.0.5:8080', or its name alone. */
  requestHost(host: string, port?: number): Promise<HostStatus>;
}

/** What of one invocation sends requests. */
export function createHttp(env: Env): { readonly fetch: Fetch; readonly http: Http } {
  const fetch = createFetch(env);
  return {
    fetch,
    http: Object.freeze({
      fetch,
      client: (options: ClientOptions = {}) => createClient(env, options),
      requestHost: async (host: string, port?: number) => {
        const scheme = host.startsWith('http://') ? 'http' : 'https';
        const [, name = '', written] = /^(?:https?:\/\/)?(.*?)(?::(\d+))?\/?$/.exec(host) ?? [];
        const asked = port ?? (written === undefined ? undefined : Number(written));
        const input = { host: name, scheme, ...(asked === undefined ? {} : { port: asked }) } as const;
        return (await env.call('http', 'requestHost', input)).status;
      },
    }),
  };
}
