/** What an authenticator app does with the key that a page shows. */
import { totpCode, totpStep } from '../../src/auth/totp.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** @param key base32, with or without spaces */
export function appCode(key: string, now: number): string {
  const bits = Array.from(key.replace(/ /g, ''))
    .map((letter) => LETTERS.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  return totpCode(bytes, totpStep(now));
}
