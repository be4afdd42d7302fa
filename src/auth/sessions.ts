/**
 * Sessions: a random token in the browser, its SHA-256 in the table. They slide (each use moves the end) up to a total age. A short
 * in-process cache keeps the hot path without SQL; revoking here takes effect at once, revoking in another process within
 * AUTH_LIMITS.sessionCacheMs.
 */
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import type { AccountKind } from './accounts.ts';
import { AUTH_LIMITS } from './limits.ts';
import { newToken, sha256 } from './tokens.ts';

/** A signed-in account as pages see it. */
export interface SignedIn {
  readonly sessionId: string;
  readonly accountId: string;
  readonly kind: AccountKind;
  readonly tenantId: string | null;
  readonly email: string;
  readonly name: string;
  /** Keys of the account's role; an operator's is ['*'], a client's is empty. */
  readonly permissions: readonly string[];
  /** The language chosen for the account, if any. */
  readonly locale: string | null;
  /** Sent with every form: proves that the page it came from was ours. */
  readonly csrfToken: string;
}

export interface SessionRow {
  readonly id: string;
  readonly userAgent: string;
  readonly address: string;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
}

export interface Sessions {
  create(accountId: string, from: { userAgent: string; address: string }): Promise<{ token: string }>;
  /** The signed-in account behind a token, or undefined: unknown, ended, or the account disabled. */
  find(token: string): Promise<SignedIn | undefined>;
  list(accountId: string): Promise<readonly SessionRow[]>;
  /** Ends one session of this account; false if it has no such session. */
  revoke(accountId: string, sessionId: string): Promise<boolean>;
  /** Ends all sessions of an account but one. */
  revokeAll(accountId: string, exceptSessionId?: string): Promise<void>;
  /** Forgets what is cached of an account: its role, name or state changed. */
  forget(accountId: string): void;
  /** Removes ended sessions; returns how many. */
  sweep(): Promise<number>;
}

interface Cached {
  readonly signedIn: SignedIn;
  readonly until: number;
  readonly expiresAt: number;
}

const USER_AGENT_CHARS = 300;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export function createSessions(db: Kysely<Tables>, now: () => number): Sessions {
  /** By the token itself: to hash it anew for each request would cost more than all else here. */
  const cache = new Map<string, Cached>();
  /** Grows with each revocation: what was read before one is not cached after it. */
  let generation = 0;

  function forgetWhere(matches: (signedIn: SignedIn) => boolean): void {
    generation++;
    for (const [key, entry] of cache) if (matches(entry.signedIn)) cache.delete(key);
  }

  function remember(token: string, entry: Cached): void {
    // A copy: what was cut out of a header holds all of it.
    cache.set(Buffer.from(token).toString('latin1'), entry);
    if (cache.size <= AUTH_LIMITS.sessionCacheEntries) return;
    const oldest = cache.keys().next();
    if (oldest.done !== true) cache.delete(oldest.value);
  }

  return {
    async create(accountId, from) {
      const token = newToken();
      const time = now();
      await db
        .insertInto('sessions')
        .values({
          token_sha256: sha256(token),
          account_id: accountId,
          csrf_secret: newToken(),
          user_agent: from.userAgent.slice(0, USER_AGENT_CHARS),
          address: from.address,
          created_at: new Date(time),
          last_seen_at: new Date(time),
          expires_at: new Date(time + AUTH_LIMITS.sessionIdleMs),
        })
        .execute();
      return { token };
    },

    async find(token) {
      if (!TOKEN.test(token)) return undefined;
      const time = now();
      const cached = cache.get(token);
      if (cached !== undefined && cached.until > time && cached.expiresAt > time) return cached.signedIn;
      cache.delete(token);
      const started = generation;
      const row = await readSession(db, sha256(token));
      if (row === undefined || row.expires_at.getTime() <= time) return undefined;
      const expiresAt = await touch(db, row, time);
      const signedIn = toSignedIn(row);
      if (started === generation)
        remember(token, { signedIn, until: time + AUTH_LIMITS.sessionCacheMs, expiresAt });
      return signedIn;
    },

    async list(accountId) {
      const rows = await db
        .selectFrom('sessions')
        .select(['id', 'user_agent', 'address', 'created_at', 'last_seen_at'])
        .where('account_id', '=', accountId)
        .where('expires_at', '>', new Date(now()))
        .orderBy('last_seen_at', 'desc')
        .limit(100)
        .execute();
      return rows.map((row) => ({
        id: row.id,
        userAgent: row.user_agent,
        address: row.address,
        createdAt: row.created_at,
        lastSeenAt: row.last_seen_at,
      }));
    },

    async revoke(accountId, sessionId) {
      const result = await db
        .deleteFrom('sessions')
        .where('account_id', '=', accountId)
        .where('id', '=', sessionId)
        .executeTakeFirst();
      forgetWhere((signedIn) => signedIn.sessionId === sessionId);
      return result.numDeletedRows === 1n;
    },

    async revokeAll(accountId, exceptSessionId) {
      await db
        .deleteFrom('sessions')
        .where('account_id', '=', accountId)
        .$if(exceptSessionId !== undefined, (query) => query.where('id', '!=', exceptSessionId ?? ''))
        .execute();
      forgetWhere((signedIn) => signedIn.accountId === accountId);
    },

    forget(accountId) {
      forgetWhere((signedIn) => signedIn.accountId === accountId);
    },

    async sweep() {
      const result = await db
        .deleteFrom('sessions')
        .where('expires_at', '<=', new Date(now()))
        .executeTakeFirst();
      return Number(result.numDeletedRows);
    },
  };
}

