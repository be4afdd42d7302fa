/**
 * A module's own data, to take along before it is purged: every row of its tables as a line of JSON, read in one snapshot as the module's own
 * role, so that nothing else can be in it. What the host encrypted for the module stays encrypted.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { HostSql } from '../database/connect.ts';
import { installationNames } from '../database/modules/names.ts';
import type { Installations } from './installations.ts';

export const EXPORT_LIMITS = Object.freeze({
  atOnce: 2,
  rowsAtOnce: 100,
  statementMs: 60_000,
  stalledMs: 60_000,
});

export interface ExportDeps {
  readonly installations: Installations;
  readonly modulesSql: HostSql;
  readonly deploymentId: string;
}

export type Exporter = (installationId: string) => Promise<AsyncIterable<string>>;

/** @throws HostError CONFLICT if there is nothing to export, LIMIT while others are being exported */
export function createExporter(deps: ExportDeps): Exporter {
  let running = 0;
  return async (installationId) => {
    const { schemaName, version, tenant } = await deps.installations.get(installationId);
    if (schemaName === null) throw new HostError('CONFLICT', 'This module has no data of its own.');
    if (running >= EXPORT_LIMITS.atOnce)
      throw new HostError('LIMIT', 'Other exports are running; try again when they have ended.');
    const about = {
      module: `${version.publisher}/${version.type}/${version.name}`,
      version: version.version,
      tenant: tenant.slug,
      exported_at: new Date().toISOString(),
    };
    const { schema, login } = installationNames(deps.deploymentId, installationId);
    async function* lines(): AsyncGenerator<string> {
      running++;
      try {
        yield `${JSON.stringify(about)}\n`;
        yield* rowsOf(deps.modulesSql, schema, login);
      } finally {
        running--;
      }
    }
    return lines();
  };
}

/** The name of a table is the module's choice. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function* rowsOf(modulesSql: HostSql, schema: string, login: string): AsyncGenerator<string> {
  const sql = await modulesSql.reserve();
  try {
    await sql.unsafe('begin isolation level repeatable read, read only');
    await sql.unsafe(`set local role ${login}`);
    await sql.unsafe(`set local statement_timeout = ${EXPORT_LIMITS.statementMs}`);
    // Who stops reading does not keep a transaction open.
    await sql.unsafe(`set local idle_in_transaction_session_timeout = ${EXPORT_LIMITS.stalledMs}`);
    const tables = await sql<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relkind = 'r' order by 1`;
    for (const { name } of tables) {
      await sql.unsafe(
        `declare exported no scroll cursor for select row_to_json(exported)::text as row from ${schema}.${quoted(name)} as exported`,
      );
      for (;;) {
        const batch = await sql.unsafe<{ row: string }[]>(`fetch ${EXPORT_LIMITS.rowsAtOnce} from exported`);
        if (batch.length === 0) break;
        yield batch.map(({ row }) => `{"table":${JSON.stringify(name)},"row":${row}}\n`).join('');
      }
      await sql.unsafe('close exported');
    }
  } finally {
    await sql.unsafe('rollback').catch(() => undefined);
    sql.release();
  }
}
