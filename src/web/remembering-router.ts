/**
 * Hono's router of trees, with its last answers kept. The panel's routes overlap in ways that its regular expressions cannot hold, and to
 * walk the tree through a dozen branches costs each request as much as all of its guards; the same few hundred addresses come again and again.
 */
import type { Result, Router } from 'hono/router';
import { TrieRouter } from 'hono/router/trie-router';

const LIMITS = Object.freeze({
  /** All are dropped when there would be more: made-up addresses then cost what they cost without a memory. */
  entries: 1_000,
  /** A longer path is looked for each time. */
  pathChars: 200,
});

export class RememberingRouter<T> implements Router<T> {
  readonly name = 'RememberingRouter';
  readonly #routes = new TrieRouter<T>();
  readonly #found = new Map<string, Result<T>>();

  add(method: string, path: string, handler: T): void {
    this.#found.clear();
    this.#routes.add(method, path, handler);
  }

  match(method: string, path: string): Result<T> {
    if (path.length > LIMITS.pathChars) return this.#routes.match(method, path);
    // A method holds no blank, so that no two requests share a key.
    const key = `${method} ${path}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    if (this.#found.size >= LIMITS.entries) this.#found.clear();
    // Cut from the key, so that what is kept of the path does not hold the whole address with its query.
    const found = this.#routes.match(method, key.slice(method.length + 1));
    this.#found.set(key, found);
    return found;
  }
}
