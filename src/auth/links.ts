/** Single-use tokens of an account: a link to a new password or to confirm an address, a sign-in that waits for its second factor. The table keeps their SHA-256. */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import { AUTH_LIMITS } from './limits.ts';
import { newToken, sha256 } from './tokens.ts';

export type LinkPurpose = 'password_reset' | 'second_factor' | 'confirm_email';

const LIFE_MS: Readonly<Record<LinkPurpose, number>> = {
  password_reset: AUTH_LIMITS.resetLinkMs,
  second_factor: AUTH_LIMITS.secondFactorMs,
  confirm_email: AUTH_LIMITS.confirmLinkMs,
};

export interface AccountLinks {
  /** A token for this account; older ones for the same purpose stop working. */
  create(accountId: string, purpose: LinkPurpose): Promise<string>;
  /** Whose token it is, while it works. */
  find(token: string, purpose: LinkPurpose): Promise<string | undefined>;
  /** The same, and it works no more: of two at once one gets it. */
  use(token: string, purpose: LinkPurpose): Promise<string | undefined>;
}

export function createAccountLinks(db: Kysely<Tables>, now: () => number): AccountLinks {
  return {
    async create(accountId, purpose) {
      const token = newToken();
      await db.transaction().execute(async (trx) => {
        await trx
          .deleteFrom('account_links')
          .where((e) =>
            e.or([
              e.and([e('account_id', '=', accountId), e('purpose', '=', purpose)]),
              e('expires_at', '<', new Date(now())),
            ]),
          )
          .execute();
        await trx
          .insertInto('account_links')
          .values({
            token_sha256: sha256(token),
            account_id: accountId,
            purpose,
            expires_at: new Date(now() + LIFE_MS[purpose]),
          })
          .execute();
      });
      return token;
    },

    async find(token, purpose) {
      const row = await db
        .selectFrom('account_links')
        .innerJoin('accounts', 'accounts.id', 'account_links.account_id')
        .select('account_id')
        .where('token_sha256', '=', sha256(token))
        .where('purpose', '=', purpose)
        .where('expires_at', '>', new Date(now()))
        .where('accounts.disabled_at', 'is', null)
        .executeTakeFirst();
      return row?.account_id;
    },

    async use(token, purpose) {
      const row = await db
        .deleteFrom('account_links')
        .where('token_sha256', '=', sha256(token))
        .where('purpose', '=', purpose)
        .where('expires_at', '>', new Date(now()))
        .returning('account_id')
        .executeTakeFirst();
      return row?.account_id;
    },
  };
}
