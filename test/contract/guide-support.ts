/** What the tests of the guide's rows share: how a module's table really looks, and its methods called the way the host calls them. */
import type { ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import type { Bulkhead } from '../../src/host.ts';

export type Values = Readonly<Record<string, unknown>>;

export interface TableShape {
  /** 'character varying(255) not null default …' by column, in order. */
  readonly columns: Readonly<Record<string, string>>;
  /** The indexed columns of each index but the primary key's: 'active, group_uuid', 'unique name'. */
  readonly indexes: readonly string[];
  /** Columns of the primary key. */
  readonly primary: string;
  /** 'group_uuid → cloud_server_groups.uuid'. */
  readonly references: readonly string[];
}

async function schemaOf(bulkhead: Bulkhead, installationId: string): Promise<string> {
  const row = await bulkhead.panel.db
    .selectFrom('installations')
    .select('schema_name')
    .where('id', '=', installationId)
    .executeTakeFirstOrThrow();
  return row.schema_name ?? '';
}

/** A table of an installation as PostgreSQL's catalogue has it. */
export async function tableShape(
  bulkhead: Bulkhead,
  installationId: string,
  table: string,
): Promise<TableShape> {
  const { sql } = bulkhead.databases.modules;
  const schema = await schemaOf(bulkhead, installationId);
  const [found] = await sql<{ oid: number }[]>`
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${table}`;
  if (found === undefined) throw new Error(`there is no table ${table}`);
  const { oid } = found;
  const columns = await sql<{ name: string; definition: string }[]>`
    select a.attname as name, concat(format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' end, case when a.attidentity <> '' then ' identity' end,
      ' default ' || pg_get_expr(d.adbin, d.adrelid)) as definition
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped order by a.attnum`;
  const indexes = await sql<{ primary: boolean; unique: boolean; columns: string }[]>`
    select i.indisprimary as primary, i.indisunique as unique,
      (select string_agg(a.attname, ', ' order by k.place)
       from unnest(i.indkey::smallint[]) with ordinality k(number, place)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number) as columns
    from pg_index i where i.indrelid = ${oid} order by 3`;
  const references = await sql<{ reference: string }[]>`
    select concat(a.attname, ' → ', t.relname, '.', b.attname) as reference
    from pg_constraint k join pg_class t on t.oid = k.confrelid
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[1]
    where k.contype = 'f' and k.conrelid = ${oid} order by 1`;
  return {
    columns: Object.fromEntries(columns.map(({ name, definition }) => [name, definition])),
    indexes: indexes
      .filter(({ primary }) => !primary)
      .map(({ unique, columns }) => `${unique ? 'unique ' : ''}${columns}`),
    primary: indexes.find(({ primary }) => primary)?.columns ?? '',
    references: references.map(({ reference }) => reference),
  };
}

export const TIMESTAMPS = {
  created_at: 'timestamp with time zone not null default now()',
  updated_at: 'timestamp with time zone not null default now()',
} as const;
export const ID = 'bigint not null identity';
export const UUID = 'uuid not null default gen_random_uuid()';
export const STRING = 'character varying(255) not null';
export const NULLABLE_STRING = 'character varying(255)';

/** Calls a method of the module as the host does, and gives back what it returned. */
export async function callModule(
  bulkhead: Bulkhead,
  installationId: string,
  method: string,
  ...args: unknown[]
): Promise<unknown> {
  const { results } = await bulkhead.invoker.invoke({
    installationId,
    purpose: 'request',
    calls: [{ target: { on: 'module' }, method, args }],
  });
  const last = results.at(-1);
  return last !== undefined && 'value' in last ? last.value : last?.response;
}

/** A request as the panel hands it to a module. */
export function requestOf(
  method: ModuleRequest['method'],
  path: string,
  body?: Values | string,
): ModuleRequest {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return {
    method,
    url: `http://127.0.0.1:4300/${path}`,
    headers: body === undefined ? [] : [['content-type', 'application/json']],
    body: { text },
    params: {},
  };
}

/** The HTML of a reply. @throws Error if it is something else */
export function htmlOf(reply: ModuleResponse): string {
  if (reply.kind !== 'html') throw new Error(`HTML was expected, not ${JSON.stringify(reply)}`);
  return reply.html;
}