type SessionAccount = NonNullable<Awaited<ReturnType<typeof readSession>>>;

async function readSession(db: Kysely<Tables>, hash: Buffer) {
  return db
    .selectFrom('sessions')
    .innerJoin('accounts', 'accounts.id', 'sessions.account_id')
    .leftJoin('roles', (join) =>
      join.onRef('roles.id', '=', 'accounts.role_id').onRef('roles.tenant_id', '=', 'accounts.tenant_id'),
    )
    .select([
      'sessions.id as session_id',
      'sessions.token_sha256',
      'sessions.csrf_secret',
      'sessions.created_at',
      'sessions.last_seen_at',
      'sessions.expires_at',
      'accounts.id as account_id',
      'accounts.kind',
      'accounts.tenant_id',
      'accounts.email',
      'accounts.name',
      'accounts.locale',
      'roles.permissions',
    ])
    .where('sessions.token_sha256', '=', hash)
    .where('accounts.disabled_at', 'is', null)
    .executeTakeFirst();
}

/** Moves the end of a session that is in use; returns when it ends now, as epoch milliseconds. */
async function touch(db: Kysely<Tables>, row: SessionAccount, time: number): Promise<number> {
  if (time - row.last_seen_at.getTime() < AUTH_LIMITS.sessionTouchMs) return row.expires_at.getTime();
  const expiresAt = Math.min(
    time + AUTH_LIMITS.sessionIdleMs,
    row.created_at.getTime() + AUTH_LIMITS.sessionTotalMs,
  );
  await db
    .updateTable('sessions')
    .set({ last_seen_at: new Date(time), expires_at: new Date(expiresAt) })
    .where('token_sha256', '=', row.token_sha256)
    .execute();
  return expiresAt;
}

function toSignedIn(row: SessionAccount): SignedIn {
  const byKind = { operator: ['*'], admin: row.permissions ?? [], client: [] };
  return {
    sessionId: row.session_id,
    accountId: row.account_id,
    kind: row.kind,
    tenantId: row.tenant_id,
    email: row.email,
    name: row.name,
    locale: row.locale,
    permissions: byKind[row.kind],
    csrfToken: row.csrf_secret,
  };
}
