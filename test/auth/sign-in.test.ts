import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAuth, type Auth } from '../../src/auth/auth.ts';
import { createSignIn } from '../../src/auth/sign-in.ts';
import { AUTH_LIMITS } from '../../src/auth/limits.ts';
import { countTries, sweepTries } from '../../src/auth/tries.ts';
import { useTestDatabase } from '../support/database.ts';

const PASSWORD = 'correct horse battery';
const database = useTestDatabase();
let nowMs = Date.parse('2026-11-22T12:00:00Z');
const now = (): number => nowMs;
let auth: Auth;
let tenants: readonly [string, string];
let address = 0;

const attempt = (email: string, password: string, tenantId = tenants[0], from = `10.0.${++address}.1`) =>
  auth.signIn({ kind: 'client', tenantId, email, password, address: from, userAgent: 'test' });

beforeAll(async () => {
  const { db } = database();
  auth = createAuth(db, now);
  const tenantOf = async (slug: string): Promise<string> =>
    (await db.insertInto('tenants').values({ slug, name: slug }).returning('id').executeTakeFirstOrThrow())
      .id;
  tenants = [await tenantOf('one'), await tenantOf('two')];
});

async function account(email: string, tenantId = tenants[0], password = PASSWORD): Promise<string> {
  return (await auth.createAccount({ kind: 'client', tenantId, email, name: 'Some One', password })).id;
}

test('failures of one IPv6 customer count together, whatever address of its network they come from', async () => {
  const limits = { failuresPerAccount: 100, failuresPerAddress: 3 };
  const signIn = createSignIn(database().db, auth, now, limits);
  const from = (last: number) =>
    signIn({
      kind: 'client',
      tenantId: tenants[0],
      email: `nobody${last}@x.test`,
      password: PASSWORD,
      address: `2001:db8:1:2::${last}`,
      userAgent: 'test',
    });
  for (const last of [1, 2, 3]) expect(await from(last)).toMatchObject({ reason: 'refused' });
  expect(await from(4)).toMatchObject({ reason: 'too_many' });
});

describe('createAccount', () => {
  test('lets one address be a client of two tenants, each with a password of its own', async () => {
    const first = await account('twice@x.test', tenants[0], 'password of one');
    const second = await account('Twice@X.test', tenants[1], 'password of two');
    expect(await attempt('twice@x.test', 'password of one', tenants[0])).toMatchObject({
      ok: true,
      accountId: first,
    });
    expect(await attempt('twice@x.test', 'password of two', tenants[1])).toMatchObject({
      ok: true,
      accountId: second,
    });
    expect(await attempt('twice@x.test', 'password of one', tenants[1])).toEqual({
      ok: false,
      reason: 'refused',
    });
  });

  test('refuses a taken address by its field', async () => {
    await account('taken@x.test');
    await expect(account('taken@x.test')).rejects.toMatchObject({
      code: 'CONFLICT',
      data: { email: [expect.any(String)] },
    });
  });
});

