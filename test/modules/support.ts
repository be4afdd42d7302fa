/**
 * A module that ships, in a whole host: a real database, runner processes, a worker, and the fake cloud over HTTP on loopback. It is
 * packed, signed, published, granted and enabled the way an admin does it, once for a test file.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { connectHost, type HostConnection } from '../../src/database/connect.ts';
import { formatEndpoint, type PgEndpoint } from '../../src/database/endpoint.ts';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { createBulkhead, type Bulkhead } from '../../src/host.ts';
import { generateKeyPair } from '../../src/store/package/keys.ts';
import { packModule } from '../../src/store/package/pack.ts';
import { signPackage } from '../../src/store/package/sign.ts';
import type { ModuleCaller } from '../../src/web/deps.ts';
import { testDatabase, testModulesDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/embedded.ts';

const PATIENCE_MS = 15_000;
const LOOK_MS = 25;
/** Looks for delayed tasks often: a status check is due after a fifth of a second. */
const WORKER = { concurrency: 4, timing: { pollMs: 50 } };

export interface Installed {
  readonly bulkhead: Bulkhead;
  readonly cloud: FakeCloud;
  readonly tenantId: string;
  readonly installationId: string;
  readonly adminId: string;
  readonly clientId: string;
  readonly admin: ModuleCaller;
  readonly client: ModuleCaller;
  /** Rows of a table of the module, as PostgreSQL's superuser sees them: what is really stored. */
  stored(table: string): Promise<Record<string, unknown>[]>;
  /** Does something to the modules' database as PostgreSQL's superuser. */
  asSuperuser(work: (sql: HostConnection['sql']) => Promise<unknown>): Promise<void>;
  close(): Promise<void>;
}

export function moduleFolder(name: string): string {
  return fileURLToPath(new URL(`../../modules/${name}`, import.meta.url));
}

/** The signed package of a module that ships, from a publisher made for it. */
export async function packShipped(name: string): Promise<Uint8Array> {
  const { privateKeyPem } = generateKeyPair();
  return signPackage(await packModule(moduleFolder(name)), { publisher: 'acme', privateKey: privateKeyPem });
}

/** Looks until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleep(LOOK_MS);
  }
  throw new Error(`still waiting for ${what}`);
}

async function makeTenant(bulkhead: Bulkhead, cloud: FakeCloud) {
  const { auth, db, tenants } = bulkhead.panel;
  const slug = `t${randomBytes(6).toString('hex')}`;
  const created = await tenants.create({
    slug,
    name: slug,
    currency: 'USD',
    timezone: 'UTC',
    admin: { name: 'Admin', email: `admin@${slug}.example`, password: 'A long password 1' },
  });
  if (!created.ok) throw new Error(JSON.stringify(created.errors));
  const { tenantId } = created;
  const { id: adminId } = await db
    .selectFrom('accounts')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow();
  const { id: clientId } = await auth.createAccount({
    kind: 'client',
    tenantId,
    name: 'Client',
    email: `client@${slug}.example`,
    password: 'A long password 2',
  });
  const allow = [{ cidr: '127.0.0.1/32', port: Number(new URL(cloud.cloud).port) }];
  await tenants.allowEgress({ tenantId, allow, accountId: adminId });
  return { tenantId, adminId, clientId };
}

/** Grants all the module asks for, saves its settings and enables it. */
async function enable(
  bulkhead: Bulkhead,
  installationId: string,
  accountId: string,
  values: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { catalog } = bulkhead.panel;
  const { lines } = await catalog.consent(installationId);
  const answers = Object.fromEntries(lines.map(({ id }) => [id, { granted: true as const }]));
  await catalog.grant({ installationId, answers, accountId });
  const saved = await catalog.saveSettings({ installationId, values, accountId });
  if (!saved.ok) throw new Error(JSON.stringify(saved.errors));
  await catalog.enable(installationId, accountId);
}

async function storedRows(admin: PgEndpoint, table: string): Promise<Record<string, unknown>[]> {
  await using superuser = connectHost(admin, { max: 1 });
  const { sql } = superuser;
  const [found] = await sql<{ schema: string }[]>`
    select schemaname as schema from pg_tables where tablename = ${table}`;
  if (found === undefined) throw new Error(`there is no table ${table}`);
  return [
    ...(await sql<Record<string, unknown>[]>`select * from ${sql(found.schema)}.${sql(table)} order by 1`),
  ];
}

/** Everything, from an empty database to an enabled module with a running worker. */
export async function install(
  name: string,
  settings: (cloud: FakeCloud) => Readonly<Record<string, unknown>>,
): Promise<Installed> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(temporaryFolder());
  const host = undo.use(await testDatabase());
  const modules = undo.use(await testModulesDatabase());
  const cloud = undo.use(await spawnFakeCloud({ provisioningMs: 0, actionMs: 0 }));
  const bulkhead = await createBulkhead({
    dataDir: folder.path,
    publicUrl: 'http://127.0.0.1:4300',
    databaseUrl: formatEndpoint(host.endpoint),
    modulesDatabaseUrl: formatEndpoint(modules.endpoint),
    env: {},
  });
  undo.defer(() => bulkhead.close());
  const { versionId } = await bulkhead.publish(await packShipped(name), { status: 'published' });
  const tenant = await makeTenant(bulkhead, cloud);
  const { tenantId, adminId, clientId } = tenant;
  const { installationId } = await bulkhead.panel.catalog.install({
    tenantId,
    versionId,
    accountId: adminId,
  });
  await enable(bulkhead, installationId, adminId, settings(cloud));
  await bulkhead.startWorker(WORKER);
  const kept = undo.move();
  return {
    ...tenant,
    bulkhead,
    cloud,
    installationId,
    admin: { id: adminId, kind: 'admin', permissions: ['*'] },
    client: { id: clientId, kind: 'client', permissions: [] },
    stored: (table) => storedRows(modules.admin, table),
    asSuperuser: async (work) => {
      await using superuser = connectHost(modules.admin, { max: 1 });
      await work(superuser.sql);
    },
    close: () => kept.disposeAsync(),
  };
}

/** One for all tests of a file. */
export function useInstalled(
  name: string,
  settings: (cloud: FakeCloud) => Readonly<Record<string, unknown>>,
): () => Installed {
  let current: Installed | undefined;
  beforeAll(async () => {
    current = await install(name, settings);
  });
  afterAll(async () => current?.close());
  return () => {
    if (current === undefined) throw new Error('the module is there inside tests and hooks only');
    return current;
  };
}
