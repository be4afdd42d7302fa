/**
 * Idempotency keys as Stripe documents them: the same key gives the first answer again and does nothing; the same key with
 * another body is a mistake of the caller and is refused. An answer that was an error is not kept, so a mended request may
 * use its key again. Handlers run without awaiting between look-up and keeping, so two at once cannot both be first.
 */
import { createHash } from 'node:crypto';
import { FAKECLOUD_LIMITS } from './limits.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Kept extends Answer {
  readonly fingerprint: string;
}

export type Replay =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly replayed: boolean }
  | { readonly kind: 'mismatch' };

export class Replays {
  readonly #kept = new Map<string, Kept>();

  /** `scope` keeps keys of different accounts and paths apart. Without a key the work is simply done. */
  once(scope: string, key: string | null, requestBody: string, work: () => Answer): Replay {
    if (key === null) return { kind: 'answer', answer: work(), replayed: false };
    const name = `${scope} ${hash(key)}`;
    const fingerprint = hash(requestBody);
    const kept = this.#kept.get(name);
    if (kept !== undefined) {
      return kept.fingerprint === fingerprint
        ? { kind: 'answer', answer: kept, replayed: true }
        : { kind: 'mismatch' };
    }
    const answer = work();
    if (answer.status < 400) this.#keep(name, { ...answer, fingerprint });
    return { kind: 'answer', answer, replayed: false };
  }

  reset(): void {
    this.#kept.clear();
  }

  #keep(name: string, kept: Kept): void {
    this.#kept.set(name, kept);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > FAKECLOUD_LIMITS.replays && oldest.done !== true) this.#kept.delete(oldest.value);
  }
}

function hash(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
