/**
 * cache: one UNLOGGED table for all installations; every statement names the installation of the scope. Expired rows count as gone and
 * are swept when their installation writes next. What an installation keeps is bounded by its grant.
 */
import { sql, type Kysely } from 'kysely';
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { Tables } from '../database/tables.ts';
import type { Broker, Scope } from './broker.ts';

const MEBIBYTE = 1_048_576;
/** What a row takes beside its texts, in the table and its indexes; else millions of empty values would count as nothing. */
const ROW_BYTES = 200;

export function createCacheBroker({ db }: { readonly db: Kysely<Tables> }): Broker<'cache'> {
  async function makeRoom(
    scope: Scope,
    grant: Grant<'cache'>,
    key: string,
    sizeBytes: number,
  ): Promise<void> {
    await db
      .deleteFrom('cache_entries')
      .where('installation_id', '=', scope.installationId)
      .where('expires_at', '<', sql<Date>`now()`)
      .execute();
    const { used } = await db
      .selectFrom('cache_entries')
      .select(sql<number>`coalesce(sum(size_bytes), 0)::bigint`.as('used'))
      .where('installation_id', '=', scope.installationId)
      .where('key', '<>', key)
      .executeTakeFirstOrThrow();
    if (used + sizeBytes > grant.mb * MEBIBYTE) {
      throw new HostError(
        'LIMIT',
        `cache: the ${grant.mb} MB granted are full; forget or flush something, or keep it for a shorter time.`,
      );
    }
  }

  return {
    async get(scope, { key }) {
      scope.used('cache.mb');
      const row = await db
        .selectFrom('cache_entries')
        .select('value')
        .where('installation_id', '=', scope.installationId)
        .where('key', '=', key)
        .where('expires_at', '>', sql<Date>`now()`)
        .executeTakeFirst();
      return row === undefined
        ? { found: false, value: null }
        : { found: true, value: JSON.parse(row.value) as unknown };
    },

    async put(scope, { key, value, seconds, tags }, grant) {
      scope.used('cache.mb');
      const text = JSON.stringify(value ?? null);
      const valueBytes = Buffer.byteLength(text);
      if (valueBytes > LIMITS.cacheValueBytes)
        throw new HostError('LIMIT', `cache: one value may have ${LIMITS.cacheValueBytes} bytes.`);
      const sizeBytes = valueBytes + Buffer.byteLength(key + tags.join('')) + ROW_BYTES;
      await makeRoom(scope, grant, key, sizeBytes);
      const expiresAt = sql<Date>`now() + make_interval(secs => ${seconds})`;
      const row = { value: text, size_bytes: sizeBytes, tags: [...tags], expires_at: expiresAt };
      await db
        .insertInto('cache_entries')
        .values({ installation_id: scope.installationId, key, ...row })
        .onConflict((conflict) => conflict.columns(['installation_id', 'key']).doUpdateSet(row))
        .execute();
      return {};
    },

    async forget(scope, { key }) {
      await db
        .deleteFrom('cache_entries')
        .where('installation_id', '=', scope.installationId)
        .where('key', '=', key)
        .execute();
      return {};
    },

    async flush(scope, { tags }) {
      const result = await db
        .deleteFrom('cache_entries')
        .where('installation_id', '=', scope.installationId)
        .$if(tags.length > 0, (query) => query.where(sql<boolean>`tags && ${[...tags]}::text[]`))
        .executeTakeFirst();
      return { dropped: Number(result.numDeletedRows) };
    },
  };
}
