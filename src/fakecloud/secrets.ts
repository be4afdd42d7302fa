/** Tokens made and compared in one place, in time that does not depend on how much of them is right. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export function freshToken(prefix: string, sizeBytes = 18): string {
  return prefix + randomBytes(sizeBytes).toString('base64url').replaceAll(/[-_]/g, 'x');
}

export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
