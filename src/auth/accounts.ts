/** Accounts: operators of the host, admins and clients of one tenant. An e-mail is unique within its kind and tenant only. */
import { sql, type Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { inTransaction } from '../jobs/task.ts';
import { tellOfUser } from './user-events.ts';
import type { Tables } from '../database/tables.ts';
import { hashPassword } from './password.ts';

export type AccountKind = 'operator' | 'admin' | 'client';

export const Email = v.pipe(
  v.string('An e-mail address is needed.'),
  v.trim(),
  v.toLowerCase(),
  v.maxLength(254, 'This address is too long.'),
  v.email('This is no e-mail address.'),
);
export const PersonName = v.pipe(
  v.string('A name is needed.'),
  v.trim(),
  v.minLength(1, 'A name is needed.'),
  v.maxLength(100, 'Use at most 100 characters.'),
);

export interface NewAccount {
  readonly kind: AccountKind;
  /** Null for operators only. */
  readonly tenantId: string | null;
  readonly email: string;
  readonly name: string;
  readonly password: string;
  /** A role of the same tenant; admins only. */
  readonly roleId?: string;
  /** Nobody signs in to it before its address is confirmed (Auth.confirmEmail). */
  readonly unconfirmed?: boolean;
}

const Shape = v.object({ email: Email, name: PersonName });
const UNIQUE_VIOLATION = '23505';

export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION;
}

/** @throws BAD_INPUT with errors by field as data; CONFLICT if the address is taken within its kind and tenant */
export async function createAccount(db: Kysely<Tables>, account: NewAccount): Promise<{ id: string }> {
  const input = v.safeParse(Shape, account);
  if (!input.success) {
    throw new HostError('BAD_INPUT', input.issues[0].message, {
      data: v.flatten<typeof Shape>(input.issues).nested,
    });
  }
  const hash = await hashPassword(account.password);
  try {
    return await inTransaction(db, async (trx) => {
      const created = await trx
        .insertInto('accounts')
        .values({
          kind: account.kind,
          tenant_id: account.tenantId,
          role_id: account.roleId ?? null,
          email: input.output.email,
          name: input.output.name,
          password_hash: hash,
          unconfirmed_since: account.unconfirmed === true ? new Date() : null,
        })
        .returning('id')
        .executeTakeFirstOrThrow();
      // One whose address is not confirmed is nobody's client yet.
      if (account.kind === 'client' && account.unconfirmed !== true)
        await tellOfUser(trx, 'ClientRegistered', created.id);
      return created;
    });
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause;
    const message = 'There is an account with this address already.';
    throw new HostError('CONFLICT', message, { cause, data: { email: [message] } });
  }
}

/** Sets a new password; ending the account’s sessions is the caller’s (Auth.setPassword). @throws BAD_INPUT, NOT_FOUND */
export async function setPassword(db: Kysely<Tables>, accountId: string, password: string): Promise<void> {
  const hash = await hashPassword(password);
  await inTransaction(db, async (trx) => {
    const result = await trx
      .updateTable('accounts')
      .set({ password_hash: hash })
      .where('id', '=', accountId)
      .executeTakeFirst();
    if (result.numUpdatedRows !== 1n) throw new HostError('NOT_FOUND', 'There is no such account.');
    await tellOfUser(trx, 'PasswordReset', accountId);
  });
}

/** Its address is confirmed: it may sign in, and a new client is told of. @returns false if it was before */
export async function confirmAccount(db: Kysely<Tables>, accountId: string): Promise<boolean> {
  return inTransaction(db, async (trx) => {
    const row = await trx
      .updateTable('accounts')
      .set({ unconfirmed_since: null })
      .where('id', '=', accountId)
      .where('unconfirmed_since', 'is not', null)
      .returning('kind')
      .executeTakeFirst();
    if (row?.kind === 'client') await tellOfUser(trx, 'ClientRegistered', accountId);
    return row !== undefined;
  });
}

/** How many accounts of a kind there are; zero operators means that the host is new. */
export async function countAccounts(db: Kysely<Tables>, kind: AccountKind): Promise<number> {
  const row = await db
    .selectFrom('accounts')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('kind', '=', kind)
    .executeTakeFirstOrThrow();
  return row.count;
}
