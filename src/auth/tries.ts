/**
 * Counts tries by key (an account, a sender) in a sliding window, in the database: with several server processes nobody has more tries for
 * asking each of them. A try is counted before the work and forgiven after it, one after the other for a key, so that parallel guesses
 * do not all find room for one. The table is unlogged: after a crash of the database everybody has their tries again.
 */
import { sql, type Kysely } from 'kysely';
import { LOCKS } from '../jobs/locks.ts';
import type { Tables } from '../database/tables.ts';
import { AUTH_LIMITS } from './limits.ts';
import { sha256 } from './tokens.ts';

export interface Try {
  /** Milliseconds until the key may try again; 0: this one may, and counts. */
  readonly waitMs: number;
  /** Takes this one back. */
  forgive(): Promise<void>;
}

export interface Tries {
  take(key: string, now: number): Promise<Try>;
  /** All of a key's are forgotten. */
  clear(key: string): Promise<void>;
}

export interface TriesOptions {
  /** What is tried: keys of two kinds never meet. */
  readonly of: string;
  readonly tries: number;
}

export function countTries(db: Kysely<Tables>, options: TriesOptions): Tries {
  // Hashed: whose addresses failed is nobody's business who reads the table.
  const named = (key: string): string => sha256(`${options.of}|${key}`).toString('base64url');
  return {
    async take(key, now) {
      const name = named(key);
      const since = new Date(now - AUTH_LIMITS.failureWindowMs);
      return db.transaction().execute(async (trx): Promise<Try> => {
        await sql`select pg_advisory_xact_lock(${LOCKS.tries}::int, hashtext(${name}::text))`.execute(trx);
        const recent = await trx
          .selectFrom('failures')
          .select('at')
          .where('key', '=', name)
          .where('at', '>', since)
          .orderBy('at', 'desc')
          .limit(options.tries)
          .execute();
        const oldest = recent.length < options.tries ? undefined : recent.at(-1);
        if (oldest !== undefined)
          return { waitMs: oldest.at.getTime() + AUTH_LIMITS.failureWindowMs - now, forgive: async () => {} };
        const { id } = await trx
          .insertInto('failures')
          .values({ key: name, at: new Date(now) })
          .returning('id')
          .executeTakeFirstOrThrow();
        const forgive = async (): Promise<void> =>
          void (await db.deleteFrom('failures').where('id', '=', id).execute());
        return { waitMs: 0, forgive };
      });
    },
    async clear(key) {
      await db.deleteFrom('failures').where('key', '=', named(key)).execute();
    },
  };
}

/** Forgets what is too old to count, and the oldest beyond what is kept at all. @returns how many rows went */
export async function sweepTries(db: Kysely<Tables>, now: number): Promise<number> {
  const since = new Date(now - AUTH_LIMITS.failureWindowMs);
  const { numAffectedRows } = await sql`
    delete from failures where at <= ${since}
      or id <= (select id from failures order by id desc offset ${AUTH_LIMITS.failureEntries} limit 1)`.execute(
    db,
  );
  return Number(numAffectedRows ?? 0);
}
