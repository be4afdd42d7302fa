/** The lines of a backup written into two open databases. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { HostSql } from '../database/connect.ts';
import { createInstallationSchema, dropInstallationSchema } from '../database/modules/installation-schema.ts';
import { type InstallationNames, installationNames } from '../database/modules/names.ts';
import { derivedRolePassword, type RolePassword } from '../database/modules/passwords.ts';
import type { OpenDatabases } from '../database/open.ts';
import { isRow, type Read, type SchemaOfBackup, type TableOfBackup } from './lines.ts';
import type { Trx } from './module-schema.ts';
import { RowWriter, setSequence, tablesOf, usePlainTexts } from './rows.ts';

export interface Loaded {
  readonly tables: number;
  readonly rows: number;
  readonly installations: number;
}

export interface Deployment {
  readonly id: string;
  readonly key: Uint8Array;
}

/** Stands in the modules' database while a restore is under way: what one that was killed left may be taken away by the next. */
const MARK = 'bulkhead_restore';
const SCHEMA = /^m_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** All or nothing. @throws HostError CONFLICT if there are modules' schemas or roles in use already */
export async function loadInto(
  { host, modules }: OpenDatabases,
  lines: AsyncIterable<Read>,
  deployment: Deployment,
): Promise<Loaded> {
  await clearLeftovers(modules.sql, deployment.id);
  await refuseSharedRoles(modules.sql, deployment.id);
  await modules.sql`create schema ${modules.sql(MARK)}`;
  try {
    const loaded = await host.sql.begin(async (h) => {
      await usePlainTexts(h);
      const links = await takeForeignKeysOff(h);
      // Some migrations put rows of their own in.
      for (const { name } of await tablesOf(h, 'host', 'public', ['schema_migrations']))
        await h.unsafe(`truncate "${name}"`);
      const counted = await modules.sql.begin(async (m) => {
        await usePlainTexts(m);
        return new Loader(h, m, modules.sql, deployment).load(lines);
      });
      for (const link of links) await h.unsafe(link);
      return counted;
    });
    await modules.sql`drop schema ${modules.sql(MARK)}`;
    return loaded;
  } catch (error) {
    await clearLeftovers(modules.sql, deployment.id);
    throw error;
  }
}

class Loader {
  readonly #h: Trx;
  readonly #m: Trx;
  readonly #modulesSql: HostSql;
  readonly #deployment: Deployment;
  readonly #rolePassword: RolePassword;
  #writer: RowWriter | undefined;
  /** What the schema under way still wants, once its rows are there. */
  #after: readonly string[] = [];
  #count = { tables: 0, rows: 0, installations: 0 };

  constructor(h: Trx, m: Trx, modulesSql: HostSql, deployment: Deployment) {
    this.#h = h;
    this.#m = m;
    this.#modulesSql = modulesSql;
    this.#deployment = deployment;
    this.#rolePassword = derivedRolePassword(deployment.key);
  }

  async load(lines: AsyncIterable<Read>): Promise<Loaded> {
    for await (const line of lines) {
      if (isRow(line)) await this.#row(line);
      else await this.#line(line);
    }
    return this.#count;
  }

  async #row(line: string): Promise<void> {
    if (this.#writer === undefined) throw new HostError('BAD_INPUT', 'The backup has a row without a table.');
    this.#count.rows += 1;
    await this.#writer.write(line);
  }

  async #line(line: Exclude<Read, string>): Promise<void> {
    await this.#writer?.end();
    this.#writer = undefined;
    if (line.is === 'table') this.#table(line);
    else if (line.is === 'sequence') await setSequence(this.#of(line.database), line);
    else if (line.is === 'schema') await this.#schema(line);
    else if (line.is === 'end') await this.#endSchema();
  }

  #of(database: TableOfBackup['database']): Trx {
    return database === 'host' ? this.#h : this.#m;
  }

  #table(table: TableOfBackup): void {
    this.#count.tables += 1;
    this.#writer = new RowWriter(this.#of(table.database), table);
  }

  async #schema(line: SchemaOfBackup): Promise<void> {
    await this.#endSchema();
    const names = installationNames(this.#deployment.id, line.installationId);
    await createInstallationSchema(this.#modulesSql, names, this.#rolePassword);
    await this.#m.unsafe(`set local role ${names.owner}`);
    for (const statement of line.before) await this.#m.unsafe(statement);
    this.#after = line.after;
    this.#count.installations += 1;
  }

  async #endSchema(): Promise<void> {
    for (const statement of this.#after) await this.#m.unsafe(statement);
    this.#after = [];
    await this.#m.unsafe('reset role');
  }
}

/** Rows come table by table, whatever points at whatever. @returns what puts them back, and looks at each row as it does */
async function takeForeignKeysOff(h: Trx): Promise<string[]> {
  const found = await h<{ off: string; on: string }[]>`
    select format('alter table %I drop constraint %I', c.relname, k.conname) as off,
      format('alter table %I add constraint %I %s', c.relname, k.conname, pg_get_constraintdef(k.oid)) as on
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where k.contype = 'f' and c.relnamespace = 'public'::regnamespace order by c.relname, k.conname`;
  for (const { off } of found) await h.unsafe(off);
  return found.map(({ on }) => on);
}

async function clearLeftovers(sql: HostSql, deploymentId: string): Promise<void> {
  const schemas = await sql<{ name: string }[]>`
    select nspname as name from pg_namespace where nspname = ${MARK} or starts_with(nspname, 'm_')`;
  const isMarked = schemas.some(({ name }) => name === MARK);
  const left = schemas.flatMap(({ name }) => namesOf(deploymentId, name) ?? []);
  if (!isMarked && left.length > 0)
    throw new HostError(
      'CONFLICT',
      'The modules’ database holds schemas of modules already: drop that database, or name an empty one in MODULES_DATABASE_URL.',
    );
  for (const names of left) await dropInstallationSchema(sql, names);
  await sql`drop schema if exists ${sql(MARK)}`;
}

function namesOf(deploymentId: string, schema: string): InstallationNames | undefined {
  const parts = SCHEMA.exec(schema)?.slice(1);
  return parts === undefined ? undefined : installationNames(deploymentId, parts.join('-'));
}

/** Roles belong to the whole server: beside the host that the backup is of, the restored one would share its modules' roles. */
async function refuseSharedRoles(sql: HostSql, deploymentId: string): Promise<void> {
  const [shared] = await sql<{ database: string }[]>`
    select d.datname as database from pg_shdepend s
    join pg_roles r on r.oid = s.refobjid and s.refclassid = 'pg_authid'::regclass
    join pg_database d on d.oid = s.dbid
    where starts_with(r.rolname, ${`bh_${deploymentId}_`}) and d.datname <> current_database() limit 1`;
  if (shared !== undefined)
    throw new HostError(
      'CONFLICT',
      `The host that this backup is of has its modules in the database ${shared.database} of this server, and their roles are the server's. Restore on another server, or drop that database first.`,
    );
}
