/** What is over goes: sessions and links that ended, tries that count no more, accounts that nobody confirmed. Any process may do it, at any time. */
import { sql, type Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Sessions } from './sessions.ts';
import { sweepTries } from './tries.ts';

export interface TidyDeps {
  readonly db: Kysely<Tables>;
  readonly sessions: Sessions;
  readonly now: () => number;
}

export async function tidyAccounts({ db, sessions, now }: TidyDeps): Promise<void> {
  await sessions.sweep();
  await sweepTries(db, now());
  await db.deleteFrom('account_links').where('expires_at', '<', new Date(now())).execute();
  await sql`
    delete from accounts account
    where unconfirmed_since < ${new Date(now() - AUTH_LIMITS.unconfirmedMs)}
      and not exists (select 1 from services where client_id = account.id)
      and not exists (select 1 from invoices where client_id = account.id)`.execute(db);
}
