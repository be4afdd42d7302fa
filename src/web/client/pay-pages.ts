/**
 * What a gateway answered its client, kept for what fetches it a moment later, so that the module is entered once: the page that stands in
 * its frame, and the address to leave for, which was compared with the grant. Kept in this process and not for long; where it is gone
 * (another process, a reload) the module is asked again.
 */
import { randomUUID } from 'node:crypto';

export interface PayPageOwner {
  /** Never one for the other: of an address it is known where it leads. */
  readonly what: 'page' | 'address';
  readonly accountId: string;
  readonly invoiceId: string;
  readonly instanceId: string;
}

function textOf({ what, accountId, invoiceId, instanceId }: PayPageOwner): string {
  return [what, accountId, invoiceId, instanceId].join(' ');
}

const KEPT_MS = 60_000;
const KEPT_PAGES = 200;

export class PayPages {
  readonly #pages = new Map<string, { readonly of: string; readonly text: string; readonly until: number }>();

  /** @returns the key to fetch it by */
  put(owner: PayPageOwner, text: string, nowMs: number): string {
    const key = randomUUID();
    this.#pages.set(key, { of: textOf(owner), text, until: nowMs + KEPT_MS });
    const oldest = this.#pages.keys().next();
    if (this.#pages.size > KEPT_PAGES && oldest.done !== true) this.#pages.delete(oldest.value);
    return key;
  }

  /** Once, and for whom it was made. */
  take(key: string, owner: PayPageOwner, nowMs: number): string | undefined {
    const page = this.#pages.get(key);
    if (page === undefined || page.of !== textOf(owner)) return undefined;
    this.#pages.delete(key);
    return page.until < nowMs ? undefined : page.text;
  }
}
