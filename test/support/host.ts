/**
 * A whole host for a test file: databases of its own, runner processes, two tenants with an admin and a client each, and a worker if
 * wanted. What is tested goes through the panel's use cases.
 *
 *     const host = useTestHost({ worker: true });   // host() inside tests
 *     await host().a.installed('Probe');            // tenant A's admin
 */
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { createBulkhead, type Bulkhead, type BulkheadOptions } from '../../src/host.ts';
import type { Published } from '../../src/catalog/publish.ts';
import { type TestDatabase, testDatabase, testModulesDatabase } from './database.ts';
import { temporaryFolder } from './embedded.ts';
import { type ModuleSource, packFolder, packSource, type Publisher } from './modules.ts';
import { Tenant } from './tenant.ts';

export const PASSWORD = 'A long password 1';

/** What a host stands on; a second host on the same ground is what a restart is. */
export interface Ground extends AsyncDisposable {
  readonly dataDir: string;
  readonly host: TestDatabase;
  readonly modules: TestDatabase;
}

export async function openGround(): Promise<Ground> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(temporaryFolder());
  const host = undo.use(await testDatabase());
  const modules = undo.use(await testModulesDatabase());
  const kept = undo.move();
  return {
    dataDir: folder.path,
    host,
    modules,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export interface TestHost extends AsyncDisposable {
  readonly bulkhead: Bulkhead;
  readonly ground: Ground;
  /** What the host told its operator: warnings and errors. */
  readonly faults: readonly string[];
  publishFolder(folder: string, publisher?: Publisher): Promise<Published>;
  publish(source: ModuleSource, publisher?: Publisher): Promise<Published>;
}

export interface HostHow {
  readonly worker?: boolean;
  readonly checkpoint?: NonNullable<BulkheadOptions['checkpoint']>;
  readonly kinds?: NonNullable<BulkheadOptions['kinds']>;
}

/** Due tasks are looked for often; else a retry would wait a second for its turn. */
const WORKER = { concurrency: 8, timing: { pollMs: 50, hookRetryS: 0 } };

/** A host on databases that are there already. */
export async function startHost(ground: Ground, how: HostHow = {}): Promise<TestHost> {
  const faults: string[] = [];
  const bulkhead = await createBulkhead({
    dataDir: ground.dataDir,
    publicUrl: 'http://127.0.0.1:4300',
    databaseUrl: formatEndpoint(ground.host.endpoint),
    modulesDatabaseUrl: formatEndpoint(ground.modules.endpoint),
    env: {},
    log: (level, message, detail) => {
      if (level === 'warning' || level === 'error') faults.push(`${level}: ${message} ${inspect(detail)}`);
    },
    ...(how.checkpoint === undefined ? {} : { checkpoint: how.checkpoint }),
    ...(how.kinds === undefined ? {} : { kinds: how.kinds }),
  });
  if (how.worker === true) await bulkhead.startWorker(WORKER);
  return {
    bulkhead,
    ground,
    faults,
    publishFolder: async (folder, publisher) =>
      bulkhead.publish(await packFolder(folder, publisher), { status: 'published' }),
    publish: async (source, publisher) =>
      bulkhead.publish(await packSource(source, publisher), { status: 'published' }),
    [Symbol.asyncDispose]: () => bulkhead.close(),
  };
}

/** A new tenant with an admin and a client, whose modules may reach these ports of loopback. */
export async function seedTenant(bulkhead: Bulkhead, ports: readonly number[] = []): Promise<Tenant> {
  const { auth, tenants } = bulkhead.panel;
  const slug = `t${randomBytes(6).toString('hex')}`;
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
  if (ports.length > 0) await allowPorts(tenant, ports);
  return tenant;
}

export async function allowPorts(tenant: Tenant, ports: readonly number[]): Promise<void> {
  const allow = ports.map((port) => ({ cidr: '127.0.0.1/32', port }));
  await tenant.panel.tenants.allowEgress({ tenantId: tenant.id, allow, accountId: tenant.adminId });
}

export interface UsedHost extends TestHost {
  readonly a: Tenant;
  readonly b: Tenant;
}

/** One host with two tenants for all tests of a file. */
export function useTestHost(how: HostHow = {}): () => UsedHost {
  let current: UsedHost | undefined;
  let undo: AsyncDisposableStack | undefined;
  beforeAll(async () => {
    await using opening = new AsyncDisposableStack();
    const ground = opening.use(await openGround());
    const host = opening.use(await startHost(ground, how));
    current = { ...host, a: await seedTenant(host.bulkhead), b: await seedTenant(host.bulkhead) };
    undo = opening.move();
  });
  afterAll(async () => undo?.disposeAsync());
  return () => {
    if (current === undefined) throw new Error('the host is there inside tests and hooks only');
    return current;
  };
}
