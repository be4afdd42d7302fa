/** Random tokens, kept as SHA-256: whoever reads the table cannot sign in with what is in it. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { AUTH_LIMITS } from './limits.ts';

/** 256 random bits as base64url. */
export function newToken(): string {
  return randomBytes(AUTH_LIMITS.tokenBytes).toString('base64url');
}

export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** Compares two texts without telling by the time where they differ; their lengths are no secret. */
export function sameText(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
