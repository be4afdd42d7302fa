/** One row for each thing that somebody had a module do on a page: what the next page says, what the timeline keeps, and what is counted. */
import { sql } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Db } from '../jobs/task.ts';
import type { CareCaller, Done, Said } from './care.ts';
import { CARE_LIMITS } from './limits.ts';

export interface NewAction {
  readonly tenantId: string;
  readonly installationId: string;
  readonly serviceId: string | null;
  readonly action: Said['action'];
  readonly title?: string;
  readonly ok: boolean;
  readonly message: string;
  readonly durationMs: number;
  /** Null: the host's clock. */
  readonly by: { readonly id: string; readonly kind: 'admin' | 'client' } | null;
}

/** @returns its id */
export async function writeAction(db: Db, done: NewAction): Promise<string> {
  const { id } = await db
    .insertInto('module_actions')
    .values({
      tenant_id: done.tenantId,
      installation_id: done.installationId,
      service_id: done.serviceId,
      action: done.action,
      title: done.title ?? '',
      ok: done.ok,
      // PostgreSQL keeps no NUL.
      message: done.message.replaceAll('\0', '').slice(0, LIMITS.careNoteCharacters),
      duration_ms: Math.round(done.durationMs),
      account_id: done.by?.id ?? null,
      actor: done.by?.kind ?? 'host',
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Each of them enters the module: somebody who presses without end is told to wait. @throws LIMIT */
async function requireRate(
  db: Db,
  of: { readonly installationId: string; readonly serviceId: string | null; readonly accountId: string },
): Promise<void> {
  const rows = await db
    .selectFrom('module_actions')
    .select('id')
    .where('installation_id', '=', of.installationId)
    .where('service_id', 'is not distinct from', of.serviceId)
    .where('account_id', '=', of.accountId)
    .where('at', '>', sql<Date>`now() - interval '1 minute'`)
    .limit(CARE_LIMITS.actionsAMinute)
    .execute();
  if (rows.length === CARE_LIMITS.actionsAMinute)
    throw new HostError('LIMIT', 'That was done too often in a short time. Wait a minute, then try again.');
}

/** What somebody has a module do: counted before the module is asked, written down once it has answered. */
export interface BegunAction {
  end(how: Pick<NewAction, 'action' | 'title' | 'ok' | 'message' | 'durationMs'>): Promise<Done>;
}

/** @throws LIMIT */
export async function beginAction(
  db: Db,
  of: Pick<NewAction, 'tenantId' | 'installationId' | 'serviceId'> & { readonly account: CareCaller },
): Promise<BegunAction> {
  const { account, tenantId, installationId, serviceId } = of;
  await requireRate(db, { installationId, serviceId, accountId: account.id });
  return {
    async end(how) {
      const actionId = await writeAction(db, { tenantId, installationId, serviceId, ...how, by: account });
      return { ok: how.ok, message: how.message, actionId };
    },
  };
}

export async function readSaid(
  db: Db,
  of: { readonly tenantId: string; readonly actionId: string; readonly accountId: string },
): Promise<Said | undefined> {
  const row = await db
    .selectFrom('module_actions')
    .selectAll()
    .where('id', '=', of.actionId)
    .where('tenant_id', '=', of.tenantId)
    .where('account_id', '=', of.accountId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    action: row.action,
    title: row.title,
    ok: row.ok,
    message: row.message,
    durationMs: row.duration_ms,
  };
}
