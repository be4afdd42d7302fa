import { describe, expect, test } from 'vitest';
import { hashPassword, needsRehash, verifyPassword } from '../../src/auth/password.ts';

describe('verifyPassword', () => {
  test('accepts the password behind the hash and no other', async () => {
    const hash = await hashPassword('correct horse battery');
    expect(await verifyPassword('correct horse battery', hash)).toBe(true);
    expect(await verifyPassword('correct horse batterY', hash)).toBe(false);
  });

  test('accepts a hash made with a lower cost, which then asks to be made anew', async () => {
    const cheap = 'scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$';
    const { scryptSync } = await import('node:crypto');
    const key = scryptSync('correct horse battery', Buffer.alloc(16), 32, { N: 1_024, r: 8, p: 1 });
    const stored = cheap + key.toString('base64url');
    expect(await verifyPassword('correct horse battery', stored)).toBe(true);
    expect(needsRehash(stored)).toBe(true);
    expect(needsRehash(await hashPassword('correct horse battery'))).toBe(false);
  });

  test.each([undefined, '', 'plain text', 'scrypt$ln=15,r=8,p=1$$'])(
    'refuses what is no hash: %j',
    async (stored) => {
      expect(await verifyPassword('', stored)).toBe(false);
      expect(await verifyPassword('\0'.repeat(16), stored)).toBe(false);
    },
  );
});

describe('hashPassword', () => {
  test.each(['short', 'x'.repeat(257)])('refuses a password of a wrong length (%#)', async (password) => {
    await expect(hashPassword(password)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('salts: two hashes of one password differ', async () => {
    expect(await hashPassword('correct horse battery')).not.toBe(await hashPassword('correct horse battery'));
  });
});
