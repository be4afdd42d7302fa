/**
 * Signing in with an e-mail and a password. The answer never tells whether the account exists: the same work is done and the
 * same text given for an unknown address, a wrong password and a disabled account. Failures are limited by account
 * and by address, and the limit comes before the work.
 */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import type { AccountKind } from './accounts.ts';
import { AUTH_LIMITS } from './limits.ts';
import { senderKey } from './addresses.ts';
import type { AccountLinks } from './links.ts';
import { hashPassword, needsRehash, verifyPassword } from './password.ts';
import type { Sessions } from './sessions.ts';
import { countTries } from './tries.ts';
import { tellOfRefusal, tellOfSignIn } from './user-events.ts';

export interface SignInRequest {
  readonly kind: AccountKind;
  readonly tenantId: string | null;
  readonly email: string;
  readonly password: string;
  readonly address: string;
  readonly userAgent: string;
}

export type SignInResult =
  | { readonly ok: true; readonly token: string; readonly accountId: string }
  | { readonly ok: false; readonly reason: 'refused' }
  /** The password is right; `token` stands for it until a code is given (Auth.finishSignIn). */
  | { readonly ok: false; readonly reason: 'second_factor'; readonly token: string }
  /** The password is right, and the account's address is not confirmed yet. */
  | { readonly ok: false; readonly reason: 'unconfirmed'; readonly accountId: string }
  | { readonly ok: false; readonly reason: 'too_many'; readonly waitMs: number };

export type SignIn = (request: SignInRequest) => Promise<SignInResult>;

/** Failures within AUTH_LIMITS.failureWindowMs after which a key has to wait. */
export interface SignInLimits {
  readonly failuresPerAccount: number;
  readonly failuresPerAddress: number;
}

export function createSignIn(
  db: Kysely<Tables>,
  parts: { readonly sessions: Sessions; readonly links: AccountLinks },
  now: () => number,
  limits: SignInLimits = AUTH_LIMITS,
): SignIn {
  const byAccount = countTries(db, { of: 'sign-in to', tries: limits.failuresPerAccount });
  const byAddress = countTries(db, { of: 'sign-in from', tries: limits.failuresPerAddress });

  return async (request) => {
    const email = request.email.trim().toLowerCase().slice(0, 254);
    const accountKey = `${request.kind}|${request.tenantId ?? ''}|${email}`;
    const time = now();
    const sender = senderKey(request.address);
    const ofAccount = await byAccount.take(accountKey, time);
    if (ofAccount.waitMs > 0) return { ok: false, reason: 'too_many', waitMs: ofAccount.waitMs };
    const ofSender = await byAddress.take(sender, time);
    if (ofSender.waitMs > 0) {
      await ofAccount.forgive();
      return { ok: false, reason: 'too_many', waitMs: ofSender.waitMs };
    }

    const account = await findAccount(db, request.kind, request.tenantId, email);
    const right = await verifyPassword(request.password, account?.password_hash);
    if (!right || account === undefined || account.disabled_at !== null) {
      await tellOfRefusal(db, { ...request, email });
      return { ok: false, reason: 'refused' };
    }

    await byAccount.clear(accountKey);
    await ofSender.forgive();
    if (needsRehash(account.password_hash)) await rehash(db, account.id, request.password);
    if (account.unconfirmed_since !== null)
      return { ok: false, reason: 'unconfirmed', accountId: account.id };
    if (account.totp_secret !== null)
      return {
        ok: false,
        reason: 'second_factor',
        token: await parts.links.create(account.id, 'second_factor'),
      };
    return openSession(db, parts.sessions, account.id, request);
  };
}

/** Signed in: a session, and whoever listens is told. */
export async function openSession(
  db: Kysely<Tables>,
  sessions: Sessions,
  accountId: string,
  from: { readonly userAgent: string; readonly address: string },
): Promise<SignInResult> {
  const { token } = await sessions.create(accountId, from);
  await tellOfSignIn(db, accountId, from.address);
  return { ok: true, token, accountId };
}

async function findAccount(db: Kysely<Tables>, kind: AccountKind, tenantId: string | null, email: string) {
  return db
    .selectFrom('accounts')
    .select(['id', 'password_hash', 'disabled_at', 'totp_secret', 'unconfirmed_since'])
    .where('kind', '=', kind)
    .where('email', '=', email)
    .where('tenant_id', 'is not distinct from', tenantId)
    .executeTakeFirst();
}

async function rehash(db: Kysely<Tables>, accountId: string, password: string): Promise<void> {
  await db
    .updateTable('accounts')
    .set({ password_hash: await hashPassword(password) })
    .where('id', '=', accountId)
    .execute();
}
