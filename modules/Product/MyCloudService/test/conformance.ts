/** What the module's tests and the conformance suite try it with: a server's panel, played on loopback, that keeps its accounts. */
import type { ConformanceOptions, Respond } from 'bulkhead/kit';

export const PRODUCT = { server_location: 'US-East', plan_type: 'premium', disk_space: 100, bandwidth: 1000 };
export const ORDER = { domain: 'example.com' };

/** One panel; its accounts are forgotten with it. */
export function panel(): Respond {
  const accounts = new Map<string, { username: string; suspended: boolean; plan?: unknown }>();
  return ({ method, path, body }) => {
    const [, first = '', name = '', action] = path.split('/');
    if (first === 'servers') return { json: [{ name: 'server1' }] };
    if (method === 'POST') {
      const { username = '' } = body as { username?: string };
      accounts.set(username, { username, suspended: false });
      return { status: 201, json: { username } };
    }
    const account = accounts.get(decodeURIComponent(name));
    if (account === undefined) return { status: 404, json: { error: 'no such account' } };
    if (action === 'files') return { json: [{ name: 'index.html', size: 12 }] };
    if (action === 'suspend' || action === 'unsuspend') account.suspended = action === 'suspend';
    if (action === 'package') account.plan = body;
    if (method === 'DELETE') accounts.delete(account.username);
    return { json: account };
  };
}

export const options: ConformanceOptions = {
  api: panel(),
  settings: ({ api }) => ({ api_url: api?.origin ?? '', api_key: 'a-key-for-tests-1' }),
  product: PRODUCT,
  order: ORDER,
};
