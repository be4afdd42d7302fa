/** FormData of texts, as it comes from an urlencoded body; there are no files here. */
import { URLSearchParams } from './url.ts';

export class FormData {
  readonly #params: URLSearchParams;

  constructor(params: Iterable<readonly [string, string]> = []) {
    this.#params = new URLSearchParams(params);
  }

  append(name: string, value: string): void {
    this.#params.append(name, value);
  }

  set(name: string, value: string): void {
    this.#params.set(name, value);
  }

  delete(name: string): void {
    this.#params.delete(name);
  }

  get(name: string): string | null {
    return this.#params.get(name);
  }

  getAll(name: string): string[] {
    return this.#params.getAll(name);
  }

  has(name: string): boolean {
    return this.#params.has(name);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#params.entries();
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
}
