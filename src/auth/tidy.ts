/** What is over goes: sessions and links that ended, tries that count no more. Any process may do it, at any time. */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
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
}
