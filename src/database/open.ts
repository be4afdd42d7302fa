/**
 * The host's two databases, opened: its own and the modules'. With DATABASE_URL that server is used; without, an embedded PostgreSQL is started
 * under the data directory. Either way the host works as a role without superuser rights, so that what is tested is what runs.
 */
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { checkConnection, connectHost, type HostConnection } from './connect.ts';
import { type EmbeddedPostgres, startEmbedded } from './embedded/start.ts';
import { type PgEndpoint, parseEndpoint } from './endpoint.ts';
import { migrate } from './migrate.ts';
import { createModulesDatabase, prepareModulesDatabase } from './modules/prepare.ts';

export const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));
const HOST_ROLE = 'bulkhead';
const HOST_DATABASE = 'bulkhead';
const MODULES_SUFFIX = '_modules';

export interface OpenDatabases {
  readonly host: HostConnection;
  readonly modules: HostConnection;
  /** Whether PostgreSQL is ours to stop. */
  readonly embedded: boolean;
  /** Settles if an embedded PostgreSQL ends on its own. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly databaseUrl?: string | undefined;
  /** The modules' database, where the host may not create one. */
  readonly modulesDatabaseUrl?: string | undefined;
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /** Looks at the host's database before anything is made in it. */
  readonly before?: (host: HostConnection) => Promise<void>;
  /** Migrations beyond this number are left for the next start: what comes in was made before them. */
  readonly lastMigration?: number;
}

/** @throws HostError with what to mend: an address that cannot be read or reached, a role that lacks a right */
export async function openDatabases(options: OpenOptions): Promise<OpenDatabases> {
  const embedded =
    options.databaseUrl === undefined
      ? await startEmbedded({ dataDir: options.dataDir, log: options.log })
      : undefined;
  try {
    const endpoint =
      embedded === undefined ? parseEndpoint(options.databaseUrl ?? '') : await ownRole(embedded);
    return await open(endpoint, embedded, options);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** The names the two databases have in an embedded PostgreSQL. */
export const EMBEDDED_DATABASES = Object.freeze({
  host: HOST_DATABASE,
  modules: `${HOST_DATABASE}${MODULES_SUFFIX}`,
});

/** Where the modules' database is, for what only reads: it is not made. */
export function modulesEndpointOf(host: PgEndpoint, modulesDatabaseUrl: string | undefined): PgEndpoint {
  return modulesDatabaseUrl === undefined
    ? { ...host, database: `${host.database}${MODULES_SUFFIX}` }
    : parseEndpoint(modulesDatabaseUrl);
}

async function open(
  endpoint: PgEndpoint,
  embedded: EmbeddedPostgres | undefined,
  options: OpenOptions,
): Promise<OpenDatabases> {
  const host = connectHost(endpoint);
  try {
    await checkConnection(host);
    await options.before?.(host);
    const applied = await migrate(endpoint, MIGRATIONS, options.lastMigration);
    if (applied.length > 0) options.log(`migrations: ${applied.join(', ')}`);
    const modules = connectHost(await modulesEndpoint(host, options), {
      max: 4,
      applicationName: 'bulkhead-modules',
    });
    await prepareModulesDatabase(modules.sql);
    const close = async (): Promise<void> => {
      await Promise.all([host.close(), modules.close()]);
      await embedded?.stop();
    };
    return {
      host,
      modules,
      embedded: embedded !== undefined,
      lost: embedded?.exited.then(() => undefined) ?? new Promise(() => undefined),
      close,
    };
  } catch (error) {
    await host.close();
    throw error;
  }
}

async function modulesEndpoint(host: HostConnection, options: OpenOptions): Promise<PgEndpoint> {
  const endpoint = modulesEndpointOf(host.endpoint, options.modulesDatabaseUrl);
  if (options.modulesDatabaseUrl !== undefined) return endpoint;
  try {
    await createModulesDatabase(host.sql, endpoint.database);
  } catch (cause) {
    throw new HostError(
      'CONFLICT',
      `The database ${endpoint.database} for modules cannot be created: grant CREATEDB and CREATEROLE to ${host.endpoint.user}, or set MODULES_DATABASE_URL.`,
      { cause },
    );
  }
  return endpoint;
}

/** A role of the host's own in an embedded PostgreSQL, with a password of this start only. */
async function ownRole(embedded: EmbeddedPostgres): Promise<PgEndpoint> {
  const password = randomBytes(24).toString('base64url');
  await using admin = connectHost(embedded.endpoint(), { max: 1 });
  const [role] = await admin.sql`select 1 from pg_roles where rolname = ${HOST_ROLE}`;
  const verb = role === undefined ? 'create' : 'alter';
  await admin.sql.unsafe(
    `${verb} role ${HOST_ROLE} login createdb createrole nosuperuser password '${password}'`,
  );
  const [database] = await admin.sql`select 1 from pg_database where datname = ${HOST_DATABASE}`;
  if (database === undefined)
    await admin.sql.unsafe(`create database ${HOST_DATABASE} owner ${HOST_ROLE} template template0`);
  await admin.sql.unsafe(`revoke connect, temporary on database ${HOST_DATABASE} from public`);
  return embedded.endpoint({ user: HOST_ROLE, password, database: HOST_DATABASE });
}

/** The deployment's id (part of role names) and the key its modules' role passwords are derived from; made once. */
export async function deploymentIdentity(
  host: HostConnection,
  seal: (plain: Uint8Array) => Uint8Array,
  open: (sealed: Uint8Array) => Uint8Array,
): Promise<{ id: string; key: Uint8Array }> {
  const key = randomBytes(32);
  const fresh = {
    id: createHash('sha256').update(key).digest('hex').slice(0, 8),
    sealed: Buffer.from(seal(key)).toString('base64'),
  };
  await host.db
    .insertInto('settings')
    .values({ key: 'deployment', value: fresh })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  const row = await host.db
    .selectFrom('settings')
    .select('value')
    .where('key', '=', 'deployment')
    .executeTakeFirstOrThrow();
  const stored = row.value as { readonly id: string; readonly sealed: string };
  return { id: stored.id, key: open(Buffer.from(stored.sealed, 'base64')) };
}
