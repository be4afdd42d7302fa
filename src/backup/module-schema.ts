/**
 * A module's schema written down as the statements that make it again, from what PostgreSQL says of it: no pg_dump comes with the embedded
 * one. Modules may make tables, indexes and the sequences of their columns (src/database/guard); anything else is told, not left out.
 */
import type { TransactionSql } from 'postgres';
import { HostError } from '../../sandbox/contract/envelope.ts';

export type Trx = TransactionSql<{ bigint: number; date: string }>;

interface Column {
  table: string;
  is_unlogged: boolean;
  definition: string;
}

/** @returns what is to be run before the rows come, and what after them */
export async function describeSchema(
  trx: Trx,
  schema: string,
): Promise<{ before: string[]; after: string[] }> {
  await refuseUnknown(trx, schema);
  const before = [...(await sequences(trx, schema)), ...(await tables(trx, schema))];
  const after = [
    ...(await owned(trx, schema)),
    ...(await constraints(trx, schema, ['c', 'p', 'u'])),
    ...(await indexes(trx, schema)),
    // Last: each needs the other table's key.
    ...(await constraints(trx, schema, ['f'])),
  ];
  return { before, after };
}

async function refuseUnknown(trx: Trx, schema: string): Promise<void> {
  const [other] = await trx<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = ${schema}::regnamespace and relkind not in ('r', 'i', 'S')
    union all select typname from pg_type where typnamespace = ${schema}::regnamespace and typtype in ('e', 'd', 'r')
    union all select proname from pg_proc where pronamespace = ${schema}::regnamespace
    limit 1`;
  if (other !== undefined)
    throw new HostError(
      'CONFLICT',
      `${schema} holds ${other.name}, which no module can make: it was made by hand, and a backup would lose it. Take it out first.`,
    );
}

/** Those behind `serial`; an identity column makes its own. */
async function sequences(trx: Trx, schema: string): Promise<string[]> {
  const found = await trx<{ text: string }[]>`
    select format('create sequence %I.%I as %s increment %s minvalue %s maxvalue %s start %s cache %s %s',
      ${schema}::text, c.relname, format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
      case when s.seqcycle then 'cycle' else 'no cycle' end) as text
    from pg_class c join pg_sequence s on s.seqrelid = c.oid
    where c.relnamespace = ${schema}::regnamespace
      and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i')
    order by c.relname`;
  return found.map(({ text }) => text);
}

async function tables(trx: Trx, schema: string): Promise<string[]> {
  const columns = await trx<Column[]>`
    select format('%I.%I', ${schema}::text, c.relname) as table, c.relpersistence = 'u' as is_unlogged,
      format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
        || case
          when a.attidentity <> '' then format(' generated %s as identity (sequence name %s)',
            case a.attidentity when 'a' then 'always' else 'by default' end,
            pg_get_serial_sequence(format('%I.%I', ${schema}::text, c.relname), a.attname))
          when a.attgenerated <> '' then format(' generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid),
            case a.attgenerated when 's' then 'stored' else 'virtual' end)
          when d.adbin is not null then format(' default %s', pg_get_expr(d.adbin, d.adrelid))
          else '' end
        || case when a.attnotnull then ' not null' else '' end as definition
    from pg_class c
    left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = ${schema}::regnamespace and c.relkind = 'r'
    order by c.relname, a.attnum`;
  return [...Map.groupBy(columns, (column) => column.table)].map(([table, own]) => {
    const kind = own[0]?.is_unlogged === true ? 'unlogged table' : 'table';
    // A table may have lost its last column.
    return `create ${kind} ${table} (${own.flatMap(({ definition }) => definition ?? []).join(', ')})`;
  });
}

/** Sequences of `serial` go with their column. */
async function owned(trx: Trx, schema: string): Promise<string[]> {
  const found = await trx<{ text: string }[]>`
    select format('alter sequence %I.%I owned by %I.%I.%I', ${schema}::text, s.relname, ${schema}::text, t.relname, a.attname) as text
    from pg_class s
    join pg_depend d on d.objid = s.oid and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'a'
    join pg_class t on t.oid = d.refobjid
    join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    where s.relnamespace = ${schema}::regnamespace and s.relkind = 'S'
    order by s.relname`;
  return found.map(({ text }) => text);
}

async function constraints(trx: Trx, schema: string, types: readonly string[]): Promise<string[]> {
  const found = await trx<{ text: string }[]>`
    select format('alter table %I.%I add constraint %I %s', ${schema}::text, c.relname, k.conname, pg_get_constraintdef(k.oid)) as text
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = ${schema}::regnamespace and k.contype::text = any(${types})
    order by c.relname, k.conname`;
  return found.map(({ text }) => text);
}

/** But those that a constraint brings with it. */
async function indexes(trx: Trx, schema: string): Promise<string[]> {
  const found = await trx<{ text: string }[]>`
    select pg_get_indexdef(i.indexrelid) as text
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = ${schema}::regnamespace
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
    order by c.relname`;
  return found.map(({ text }) => text);
}
