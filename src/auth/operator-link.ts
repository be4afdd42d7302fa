/**
 * The first operator: a link that works once and only while there is no operator. The server prints it at its first start;
 * whoever opens it names the operator. Nothing is shipped with a password.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { countAccounts, createAccount } from './accounts.ts';
import { AUTH_LIMITS } from './limits.ts';
import { newToken, sameText, sha256 } from './tokens.ts';

const KEY = 'auth.operator_link';
const Stored = v.object({ sha256: v.string(), expiresAt: v.number() });

export interface OperatorLinks {
  /** A new token (the older one stops working), or undefined if there is an operator already. */
  create(): Promise<string | undefined>;
  valid(token: string): Promise<boolean>;
  /** @throws NOT_FOUND for a token that is wrong, used or too old; BAD_INPUT with errors by field */
  use(token: string, operator: { email: string; name: string; password: string }): Promise<{ id: string }>;
}

function digest(token: string): string {
  return sha256(token).toString('base64url');
}

export function createOperatorLinks(db: Kysely<Tables>, now: () => number): OperatorLinks {
  async function valid(connection: Kysely<Tables>, token: string): Promise<boolean> {
    if ((await countAccounts(connection, 'operator')) > 0) return false;
    const row = await connection
      .selectFrom('settings')
      .select('value')
      .where('key', '=', KEY)
      .forUpdate()
      .executeTakeFirst();
    const stored = v.safeParse(Stored, row?.value);
    return stored.success && stored.output.expiresAt > now() && sameText(stored.output.sha256, digest(token));
  }
  return {
    async create() {
      if ((await countAccounts(db, 'operator')) > 0) return undefined;
      const token = newToken();
      const value = { sha256: digest(token), expiresAt: now() + AUTH_LIMITS.operatorLinkMs };
      await db
        .insertInto('settings')
        .values({ key: KEY, value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute();
      return token;
    },
    valid: (token) => db.transaction().execute((trx) => valid(trx, token)),
    use(token, operator) {
      return db.transaction().execute(async (trx) => {
        // The row is locked: of two that open the link at once, one finds an operator.
        if (!(await valid(trx, token)))
          throw new HostError(
            'NOT_FOUND',
            'This link was used, or is too old. Start the server anew for another one.',
          );
        const created = await createAccount(trx, { kind: 'operator', tenantId: null, ...operator });
        await trx.deleteFrom('settings').where('key', '=', KEY).execute();
        return created;
      });
    },
  };
}
