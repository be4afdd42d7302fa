/**
 * What a gateway showed when the client chose it, kept for the frame that fetches it a moment later: the module is entered once. Kept in
 * this process and not for long; where it is gone (another process, a reload) the frame asks the module again.
 */
import { randomUUID } from 'node:crypto';

export interface PayPageOwner {
  readonly accountId: string;
  readonly invoiceId: string;
  readonly instanceId: string;
}

const KEPT_MS = 60_000;
const KEPT_PAGES = 200;

export class PayPages {
  readonly #pages = new Map<string, { readonly of: string; readonly html: string; readonly until: number }>();

  /** @returns the key to fetch it by */
  put(owner: PayPageOwner, html: string, nowMs: number): string {
    const key = randomUUID();
    this.#pages.set(key, { of: JSON.stringify(owner), html, until: nowMs + KEPT_MS });
    const oldest = this.#pages.keys().next();
    if (this.#pages.size > KEPT_PAGES && oldest.done !== true) this.#pages.delete(oldest.value);
    return key;
  }

  /** Once, and for whom it was made. */
  take(key: string, owner: PayPageOwner, nowMs: number): string | undefined {
    const page = this.#pages.get(key);
    if (page === undefined || page.of !== JSON.stringify(owner)) return undefined;
    this.#pages.delete(key);
    return page.until < nowMs ? undefined : page.html;
  }
}
