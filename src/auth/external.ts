/**
 * People who are signed in elsewhere: for an embedder whose own app knows who sends a request. The host keeps a row of `accounts` for each of
 * them, made at the first sight, because services, logs and module calls name accounts; it never sees a password.
 *
 *     createBulkhead({ …, auth: externalAuth({
 *       identify: async (request) => mySession(request),   // {kind, tenant, email, name} or undefined
 *       signInUrl: (returnTo) => `/login?next=${encodeURIComponent(returnTo)}`,
 *       signOutUrl: '/logout',
 *     }) })
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { Email, PersonName } from './accounts.ts';
import { createAuth, type Auth, type ExternalSessions } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { SignedIn } from './sessions.ts';
import { newToken, sha256 } from './tokens.ts';

const Person = v.object({
  kind: v.picklist(['operator', 'admin', 'client']),
  /** Short name of the tenant; null for operators. */
  tenant: v.nullable(v.string()),
  email: Email,
  name: PersonName,
  /** Keys of what an admin may do; everything if absent. */
  permissions: v.optional(v.array(v.string()), ['*']),
});
export type ExternalPerson = v.InferInput<typeof Person>;

export interface ExternalSignIn {
  /**
   * Who sends this request, by the embedder's own session; undefined for nobody. Called for every request of the panel: keep it quick. It may be
   * asked about a person of any area; who fits no part of the panel that was opened is nobody there.
   */
  readonly identify: (request: Request) => ExternalPerson | undefined | Promise<ExternalPerson | undefined>;
  /** Where somebody who is not signed in is sent. `returnTo` is a path of this panel, its base included. */
  readonly signInUrl: (returnTo: string) => string;
  /** Where "Sign out" leads. */
  readonly signOutUrl: string;
}

/** For BulkheadOptions.auth. Signing in at the panel itself is refused then, whatever password is given. */
export function externalAuth(how: ExternalSignIn): (db: Kysely<Tables>) => Auth {
  return (db) => ({
    ...createAuth(db, Date.now),
    signIn: async () => ({ ok: false, reason: 'refused' }),
    passwordIs: async () => false,
    external: { ...how, find: createFinder(db, how) },
  });
}

interface Known {
  readonly signedIn: SignedIn;
  readonly until: number;
}

function createFinder(db: Kysely<Tables>, how: ExternalSignIn): ExternalSessions['find'] {
  const cache = new Map<string, Known>();
  return async (request, area) => {
    const told = await how.identify(request);
    if (told === undefined) return undefined;
    const parsed = v.safeParse(Person, told);
    if (!parsed.success)
      throw new HostError('INTERNAL', `identify() gave no person: ${parsed.issues[0].message}`);
    const person = parsed.output;
    if (person.kind !== area.kind) return undefined;
    const key = JSON.stringify([area.tenantId, person]);
    const known = cache.get(key);
    if (known !== undefined && known.until > Date.now()) return known.signedIn;
    cache.delete(key);
    const signedIn = await recognise(db, person, area.tenantId);
    if (signedIn === undefined) return undefined;
    if (cache.size >= AUTH_LIMITS.sessionCacheEntries) cache.clear();
    cache.set(key, { signedIn, until: Date.now() + AUTH_LIMITS.sessionCacheMs });
    return signedIn;
  };
}

/** The person's account, made or renamed if need be; undefined if it is disabled or the tenant is another. */
async function recognise(
  db: Kysely<Tables>,
  person: v.InferOutput<typeof Person>,
  tenantId: string | null,
): Promise<SignedIn | undefined> {
  if (!(await isTenant(db, person.tenant, tenantId))) return undefined;
  const account = await db
    .insertInto('accounts')
    .values({
      kind: person.kind,
      tenant_id: tenantId,
      email: person.email,
      name: person.name,
      // No hash: no password fits.
      password_hash: '-',
    })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'tenant_id', 'email']).doUpdateSet({ name: person.name }),
    )
    .returning(['id', 'disabled_at', 'locale'])
    .executeTakeFirstOrThrow();
  if (account.disabled_at !== null) return undefined;
  const session = await sessionOf(db, account.id);
  const byKind = { operator: ['*'], admin: person.permissions, client: [] };
  return {
    sessionId: session.id,
    accountId: account.id,
    kind: person.kind,
    tenantId,
    email: person.email,
    name: person.name,
    locale: account.locale,
    permissions: byKind[person.kind],
    csrfToken: session.csrf_secret,
  };
}

async function isTenant(db: Kysely<Tables>, slug: string | null, tenantId: string | null): Promise<boolean> {
  if (slug === null || tenantId === null) return slug === tenantId;
  const tenant = await db
    .selectFrom('tenants')
    .select('id')
    .where('id', '=', tenantId)
    .where('slug', '=', slug)
    .executeTakeFirst();
  return tenant !== undefined;
}

/** Shown as the browser of the one session such an account has. */
const MARK = 'Signed in elsewhere';

/**
 * The row that holds the account's CSRF secret, the same in every process. Its token is no secret and no session: it does not look like one, so
 * sessions.find() never takes it.
 */
async function sessionOf(
  db: Kysely<Tables>,
  accountId: string,
): Promise<{ id: string; csrf_secret: string }> {
  const expiresAt = new Date(Date.now() + AUTH_LIMITS.sessionTotalMs);
  return db
    .insertInto('sessions')
    .values({
      token_sha256: sha256(`external ${accountId}`),
      account_id: accountId,
      csrf_secret: newToken(),
      user_agent: MARK,
      expires_at: expiresAt,
    })
    .onConflict((conflict) =>
      conflict.column('token_sha256').doUpdateSet({ expires_at: expiresAt, last_seen_at: new Date() }),
    )
    .returning(['id', 'csrf_secret'])
    .executeTakeFirstOrThrow();
}
