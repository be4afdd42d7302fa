import { describe, expect, it } from 'vitest';
import { createCacheBroker } from '../../src/brokers/cache.ts';
import { install, useQueueDatabase } from '../jobs/fixture.ts';
import { scopeOf } from './tasks-fixture.ts';

const host = useQueueDatabase();
const cache = () => createCacheBroker({ db: host().db });
const grant = { mb: 1 };
const newScope = async () => scopeOf(await install(host().db)).scope;

describe('the cache', () => {
  it('gives back what was put, as it was, until it is forgotten', async () => {
    const scope = await newScope();
    const value = { list: [1, null, 'a\0b'], nested: { yes: true } };
    await cache().put(scope, { key: 'k', value, seconds: 60, tags: [] }, grant);
    expect(await cache().get(scope, { key: 'k' }, grant)).toEqual({ found: true, value });
    await cache().forget(scope, { key: 'k' }, grant);
    expect(await cache().get(scope, { key: 'k' }, grant)).toEqual({ found: false, value: null });
  });

  it('forgets what has expired', async () => {
    const scope = await newScope();
    await cache().put(scope, { key: 'k', value: 1, seconds: 60, tags: [] }, grant);
    await host()
      .sql`update cache_entries set expires_at = now() - interval '1 second' where installation_id = ${scope.installationId}`;
    expect(await cache().get(scope, { key: 'k' }, grant)).toMatchObject({ found: false });
    await cache().put(scope, { key: 'other', value: 1, seconds: 60, tags: [] }, grant);
    expect(
      await host().sql`select key from cache_entries where installation_id = ${scope.installationId}`,
    ).toEqual([{ key: 'other' }]);
  });

  it('flushes by tags whatever carries one of them, as Laravel does, and all of it without', async () => {
    const scope = await newScope();
    for (const [key, tags] of [
      ['a', ['x']],
      ['b', ['x', 'y']],
      ['c', ['y']],
    ] as const)
      await cache().put(scope, { key, value: key, seconds: 60, tags: [...tags] }, grant);
    const has = async (key: string) => (await cache().get(scope, { key }, grant)).found;
    expect(await cache().flush(scope, { tags: ['z'] }, grant)).toEqual({ dropped: 0 });
    expect(await cache().flush(scope, { tags: ['x', 'z'] }, grant)).toEqual({ dropped: 2 });
    expect([await has('a'), await has('b'), await has('c')]).toEqual([false, false, true]);
    expect(await cache().flush(scope, { tags: [] }, grant)).toEqual({ dropped: 1 });
  });

  it('keeps installations apart', async () => {
    const [mine, other] = [await newScope(), await newScope()];
    await cache().put(mine, { key: 'k', value: 'mine', seconds: 60, tags: ['t'] }, grant);
    expect(await cache().get(other, { key: 'k' }, grant)).toMatchObject({ found: false });
    expect(await cache().flush(other, { tags: ['t'] }, grant)).toEqual({ dropped: 0 });
    expect(await cache().get(mine, { key: 'k' }, grant)).toMatchObject({ value: 'mine' });
  });

  it('refuses more than was granted, and takes a key’s own place as free', async () => {
    const scope = await newScope();
    const big = 'x'.repeat(250_000);
    for (const key of ['a', 'b', 'c', 'd'])
      await cache().put(scope, { key, value: big, seconds: 60, tags: [] }, grant);
    await expect(
      cache().put(scope, { key: 'e', value: big, seconds: 60, tags: [] }, grant),
    ).rejects.toMatchObject({ code: 'LIMIT' });
    await cache().put(scope, { key: 'a', value: big, seconds: 60, tags: [] }, grant);
    await expect(
      cache().put(scope, { key: 'f', value: 'x'.repeat(300_000), seconds: 60, tags: [] }, grant),
    ).rejects.toThrow(/one value/);
  });
});