describe('signIn', () => {
  test('answers an unknown, a disabled and a wrongly guessed account alike', async () => {
    const id = await account('disabled@x.test');
    await account('known@x.test');
    await database()
      .db.updateTable('accounts')
      .set({ disabled_at: new Date() })
      .where('id', '=', id)
      .execute();
    const refused = { ok: false, reason: 'refused' };
    expect(await attempt('nobody@x.test', PASSWORD)).toEqual(refused);
    expect(await attempt('known@x.test', 'wrong password')).toEqual(refused);
    expect(await attempt('disabled@x.test', PASSWORD)).toEqual(refused);
  });

  test('stops guessing at one account, from however many addresses, and opens again after the window', async () => {
    await account('guessed@x.test');
    for (let i = 0; i < AUTH_LIMITS.failuresPerAccount; i++)
      await attempt('guessed@x.test', `wrong password ${i}`);
    const stopped = await attempt('guessed@x.test', PASSWORD);
    expect(stopped).toMatchObject({ ok: false, reason: 'too_many' });
    nowMs += AUTH_LIMITS.failureWindowMs;
    expect(await attempt('guessed@x.test', PASSWORD)).toMatchObject({ ok: true });
  });

  test('counts parallel guesses before they are answered', async () => {
    await account('parallel@x.test');
    const all = await Promise.all(
      Array.from({ length: AUTH_LIMITS.failuresPerAccount + 4 }, (_, i) =>
        attempt('parallel@x.test', `wrong password ${i}`),
      ),
    );
    expect(all.filter((result) => !result.ok && result.reason === 'too_many')).toHaveLength(4);
  });

  describe('from one address', () => {
    const PER_ADDRESS = 4;
    const strict = () =>
      createSignIn(database().db, auth, now, {
        failuresPerAccount: 99,
        failuresPerAddress: PER_ADDRESS,
      });
    const from = { kind: 'client', address: '10.9.9.9', userAgent: '' } as const;

    test('stops guessing over many accounts', async () => {
      const signIn = strict();
      const results = [];
      for (let i = 0; i <= PER_ADDRESS; i++)
        results.push(
          await signIn({
            ...from,
            tenantId: tenants[0],
            email: `many${i}@x.test`,
            password: 'wrong password',
          }),
        );
      expect(results.at(-1)).toMatchObject({ reason: 'too_many' });
      expect(results.at(-2)).toEqual({ ok: false, reason: 'refused' });
    });

    test('does not count right passwords', async () => {
      await account('often@x.test');
      const signIn = strict();
      for (let i = 0; i <= PER_ADDRESS; i++)
        expect(
          await signIn({
            ...from,
            address: '10.9.9.8',
            tenantId: tenants[0],
            email: 'often@x.test',
            password: PASSWORD,
          }),
        ).toMatchObject({ ok: true });
    });
  });
});

describe('tries', () => {
  const limit = (tries: number) => countTries(database().db, { of: 'test', tries });

  test('of one key are counted one after the other, those of another apart', async () => {
    // Every connection of the pool stands before they start together.
    await Promise.all(
      Array.from({ length: 20 }, async () => sql`select pg_sleep(0.1)`.execute(database().db)),
    );
    const some = await Promise.all(Array.from({ length: 30 }, () => limit(5).take('one', nowMs)));
    expect(some.filter(({ waitMs }) => waitMs === 0)).toHaveLength(5);
    expect(await limit(5).take('two', nowMs)).toMatchObject({ waitMs: 0 });
    expect(await countTries(database().db, { of: 'other', tries: 5 }).take('one', nowMs)).toMatchObject({
      waitMs: 0,
    });
  });

  test('say how long to wait, and count again once forgiven, cleared or old', async () => {
    const kept = limit(2);
    await kept.take('waits', nowMs);
    const second = await kept.take('waits', nowMs + 1_000);
    const later = nowMs + 60_000;
    expect((await kept.take('waits', later)).waitMs).toBe(AUTH_LIMITS.failureWindowMs - 60_000);
    await second.forgive();
    expect((await kept.take('waits', later)).waitMs).toBe(0);
    await kept.clear('waits');
    expect((await kept.take('waits', later)).waitMs).toBe(0);
  });

  test('are swept once they count no more', async () => {
    await limit(2).take('swept', nowMs);
    await sweepTries(database().db, nowMs + 2 * AUTH_LIMITS.failureWindowMs);
    expect(await database().db.selectFrom('failures').select('id').execute()).toEqual([]);
  });

  test('keep no address that can be read', async () => {
    await limit(2).take('someone@x.test', nowMs);
    const rows = await database().db.selectFrom('failures').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain('someone');
  });
});

