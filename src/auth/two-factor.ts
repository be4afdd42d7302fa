/**
 * The second factor: a code of an authenticator app, or one of the recovery codes that were shown once. The app's key is sealed by the
 * keyring for its account; while it is being set up it travels, sealed, in the page's form, so that nothing half set up is stored.
 */
import { randomInt } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import type { Keyring } from '../secrets/keyring.ts';
import { AUTH_LIMITS } from './limits.ts';
import { sha256 } from './tokens.ts';
import { countTries } from './tries.ts';
import { base32, matchTotp, newTotpSecret, totpAddress } from './totp.ts';

export interface TwoFactorSetup {
  /** For the form: the key, sealed. */
  readonly sealed: string;
  /** For people, in groups of four. */
  readonly key: string;
  readonly address: string;
}

export interface TwoFactor {
  isOn(accountId: string): Promise<boolean>;
  begin(accountId: string, issuer: string, email: string): TwoFactorSetup;
  /** What a form carried, for showing it again. @throws BAD_INPUT */
  again(accountId: string, issuer: string, email: string, sealed: string): TwoFactorSetup;
  /** Switches it on if the code fits the key; the recovery codes, to be shown this once. */
  confirm(accountId: string, sealed: string, code: string): Promise<readonly string[] | undefined>;
  off(accountId: string): Promise<void>;
  /** True once for each code. @throws LIMIT after too many wrong ones */
  check(accountId: string, code: string): Promise<boolean>;
}

const CODES = 8;
const CODE_GROUPS = 3;
const CODE_GROUP = 1_000;

const context = (accountId: string): string => `totp ${accountId}`;
const setupContext = (accountId: string): string => `totp-setup ${accountId}`;

/** '042-917-305': thirty bits, behind a limit of tries. */
function newRecoveryCode(): string {
  return Array.from({ length: CODE_GROUPS }, () => String(randomInt(CODE_GROUP)).padStart(3, '0')).join('-');
}

const recoveryHash = (code: string): string => sha256(`recovery ${code.replace(/\D/g, '')}`).toString('hex');

/** Seals again what is under an older master key; what none of the present ones opens stays as it is. @returns how many */
export async function resealTwoFactor(db: Kysely<Tables>, keyring: Keyring): Promise<number> {
  const rows = await db
    .selectFrom('accounts')
    .select(['id', 'totp_secret'])
    .where('totp_secret', 'is not', null)
    .execute();
  let count = 0;
  for (const { id, totp_secret: sealed } of rows) {
    if (sealed === null || keyring.isCurrent(sealed)) continue;
    const secret = openedOrNone(keyring, id, sealed);
    if (secret === undefined) continue;
    // Only if it is still what was read: one set up meanwhile is under the current key already.
    const result = await db
      .updateTable('accounts')
      .set({ totp_secret: keyring.seal('session', context(id), secret) })
      .where('id', '=', id)
      .where('totp_secret', '=', sealed)
      .executeTakeFirst();
    count += Number(result.numUpdatedRows);
  }
  return count;
}

function openedOrNone(keyring: Keyring, accountId: string, sealed: Uint8Array): Buffer | undefined {
  try {
    return keyring.open('session', context(accountId), sealed);
  } catch (error) {
    if (error instanceof HostError && error.code === 'BAD_INPUT') return undefined;
    throw error;
  }
}

export function createTwoFactor(db: Kysely<Tables>, keyring: Keyring, now: () => number): TwoFactor {
  const tries = countTries(db, { of: 'code of', tries: AUTH_LIMITS.codesPerAccount });

  const row = (accountId: string) =>
    db
      .selectFrom('accounts')
      .select(['totp_secret', 'totp_step'])
      .where('id', '=', accountId)
      .executeTakeFirst();

  function opened(accountId: string, sealed: string): Buffer {
    try {
      return keyring.open('session', setupContext(accountId), Buffer.from(sealed, 'base64url'));
    } catch (cause) {
      throw new HostError('BAD_INPUT', 'This set-up is too old. Begin it anew.', { cause });
    }
  }

  const setup = (secret: Buffer, sealed: string, issuer: string, email: string): TwoFactorSetup => ({
    sealed,
    key: base32(secret).replace(/(.{4})(?=.)/g, '$1 '),
    address: totpAddress(secret, issuer, email),
  });

  return {
    isOn: async (accountId) => {
      const found = await row(accountId);
      return found !== undefined && found.totp_secret !== null;
    },

    begin(accountId, issuer, email) {
      const secret = newTotpSecret();
      const sealed = keyring.seal('session', setupContext(accountId), secret).toString('base64url');
      return setup(secret, sealed, issuer, email);
    },

    again: (accountId, issuer, email, sealed) => setup(opened(accountId, sealed), sealed, issuer, email),

    async confirm(accountId, sealed, code) {
      const secret = opened(accountId, sealed);
      const step = matchTotp(secret, code, now(), 0);
      if (step === undefined) return undefined;
      const codes = Array.from({ length: CODES }, newRecoveryCode);
      await db
        .updateTable('accounts')
        .set({
          totp_secret: keyring.seal('session', context(accountId), secret),
          totp_step: step,
          recovery_codes: codes.map(recoveryHash),
        })
        .where('id', '=', accountId)
        .execute();
      return codes;
    },

    async off(accountId) {
      await db
        .updateTable('accounts')
        .set({ totp_secret: null, totp_step: 0, recovery_codes: [] })
        .where('id', '=', accountId)
        .execute();
    },

    async check(accountId, code) {
      if ((await tries.take(accountId, now())).waitMs > 0)
        throw new HostError('LIMIT', 'Too many wrong codes; try again in some minutes.');
      const right = await use(code);
      if (right) await tries.clear(accountId);
      return right;

      async function use(given: string): Promise<boolean> {
        const found = await row(accountId);
        if (found?.totp_secret == null) return false;
        const secret = keyring.open('session', context(accountId), found.totp_secret);
        const step = matchTotp(secret, given, now(), found.totp_step);
        return step === undefined ? useRecovery(accountId, given) : useStep(accountId, step);
      }
    },
  };

  /** Only forward: of two requests with one code the second finds its step used. */
  async function useStep(accountId: string, step: number): Promise<boolean> {
    const result = await db
      .updateTable('accounts')
      .set({ totp_step: step })
      .where('id', '=', accountId)
      .where('totp_step', '<', step)
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  }

  async function useRecovery(accountId: string, code: string): Promise<boolean> {
    const hash = recoveryHash(code);
    const result = await db
      .updateTable('accounts')
      .set({ recovery_codes: sql<string[]>`array_remove(recovery_codes, ${hash})` })
      .where('id', '=', accountId)
      .where(sql<boolean>`${hash} = any(recovery_codes)`)
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  }
}
