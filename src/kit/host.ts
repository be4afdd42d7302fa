/**
 * The host behind the kit: a real one, with a database of its own that is made for this process and removed with it. Modules that are
 * loaded at the same time share it, each in a tenant of its own; the last one that closes takes it along.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { createBulkhead, type Bulkhead, type LogLevel } from '../host.ts';

/** A PostgreSQL of one's own to test on; an embedded one is made if absent. */
export interface KitDatabases {
  /** Keeps the key that the databases' secrets are under. */
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly modulesDatabaseUrl: string;
}

export interface KitHost {
  readonly bulkhead: Bulkhead;
  /** What the host said to its operator: warnings and errors. */
  readonly faults: readonly string[];
  /** Of one who uses it; the host ends with the last. */
  release(): Promise<void>;
}

interface Shared {
  readonly opened: ReturnType<typeof open>;
  users: number;
}

/** As a CI with a PostgreSQL of its own sets them. */
const VARIABLES = {
  databaseUrl: 'BULKHEAD_KIT_DATABASE_URL',
  modulesDatabaseUrl: 'BULKHEAD_KIT_MODULES_DATABASE_URL',
  dataDir: 'BULKHEAD_KIT_DATA',
} as const;

function databasesFromEnvironment(): KitDatabases | undefined {
  const databaseUrl = process.env[VARIABLES.databaseUrl];
  const modulesDatabaseUrl = process.env[VARIABLES.modulesDatabaseUrl];
  const dataDir = process.env[VARIABLES.dataDir];
  if (databaseUrl === undefined || modulesDatabaseUrl === undefined || dataDir === undefined)
    return undefined;
  return { databaseUrl, modulesDatabaseUrl, dataDir };
}

const shared = new Map<string, Shared>();
const PUBLIC_URL = 'http://127.0.0.1:4300';

async function open(databases: KitDatabases | undefined) {
  const faults: string[] = [];
  const log = (level: LogLevel, message: string, detail?: unknown): void => {
    if (level === 'warning' || level === 'error') faults.push(`${level}: ${message} ${inspect(detail)}`);
  };
  const common = { publicUrl: PUBLIC_URL, env: {}, log };
  if (databases !== undefined)
    return {
      bulkhead: await createBulkhead({ ...common, ...databases }),
      faults,
      cleanUp: async () => undefined,
    };
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bulkhead-kit-'));
  const cleanUp = (): Promise<void> => rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  try {
    // PostgreSQL and the runners may be other users of this machine.
    await chmod(dataDir, 0o755);
    return { bulkhead: await createBulkhead({ ...common, dataDir }), faults, cleanUp };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** @throws HostError with what to mend before a host can run here */
export async function useHost(given?: KitDatabases): Promise<KitHost> {
  const databases = given ?? databasesFromEnvironment();
  const key = databases?.databaseUrl ?? 'embedded';
  const entry = shared.get(key) ?? { opened: open(databases), users: 0 };
  shared.set(key, entry);
  entry.users++;
  let released = false;
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    if (--entry.users > 0) return;
    shared.delete(key);
    const { bulkhead, cleanUp } = await entry.opened;
    await bulkhead.close();
    await cleanUp();
  };
  try {
    const { bulkhead, faults } = await entry.opened;
    return { bulkhead, faults, release };
  } catch (error) {
    shared.delete(key);
    throw error;
  }
}

export interface KitTenant {
  readonly tenantId: string;
  readonly adminId: string;
  readonly clientId: string;
}

const PASSWORD_BYTES = 18;

/** A tenant for one module, with an admin and a client, whose modules may reach these ports of this machine. */
export async function makeTenant(bulkhead: Bulkhead, ports: readonly number[]): Promise<KitTenant> {
  const { auth, db, tenants } = bulkhead.panel;
  const slug = `kit-${randomBytes(6).toString('hex')}`;
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  const created = await tenants.create({
    slug,
    name: 'Kit',
    currency: 'USD',
    timezone: 'UTC',
    admin: { name: 'Admin', email: `admin@${slug}.example`, password },
  });
  if (!created.ok) throw new Error(JSON.stringify(created.errors));
  const { tenantId } = created;
  const admin = await db
    .selectFrom('accounts')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow();
  const client = await auth.createAccount({
    kind: 'client',
    tenantId,
    name: 'Client',
    email: `client@${slug}.example`,
    password,
  });
  const allow = ports.map((port) => ({ cidr: '127.0.0.1/32', port }));
  if (allow.length > 0) await tenants.allowEgress({ tenantId, allow, accountId: admin.id });
  return { tenantId, adminId: admin.id, clientId: client.id };
}
