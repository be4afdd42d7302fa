/** Whom a message goes to: the client it is about, or the staff. Disabled accounts are told nothing. */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { isForClients, type Category } from './categories.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';

export interface Recipient {
  readonly accountId: string;
  readonly email: string;
  readonly name: string;
}

function accounts(db: Kysely<Tables>, tenantId: string) {
  return db
    .selectFrom('accounts')
    .select(['id as accountId', 'email', 'name'])
    .where('tenant_id', '=', tenantId)
    .where('disabled_at', 'is', null);
}

export async function recipientsOf(
  db: Kysely<Tables>,
  tenantId: string,
  category: Category,
  clientId: string | null,
): Promise<readonly Recipient[]> {
  if (!isForClients(category))
    return accounts(db, tenantId)
      .where('kind', '=', 'admin')
      .orderBy('created_at')
      .limit(NOTIFICATION_LIMITS.recipients)
      .execute();
  if (clientId === null) return [];
  return accounts(db, tenantId).where('kind', '=', 'client').where('id', '=', clientId).execute();
}

/** A person of the tenant's own with this address, clients first; undefined for a stranger's. */
export async function ownPerson(
  db: Kysely<Tables>,
  tenantId: string,
  email: string,
): Promise<Recipient | undefined> {
  return accounts(db, tenantId)
    .where('email', '=', email.toLowerCase())
    .orderBy('kind', 'desc')
    .executeTakeFirst();
}
