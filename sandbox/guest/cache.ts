/** this.cache: the guide's Cache::remember and Cache::tags, over the cache capability. */
import type { Env } from './env.ts';

export interface TaggedCache {
  /** The kept value, or what fn gives, kept under these tags for the next time. */
  remember<T>(key: string, seconds: number, fn: () => Promise<T> | T): Promise<T>;
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown, seconds: number): Promise<void>;
  /** Drops all that carries any of these tags. */
  flush(): Promise<number>;
}

export interface Cache {
  /** The kept value, or what fn gives, kept for the next time. */
  remember<T>(key: string, seconds: number, fn: () => Promise<T> | T): Promise<T>;
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown, seconds: number): Promise<void>;
  forget(key: string): Promise<void>;
  tags(tags: readonly string[]): TaggedCache;
}

export function createCache(env: Env): Cache {
  const put = async (
    key: string,
    value: unknown,
    seconds: number,
    tags: readonly string[] = [],
  ): Promise<void> => {
    await env.call('cache', 'put', { key, value, seconds, tags: [...tags] });
  };
  const get = async (key: string): Promise<unknown> => (await env.call('cache', 'get', { key })).value;
  const rememberAs =
    (tags: readonly string[]) =>
    async <T>(key: string, seconds: number, fn: () => Promise<T> | T): Promise<T> => {
      const kept = await env.call('cache', 'get', { key });
      // The module itself put it there under this key; its type is the module's own affair.
      if (kept.found) return kept.value as T;
      const value = await fn();
      await put(key, value, seconds, tags);
      return value;
    };
  return {
    remember: rememberAs([]),
    get,
    put: (key, value, seconds) => put(key, value, seconds),
    forget: async (key) => {
      await env.call('cache', 'forget', { key });
    },
    tags: (tags) => ({
      remember: rememberAs(tags),
      get,
      put: (key, value, seconds) => put(key, value, seconds, tags),
      flush: async () => (await env.call('cache', 'flush', { tags: [...tags] })).dropped,
    }),
  };
}
