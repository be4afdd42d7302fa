/** What signing in and accounts tell the host's listeners. Operators belong to no tenant, so nothing is told of them. */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { emit } from '../events/emit.ts';
import type { AccountKind } from './accounts.ts';

type UserEvent = 'ClientRegistered' | 'UserLoggedOut' | 'PasswordReset';

async function readUser(db: Kysely<Tables>, accountId: string) {
  const row = await db
    .selectFrom('accounts')
    .select(['id', 'kind', 'tenant_id', 'email', 'name'])
    .where('id', '=', accountId)
    .executeTakeFirst();
  if (row === undefined || row.tenant_id === null || row.kind === 'operator') return undefined;
  const { id, kind, email, name } = row;
  return { tenantId: row.tenant_id, user: { user_uuid: id, kind, email, name } };
}

export async function tellOfUser(trx: Kysely<Tables>, name: UserEvent, accountId: string): Promise<void> {
  const found = await readUser(trx, accountId);
  if (found !== undefined) await emit(trx, { tenantId: found.tenantId, name, payload: found.user });
}

export async function tellOfSignIn(trx: Kysely<Tables>, accountId: string, address: string): Promise<void> {
  const found = await readUser(trx, accountId);
  if (found === undefined) return;
  const payload = { ...found.user, address };
  await emit(trx, { tenantId: found.tenantId, name: 'UserLoggedIn', payload });
}

export async function tellOfRefusal(
  db: Kysely<Tables>,
  asked: {
    readonly kind: AccountKind;
    readonly tenantId: string | null;
    readonly email: string;
    readonly address: string;
  },
): Promise<void> {
  const { kind, tenantId, email, address } = asked;
  if (tenantId === null || kind === 'operator') return;
  await emit(db, { tenantId, name: 'UserLoginFailed', payload: { kind, email, address } });
}
