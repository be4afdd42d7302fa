/**
 * `fetch` and `this.http` of one invocation. Both end in the same op. `connectTimeout`, retries and the rest that an API client wants
 * are in web/client.ts.
 */
import type { Env } from './env.ts';
import { createClient } from './web/client.ts';
import type { ClientOptions, HttpClient } from './web/client.ts';
import { createFetch } from './web/fetch.ts';
import type { Fetch } from './web/fetch.ts';

export interface Http {
  readonly fetch: Fetch;
  client(options?: ClientOptions): HttpClient;
}

/** What of one invocation sends requests. */
export function createHttp(env: Env): { readonly fetch: Fetch; readonly http: Http } {
  const fetch = createFetch(env);
  return {
    fetch,
    http: Object.freeze({ fetch, client: (options: ClientOptions = {}) => createClient(env, options) }),
  };
}
