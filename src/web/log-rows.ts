/** Log lines as lists show them: a module's own and the host's about it. Their texts are strangers' and stay text. */
import { sql, type CompiledQuery } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { AccountContext } from './env.ts';
import { WEB_LIMITS } from './limits.ts';
import { pageNumber, paged, rowsFrom } from './paging.ts';
import type { Panel } from './panel.ts';

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LEVELS)[number];
export const LOG_LEVELS: readonly LogLevel[] = LEVELS;

export function logLevel(text: string | undefined): LogLevel | undefined {
  return LEVELS.find((level) => level === text);
}

export interface LogFilter {
  /** This level and the graver ones. */
  readonly level?: LogLevel | undefined;
  readonly installationId?: string | undefined;
  readonly serviceId?: string | undefined;
  readonly text?: string | undefined;
}

const STATEMENT_TIMEOUT = '57014';

/** LIKE with the person's text taken literally. */
function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
}

/** Reads within a bound: a text is looked for in every line, and many lines must not hold a connection for minutes. @throws TIMEOUT */
async function within<T>(panel: Panel, query: { compile(): CompiledQuery<T> }): Promise<T[]> {
  try {
    return await panel.deps.db.transaction().execute(async (trx) => {
      await sql`select set_config('statement_timeout', ${String(WEB_LIMITS.searchMs)}, true)`.execute(trx);
      return (await trx.executeQuery(query.compile())).rows;
    });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === STATEMENT_TIMEOUT)) throw error;
    throw new HostError('TIMEOUT', 'This search takes too long. Narrow it by level, module or service.', {
      cause: error,
    });
  }
}

/** One page of a tenant's log lines, newest first. */
export async function readLogs(panel: Panel, c: AccountContext, filter: LogFilter) {
  const page = pageNumber(c.req.query('page'));
  let query = panel.deps.db
    .selectFrom('logs')
    .leftJoin('installations', 'installations.id', 'logs.installation_id')
    .leftJoin('modules', 'modules.id', 'installations.module_id')
    .select([
      'logs.id',
      'logs.level',
      'logs.action',
      'logs.request',
      'logs.response',
      'logs.source',
      'logs.at',
      'logs.task_id',
      'logs.service_id',
      'modules.name as module',
    ])
    .where('logs.tenant_id', '=', c.get('tenant').id);
  if (filter.level !== undefined)
    query = query.where('logs.level', 'in', LEVELS.slice(LEVELS.indexOf(filter.level)));
  if (filter.installationId !== undefined)
    query = query.where('logs.installation_id', '=', filter.installationId);
  if (filter.serviceId !== undefined) query = query.where('logs.service_id', '=', filter.serviceId);
  if (filter.text !== undefined && filter.text !== '') {
    const pattern = containing(filter.text);
    query = query.where(
      sql<boolean>`(logs.action ilike ${pattern} or logs.request::text ilike ${pattern} or logs.response::text ilike ${pattern})`,
    );
  }
  const rows = await within(
    panel,
    query
      .orderBy('logs.at', 'desc')
      .limit(WEB_LIMITS.pageRows + 1)
      .offset(rowsFrom(page)),
  );
  return paged(c.req.url, page, rows);
}
