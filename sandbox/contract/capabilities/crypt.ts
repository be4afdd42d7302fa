/** crypt: encryption under a key that never leaves the host; a text encrypted by one installation opens in no other. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

export const crypt = capability({
  title: 'Encryption',
  doc: 'Encrypt its own data with a key only the host has.',
  icon: 'lock',
  inherent: true,
  grant: {},
  ops: {
    encrypt: op(
      'Encrypts a text (AES-256-GCM).',
      v.object({ text: v.pipe(v.string(), v.maxLength(LIMITS.secretBytes)) }),
      v.object({ sealed: v.string() }),
    ),
    decrypt: op(
      'Opens what encrypt sealed; BAD_INPUT for anything else.',
      v.object({ sealed: v.string() }),
      v.object({ text: v.string() }),
    ),
  },
});
