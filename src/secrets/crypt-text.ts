/** What a text looks like that a module had encrypted (`this.crypt`): found again in the module's own tables by how it begins. */
import { blobHead } from './keyring.ts';

export const CRYPT_PREFIX = 'bhc1.';

/** Whole characters of the head in base64url: all but its last four bits. */
const HEAD_CHARACTERS = 6;

/** How each text under this master key begins. */
export function cryptBeginning(keyId: Uint8Array): string {
  return CRYPT_PREFIX + blobHead(keyId).toString('base64url').slice(0, HEAD_CHARACTERS);
}
