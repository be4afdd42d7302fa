/**
 * Who is signed in and what they may do: the panel's own small sign-in over accounts, roles and sessions
 * (docs/decisions/0004-own-sign-in.md says why). This file puts its parts together; an embedder with accounts of its own
 * gives externalAuth() instead.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { confirmAccount, createAccount, setPassword, type AccountKind, type NewAccount } from './accounts.ts';
import type { Keyring } from '../secrets/keyring.ts';
import { createAccountLinks, type AccountLinks } from './links.ts';
import { createOperatorLinks, type OperatorLinks } from './operator-link.ts';
import { AUTH_LIMITS } from './limits.ts';
import { verifyPassword } from './password.ts';
import { createSessions, type Sessions, type SignedIn } from './sessions.ts';
import { tellOfUser } from './user-events.ts';
import { createSignIn, openSession, type SignIn, type SignInResult } from './sign-in.ts';
import { countTries } from './tries.ts';
import { createTwoFactor, type TwoFactor } from './two-factor.ts';

/** Asked instead of our cookies and sign-in pages, where an embedder's own app signs people in (external.ts). */
export interface ExternalSessions {
  /** The account behind a request, if it is of this kind and tenant. */
  find(
    request: Request,
    area: { readonly kind: AccountKind; readonly tenantId: string | null },
  ): Promise<SignedIn | undefined>;
  /** Where somebody who is not signed in is sent. `returnTo` is a path of this panel, its base included. */
  signInUrl(returnTo: string): string;
  /** Where "Sign out" leads. */
  readonly signOutUrl: string;
}

export interface Auth {
  readonly external?: ExternalSessions;
  readonly sessions: Sessions;
  readonly signIn: SignIn;
  /** Ends the session it was signed in with. */
  signOut(account: SignedIn): Promise<void>;
  readonly operatorLinks: OperatorLinks;
  readonly links: AccountLinks;
  /** Absent where no keyring is given: then nobody can switch it on. */
  readonly twoFactor?: TwoFactor;
  /** The second half of a sign-in that asked for a code. @throws LIMIT after too many wrong ones */
  finishSignIn(input: {
    readonly token: string;
    readonly code: string;
    readonly userAgent: string;
    readonly address: string;
  }): Promise<SignInResult>;
  /** The link of a mail was followed. False for a token that works no more. */
  confirmEmail(token: string): Promise<boolean>;
  /** Signs in whoever just made this account. */
  openSession(accountId: string, from: { userAgent: string; address: string }): Promise<SignInResult>;
  /** @throws BAD_INPUT or CONFLICT with errors by field as data */
  createAccount(account: NewAccount): Promise<{ id: string }>;
  /** Sets a password and ends the account's other sessions. @throws BAD_INPUT, NOT_FOUND */
  setPassword(accountId: string, password: string, keepSessionId?: string): Promise<void>;
  /** True if this is the account's password: asked again before it is changed. @throws LIMIT when it is asked too often */
  passwordIs(accountId: string, password: string): Promise<boolean>;
}

/** @param now epoch milliseconds */
export function createAuth(db: Kysely<Tables>, now: () => number, keyring?: Keyring): Auth {
  const sessions = createSessions(db, now);
  const links = createAccountLinks(db, now);
  const twoFactor = keyring === undefined ? undefined : createTwoFactor(db, keyring, now);
  // Whoever found an open session must not guess on, nor keep all other people's sign-ins waiting with hashes.
  const checks = countTries(db, { of: 'own password', tries: AUTH_LIMITS.passwordChecksPerAccount });
  return {
    sessions,
    signIn: createSignIn(db, { sessions, links }, now),
    links,
    ...(twoFactor === undefined ? {} : { twoFactor }),
    async finishSignIn({ token, code, ...from }) {
      const accountId = await links.find(token, 'second_factor');
      if (accountId === undefined || !((await twoFactor?.check(accountId, code)) ?? false))
        return { ok: false, reason: 'refused' };
      if ((await links.use(token, 'second_factor')) === undefined) return { ok: false, reason: 'refused' };
      return openSession(db, sessions, accountId, from);
    },
    async confirmEmail(token) {
      const accountId = await links.use(token, 'confirm_email');
      if (accountId === undefined) return false;
      await confirmAccount(db, accountId);
      return true;
    },
    openSession: (accountId, from) => openSession(db, sessions, accountId, from),
    async signOut({ accountId, sessionId }) {
      await sessions.revoke(accountId, sessionId);
      await tellOfUser(db, 'UserLoggedOut', accountId);
    },
    operatorLinks: createOperatorLinks(db, now),
    createAccount: (account) => createAccount(db, account),
    async setPassword(accountId, password, keepSessionId) {
      await setPassword(db, accountId, password);
      await sessions.revokeAll(accountId, keepSessionId);
    },
    async passwordIs(accountId, password) {
      if ((await checks.take(accountId, now())).waitMs > 0)
        throw new HostError('LIMIT', 'Your password was asked for too often; try again in some minutes.');
      const row = await db
        .selectFrom('accounts')
        .select('password_hash')
        .where('id', '=', accountId)
        .executeTakeFirst();
      return verifyPassword(password, row?.password_hash);
    },
  };
}
