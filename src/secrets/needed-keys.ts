/**
 * What still needs an older master key. What the host keeps it seals again by itself; what modules encrypted lies in their own tables, under
 * whatever key was in use then, and is found there by its beginning. A key that something needs is not retired.
 */
import { sql, type Kysely } from 'kysely';
import type { HostSql } from '../database/connect.ts';
import { installationNames } from '../database/modules/names.ts';
import type { Tables } from '../database/tables.ts';
import { cryptBeginning } from './crypt-text.ts';

export interface KeyNeed {
  /** For the operator: 'Plugin/Notes of acme, table notes, column body'. */
  readonly what: string;
  readonly count: number;
}

export interface NeedDeps {
  readonly db: Kysely<Tables>;
  /** As the host, in the modules' database. */
  readonly modulesSql: HostSql;
}

/** The host's own tables in which a module's values stand as it gave them. */
const MODULE_VALUES = [
  ['services', 'data'],
  ['services', 'provision_data'],
  ['products', 'data'],
  ['installations', 'settings'],
  ['instances', 'settings'],
  ['schedules', 'params'],
  ['cache_entries', 'value'],
] as const;

async function counted(db: Kysely<Tables>, what: string, query: ReturnType<typeof sql>): Promise<KeyNeed> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${query}`.execute(db);
  return { what, count: rows[0]?.count ?? 0 };
}

async function ofHost(db: Kysely<Tables>, keyId: Buffer): Promise<KeyNeed[]> {
  const begins = cryptBeginning(keyId);
  const needs = [
    counted(db, 'secrets of modules', sql`secrets where substring(ciphertext from 2 for 4) = ${keyId}`),
    counted(
      db,
      'keys of authenticator apps',
      sql`accounts where substring(totp_secret from 2 for 4) = ${keyId}`,
    ),
    counted(
      db,
      'the identity of this deployment',
      sql`settings where key = 'deployment' and substring(decode(value ->> 'sealed', 'base64') from 2 for 4) = ${keyId}`,
    ),
    // Ended tasks are history: nobody opens what stands in them.
    counted(
      db,
      'what waiting tasks were given',
      sql`tasks where finished_at is null and strpos(params::text, ${begins}) > 0`,
    ),
    ...MODULE_VALUES.map(([table, column]) =>
      counted(
        db,
        `texts that modules encrypted, in ${table}.${column}`,
        sql`${sql.table(table)} where strpos(${sql.ref(column)}::text, ${begins}) > 0`,
      ),
    ),
  ];
  return Promise.all(needs);
}

interface Column {
  readonly table: string;
  readonly column: string;
}

/** One installation's tables, read as their owner: the host has no right of its own to them. */
async function ofInstallation(
  modulesSql: HostSql,
  names: { readonly schema: string; readonly owner: string },
  begins: string,
): Promise<(Column & { readonly count: number })[]> {
  return modulesSql.begin(async (trx) => {
    await trx.unsafe(`set local role ${names.owner}`);
    const columns = await trx<Column[]>`
      select relname as table, attname as column
      from pg_attribute join pg_class on pg_class.oid = attrelid
      where relnamespace = ${names.schema}::text::regnamespace and relkind in ('r', 'p')
        and attnum > 0 and not attisdropped
        and atttypid::regtype::text in ('text', 'character varying', 'character', 'json', 'jsonb')
      order by 1, attnum`;
    const found = [];
    for (const { table, column } of columns) {
      const [row] = await trx<{ count: number }[]>`
        select count(*)::int as count from ${trx(names.schema)}.${trx(table)}
        where strpos(${trx(column)}::text, ${begins}) > 0`;
      found.push({ table, column, count: row?.count ?? 0 });
    }
    return found;
  });
}

async function ofModules(deps: NeedDeps, deploymentId: string, keyId: Buffer): Promise<KeyNeed[]> {
  const rows = await deps.db
    .selectFrom('installations as installation')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .innerJoin('tenants as tenant', 'tenant.id', 'installation.tenant_id')
    .select(['installation.id', 'module.type', 'module.name', 'tenant.slug'])
    .where('installation.schema_name', 'is not', null)
    .orderBy('tenant.slug')
    .execute();
  const needs: KeyNeed[] = [];
  for (const { id, type, name, slug } of rows) {
    const found = await ofInstallation(
      deps.modulesSql,
      installationNames(deploymentId, id),
      cryptBeginning(keyId),
    );
    for (const { table, column, count } of found)
      needs.push({ what: `${type}/${name} of ${slug}, table ${table}, column ${column}`, count });
  }
  return needs;
}

/** What is under this key, each kind of it that is there at all. */
export async function neededFor(deps: NeedDeps, keyId: Buffer): Promise<readonly KeyNeed[]> {
  const { rows } = await sql<{ id: string | null }>`
    select value ->> 'id' as id from settings where key = 'deployment'`.execute(deps.db);
  const deploymentId = rows[0]?.id ?? undefined;
  const needs = [
    ...(await ofHost(deps.db, keyId)),
    ...(deploymentId === undefined ? [] : await ofModules(deps, deploymentId, keyId)),
  ];
  return needs.filter(({ count }) => count > 0);
}