describe('sessions', () => {
  const signedIn = async (email: string) => {
    const accountId = await account(email);
    const result = await attempt(email, PASSWORD);
    if (!result.ok) throw new Error('sign-in failed');
    return { accountId, token: result.token };
  };

  test('keep nothing in the table that signs in', async () => {
    const { token } = await signedIn('table@x.test');
    const rows = await database().db.selectFrom('sessions').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(token);
    expect(rows.some((row) => row.token_sha256.toString('base64url') === token)).toBe(false);
  });

  test('slide while used and end when idle', async () => {
    const { token, accountId } = await signedIn('slide@x.test');
    for (let i = 0; i < 3; i++) {
      nowMs += AUTH_LIMITS.sessionIdleMs - 60_000;
      expect(await auth.sessions.find(token)).toMatchObject({ accountId });
    }
    nowMs += AUTH_LIMITS.sessionIdleMs + 1;
    expect(await auth.sessions.find(token)).toBeUndefined();
  });

  test('end after their total age however much they are used', async () => {
    const { token } = await signedIn('old@x.test');
    const step = AUTH_LIMITS.sessionIdleMs - 60_000;
    for (let age = 0; age + step < AUTH_LIMITS.sessionTotalMs; age += step) {
      nowMs += step;
      expect(await auth.sessions.find(token)).toBeDefined();
    }
    nowMs += step;
    expect(await auth.sessions.find(token)).toBeUndefined();
  });

  test('revoked here are gone at once, cache or not', async () => {
    const { token, accountId } = await signedIn('revoked@x.test');
    const session = await auth.sessions.find(token);
    expect(await auth.sessions.revoke(accountId, session?.sessionId ?? '')).toBe(true);
    expect(await auth.sessions.find(token)).toBeUndefined();
  });

  test('revoked elsewhere are gone when the cache is', async () => {
    const { token, accountId } = await signedIn('elsewhere@x.test');
    await auth.sessions.find(token);
    await database().db.deleteFrom('sessions').where('account_id', '=', accountId).execute();
    nowMs += AUTH_LIMITS.sessionCacheMs;
    expect(await auth.sessions.find(token)).toBeUndefined();
  });

  test('of another account cannot be revoked', async () => {
    const mine = await signedIn('mine@x.test');
    const theirs = await signedIn('theirs@x.test');
    const session = await auth.sessions.find(theirs.token);
    expect(await auth.sessions.revoke(mine.accountId, session?.sessionId ?? '')).toBe(false);
    nowMs += AUTH_LIMITS.sessionCacheMs;
    expect(await auth.sessions.find(theirs.token)).toBeDefined();
  });

  test('of a disabled account are nobody’s', async () => {
    const { token, accountId } = await signedIn('gone@x.test');
    await database()
      .db.updateTable('accounts')
      .set({ disabled_at: new Date() })
      .where('id', '=', accountId)
      .execute();
    expect(await auth.sessions.find(token)).toBeUndefined();
  });

  test('end with a new password, but for the one that set it', async () => {
    const first = await signedIn('changed@x.test');
    const second = await attempt('changed@x.test', PASSWORD);
    const kept = await auth.sessions.find(first.token);
    await auth.setPassword(first.accountId, 'another password', kept?.sessionId);
    expect(await auth.sessions.find(first.token)).toBeDefined();
    expect(second.ok && (await auth.sessions.find(second.token))).toBeUndefined();
    expect(await attempt('changed@x.test', PASSWORD)).toMatchObject({ ok: false });
  });
});

describe('the first operator’s link', () => {
  const operator = { email: 'op@x.test', name: 'Op', password: PASSWORD };

  test('works once, for one of two that open it at once, and never again', async () => {
    const first = await auth.operatorLinks.create();
    const token = await auth.operatorLinks.create();
    expect(await auth.operatorLinks.valid(first ?? '')).toBe(false);
    expect(await auth.operatorLinks.valid(token ?? '')).toBe(true);
    const both = await Promise.allSettled([
      auth.operatorLinks.use(token ?? '', operator),
      auth.operatorLinks.use(token ?? '', { ...operator, email: 'op2@x.test' }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await auth.operatorLinks.create()).toBeUndefined();
  });
});
