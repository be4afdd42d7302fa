/** The whole product as it ships, with an embedded PostgreSQL of its own, one tenant and the bench's module: what all figures are of. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer, type Server } from '../../../src/main.ts';
import { packFolder } from '../../support/modules.ts';
import { Tenant } from '../../support/tenant.ts';
import { targets } from '../peers/work.ts';
import type { Ready } from './peer.ts';

const PASSWORD = 'A long password 1';
const MODULE = fileURLToPath(new URL('../modules/Plugin/Bench', import.meta.url));

export interface BenchHost extends AsyncDisposable {
  readonly server: Server;
  readonly tenant: Tenant;
  readonly installationId: string;
  /** A small server on loopback that the module may ask. */
  readonly otherUrl: string;
  readonly dataDir: string;
  /** Another tenant with the module enabled. */
  addTenant(): Promise<{ readonly tenant: Tenant; readonly installationId: string }>;
  /** How a signed-in admin's page asks the module. */
  targets(): Promise<Ready['ways'][string]>;
}

async function listenOther(): Promise<HttpServer> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"value":1}');
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function newTenant({ bulkhead }: Server, port: number): Promise<Tenant> {
  const slug = `t${randomBytes(6).toString('hex')}`;
  const { auth, tenants } = bulkhead.panel;
  const created = await tenants.create({
    slug,
    name: slug,
    currency: 'USD',
    timezone: 'UTC',
    admin: { name: 'Admin', email: `admin@${slug}.example`, password: PASSWORD },
  });
  if (!created.ok) throw new Error(JSON.stringify(created.errors));
  await auth.createAccount({
    kind: 'client',
    tenantId: created.tenantId,
    name: 'Client',
    email: `client@${slug}.example`,
    password: PASSWORD,
  });
  const tenant = await Tenant.find(bulkhead, slug);
  await tenants.allowEgress({
    tenantId: tenant.id,
    allow: [{ cidr: '127.0.0.1/32', port }],
    accountId: tenant.adminId,
  });
  return tenant;
}

async function targetsOf(
  server: Server,
  tenant: Tenant,
  installationId: string,
): Promise<Ready['ways'][string]> {
  const { sessions } = server.bulkhead.panel.auth;
  const { token } = await sessions.create(tenant.adminId, { userAgent: 'bench', address: '127.0.0.1' });
  const signedIn = await sessions.find(token);
  const url = new URL(server.url ?? '');
  return targets(
    Number(url.port),
    {
      origin: url.origin,
      'sec-fetch-site': 'same-origin',
      cookie: `bh_admin=${token}`,
      'x-csrf-token': signedIn?.csrfToken ?? '',
      accept: '*/*',
    },
    `/t/${tenant.slug}/m/${installationId}/call`,
  );
}

export async function startBenchHost(how: { readonly concurrency?: number } = {}): Promise<BenchHost> {
  await using undo = new AsyncDisposableStack();
  const dataDir = undo.adopt(mkdtempSync(join(tmpdir(), 'bulkhead-bench-')), (path) =>
    rmSync(path, { recursive: true, force: true, maxRetries: 3 }),
  );
  const server = undo.adopt(
    await startServer({
      dataDir,
      host: '127.0.0.1',
      port: 0,
      roles: { serve: true, work: how.concurrency !== undefined },
      ...(how.concurrency === undefined ? {} : { concurrency: how.concurrency }),
      log: (level, message, detail) => {
        if (level === 'error') process.stderr.write(`${message} ${String(detail)}\n`);
      },
    }),
    (started) => started.close(),
  );
  const other = undo.adopt(await listenOther(), (listening) => void listening.close());
  const { port } = other.address() as AddressInfo;
  const otherUrl = `http://127.0.0.1:${port}`;
  await server.bulkhead.publish(await packFolder(MODULE), { status: 'published' });
  const addTenant = async (): Promise<{ tenant: Tenant; installationId: string }> => {
    const tenant = await newTenant(server, port);
    return { tenant, installationId: await tenant.installed('Bench', { url: otherUrl }) };
  };
  const first = await addTenant();
  const kept = undo.move();
  return {
    server,
    ...first,
    otherUrl,
    dataDir,
    addTenant,
    targets: () => targetsOf(server, first.tenant, first.installationId),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
