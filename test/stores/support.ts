/** A store and a panel as two real hosts, each with databases of its own, and a stranger between them that can answer otherwise. */
import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import { serve } from '@hono/node-server';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { type Bulkhead, type BulkheadOptions, createBulkhead } from '../../src/host.ts';
import { openGround, PASSWORD } from '../support/host.ts';

export interface Site extends AsyncDisposable {
  readonly bulkhead: Bulkhead;
  readonly url: string;
  /** Nobody answers at its address any more. */
  stopListening(): void;
}

export interface SiteHow {
  readonly env?: Readonly<Record<string, string>>;
  readonly storeLimits?: BulkheadOptions['storeLimits'];
  readonly resolve?: BulkheadOptions['resolve'];
}

/** Listens first: a host answers under its own address only. */
export async function openSite({ env = {}, storeLimits, resolve }: SiteHow = {}): Promise<Site> {
  await using undo = new AsyncDisposableStack();
  const ground = undo.use(await openGround());
  let bulkhead: Bulkhead | undefined;
  const { promise, resolve: listening } = Promise.withResolvers<AddressInfo>();
  const server = serve(
    {
      fetch: (request, bindings) =>
        bulkhead?.app.fetch(request, bindings) ?? new Response(null, { status: 503 }),
      hostname: '127.0.0.1',
      port: 0,
    },
    listening,
  );
  const stopListening = (): void => {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  };
  undo.defer(stopListening);
  const url = `http://127.0.0.1:${(await promise).port}`;
  bulkhead = await createBulkhead({
    dataDir: ground.dataDir,
    publicUrl: url,
    databaseUrl: formatEndpoint(ground.host.endpoint),
    modulesDatabaseUrl: formatEndpoint(ground.modules.endpoint),
    env,
    ...(storeLimits === undefined ? {} : { storeLimits }),
    ...(resolve === undefined ? {} : { resolve }),
  });
  const started = bulkhead;
  undo.defer(() => started.close());
  const kept = undo.move();
  return { bulkhead: started, url, stopListening, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A tenant with an admin; its id and the admin's. */
export async function newTenant({ panel }: Bulkhead): Promise<{ tenantId: string; adminId: string }> {
  const slug = `t${randomBytes(6).toString('hex')}`;
  const created = await panel.tenants.create({
    slug,
    name: slug,
    currency: 'USD',
    timezone: 'UTC',
    admin: { email: `admin@${slug}.test`, name: 'Admin', password: PASSWORD },
  });
  if (!created.ok) throw new Error(JSON.stringify(created.errors));
  const { id } = await panel.db
    .selectFrom('accounts')
    .select('id')
    .where('tenant_id', '=', created.tenantId)
    .executeTakeFirstOrThrow();
  return { tenantId: created.tenantId, adminId: id };
}

export interface Stranger extends AsyncDisposable {
  readonly url: string;
}

/** Answers what it is told to, and is gone when disposed of. */
export async function openStranger(answer: RequestListener): Promise<Stranger> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A person's pages, as their browser gets them and sends forms from them. */
export interface Pages {
  get(path: string): Promise<string>;
  /** With the token of the page that the form stands on; `csrf` otherwise. */
  post(path: string, form: Readonly<Record<string, string>>, csrf?: string): Promise<Response>;
}

export async function openPages({ app, panel }: Bulkhead, home: string, email: string): Promise<Pages> {
  const { origin } = new URL(panel.publicUrl);
  const at = `${origin}${home}`;
  const send = async (path: string, form: Readonly<Record<string, string>>, cookie = ''): Promise<Response> =>
    app.request(`${at}${path}`, {
      method: 'POST',
      headers: { origin, cookie, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form),
    });
  const answer = await send('/sign-in', { email, password: PASSWORD });
  const cookie = answer.headers
    .getSetCookie()
    .map((one) => one.split(';', 1)[0])
    .join('; ');
  const get = async (path: string): Promise<string> =>
    (await app.request(`${at}${path}`, { headers: { cookie } })).text();
  const token = /name="csrf-token" content="([^"]+)"/.exec(await get('/profile'))?.[1] ?? '';
  return { get, post: (path, form, csrf = token) => send(path, { ...form, _csrf: csrf }, cookie) };
}
