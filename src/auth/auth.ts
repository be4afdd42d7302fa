/**
 * Who is signed in and what they may do: the panel's own small sign-in over accounts, roles and sessions
 * (docs/decisions/0004-own-sign-in.md says why). This file puts its parts together; an embedder with accounts of its own
 * replaces this object.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { createAccount, setPassword, type NewAccount } from './accounts.ts';
import { createOperatorLinks, type OperatorLinks } from './operator-link.ts';
import { AUTH_LIMITS } from './limits.ts';
import { verifyPassword } from './password.ts';
import { failureLimit } from './rate-limit.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createSignIn, type SignIn } from './sign-in.ts';

export interface Auth {
  readonly sessions: Sessions;
  readonly signIn: SignIn;
  readonly operatorLinks: OperatorLinks;
  /** @throws BAD_INPUT or CONFLICT with errors by field as data */
  createAccount(account: NewAccount): Promise<{ id: string }>;
  /** Sets a password and ends the account's other sessions. @throws BAD_INPUT, NOT_FOUND */
  setPassword(accountId: string, password: string, keepSessionId?: string): Promise<void>;
  /** True if this is the account's password: asked again before it is changed. @throws LIMIT when it is asked too often */
  passwordIs(accountId: string, password: string): Promise<boolean>;
}

/** @param now epoch milliseconds */
export function createAuth(db: Kysely<Tables>, now: () => number): Auth {
  const sessions = createSessions(db, now);
  // Whoever found an open session must not guess on, nor keep all other people's sign-ins waiting with hashes.
  const checks = failureLimit({
    failures: AUTH_LIMITS.passwordChecksPerAccount,
    windowMs: AUTH_LIMITS.failureWindowMs,
    entries: AUTH_LIMITS.failureEntries,
  });
  return {
    sessions,
    signIn: createSignIn(db, sessions, now),
    operatorLinks: createOperatorLinks(db, now),
    createAccount: (account) => createAccount(db, account),
    async setPassword(accountId, password, keepSessionId) {
      await setPassword(db, accountId, password);
      await sessions.revokeAll(accountId, keepSessionId);
    },
    async passwordIs(accountId, password) {
      if (checks.waitMs(accountId, now()) > 0)
        throw new HostError('LIMIT', 'Your password was asked for too often; try again in some minutes.');
      checks.fail(accountId, now());
      const row = await db
        .selectFrom('accounts')
        .select('password_hash')
        .where('id', '=', accountId)
        .executeTakeFirst();
      return verifyPassword(password, row?.password_hash);
    },
  };
}
