/**
 * Who a package is from. A name is only a word; the key behind it is what was seen first under that name. As with SSH, the first
 * sight is trusted and any other key after that is refused until a person has compared the fingerprints.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { fingerprint } from './keys.ts';
import type { RefusalData } from './refusal.ts';

/** What is kept of a publisher after the first sight. */
export interface PinnedPublisher {
  readonly publisher: string;
  readonly publicKey: string;
}

/**
 * Compares a package's publisher with what is pinned under that name; undefined when nothing is.
 * @returns `'new'` when the caller has to pin the key, `'known'` when it is the pinned one.
 * @throws HostError CONFLICT with reason KEY_CHANGED and both fingerprints
 */
export function checkPublisher(
  pinned: PinnedPublisher | undefined,
  offered: PinnedPublisher,
): 'new' | 'known' {
  if (pinned === undefined) return 'new';
  if (pinned.publisher !== offered.publisher)
    throw new TypeError(`pinned key of ${pinned.publisher} compared with ${offered.publisher}`);
  if (pinned.publicKey === offered.publicKey) return 'known';
  const before = fingerprint(pinned.publicKey);
  const now = fingerprint(offered.publicKey);
  const data: RefusalData = {
    reason: 'KEY_CHANGED',
    publisher: offered.publisher,
    pinnedFingerprint: before,
    offeredFingerprint: now,
  };
  throw new HostError(
    'CONFLICT',
    `${offered.publisher} signed with the key ${now}, but ${before} is known; ask the publisher before you accept it`,
    { data },
  );
}
