import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createDraw } from '../../src/secrets/draw.ts';
import { createKeyring } from '../../src/secrets/keyring.ts';
import { openKeyring, parseMasterKeys } from '../../src/secrets/master-key.ts';

const KEY = randomBytes(32);
const OLDER = randomBytes(32);
const plain = Buffer.from('a value');

describe('drawn bytes', () => {
  it('are other bytes each time, and the caller’s own', () => {
    const draw = createDraw(12);
    const drawn = Array.from({ length: 1_000 }, () => draw());
    const before = drawn.map((bytes) => bytes.toString('hex'));
    expect(new Set(before).size).toBe(drawn.length);
    drawn[0]?.fill(1);
    expect(drawn.slice(1).map((bytes) => bytes.toString('hex'))).toEqual(before.slice(1));
  });
});

describe('keyring', () => {
  it('opens what it sealed, which never looks the same twice', () => {
    const keyring = createKeyring([KEY]);
    const [one, two] = [keyring.seal('secret', 'i', plain), keyring.seal('secret', 'i', plain)];
    expect(one.equals(two)).toBe(false);
    expect(one.includes(plain)).toBe(false);
    expect(keyring.open('secret', 'i', one).equals(plain)).toBe(true);
    expect(keyring.open('secret', 'i', keyring.seal('secret', 'i', Buffer.alloc(0)))).toHaveLength(0);
  });

  it('opens nothing for another purpose, context or key, and nothing that was touched', () => {
    const keyring = createKeyring([KEY]);
    const sealed = keyring.seal('secret', 'one', plain);
    expect(() => keyring.open('crypt', 'one', sealed)).toThrow('belongs to another');
    expect(() => keyring.open('secret', 'two', sealed)).toThrow('belongs to another');
    expect(() => createKeyring([OLDER]).open('secret', 'one', sealed)).toThrow('belongs to another');
    for (let index = 0; index < sealed.length; index++) {
      const touched = Buffer.from(sealed);
      touched.writeUInt8((touched[index] ?? 0) ^ 1, index);
      expect(() => keyring.open('secret', 'one', touched)).toThrow('belongs to another');
    }
    for (const length of [0, 1, 17, 32, sealed.length - 1])
      expect(() => keyring.open('secret', 'one', sealed.subarray(0, length))).toThrow('belongs to another');
  });

  it('keeps opening what older keys sealed and says that they are not current', () => {
    const old = createKeyring([OLDER]).seal('secret', 'i', plain);
    const rotated = createKeyring([KEY, OLDER]);
    expect(rotated.open('secret', 'i', old).equals(plain)).toBe(true);
    expect(rotated.isCurrent(old)).toBe(false);
    expect(rotated.isCurrent(rotated.seal('secret', 'i', plain))).toBe(true);
    expect(() => createKeyring([KEY]).open('secret', 'i', old)).toThrow('belongs to another');
  });

  it('never takes a nonce twice, and opens what was sealed before a thousand other contexts', () => {
    const keyring = createKeyring([KEY]);
    const first = keyring.seal('secret', 'first', plain);
    const nonces = Array.from({ length: 1_500 }, (_, number) =>
      keyring.seal('secret', `context ${number}`, plain).toString('hex', 5, 17),
    );
    expect(new Set(nonces).size).toBe(nonces.length);
    expect(keyring.open('secret', 'first', first).equals(plain)).toBe(true);
  });

  it('needs keys of 32 bytes', () => {
    expect(() => createKeyring([])).toThrow('at least one');
    expect(() => createKeyring([randomBytes(16)])).toThrow('32 bytes');
  });
});

describe('master key', () => {
  let dataDir = '';
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'bulkhead-test-keys-'));
  });
  afterEach(async () => rm(dataDir, { recursive: true }));
  const file = (): string => join(dataDir, 'master.key');
  const open = async (env: Record<string, string> = {}) => openKeyring({ dataDir, env });

  it('is made once, for its owner only, and found again', async () => {
    const sealed = (await open()).seal('secret', 'i', plain);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await open()).open('secret', 'i', sealed).equals(plain)).toBe(true);
  });

  it('is the same for processes that start at once', async () => {
    const keyrings = await Promise.all(Array.from({ length: 8 }, async () => open()));
    const sealed = keyrings.map((keyring) => keyring.seal('secret', 'i', plain));
    for (const keyring of keyrings)
      for (const blob of sealed) expect(keyring.open('secret', 'i', blob).equals(plain)).toBe(true);
  });

  it('is refused if others may read it, and if it is not 32 bytes', async () => {
    await open();
    await chmod(file(), 0o640);
    await expect(open()).rejects.toThrow('chmod 600');
    await chmod(file(), 0o600);
    const text = await readFile(file(), 'utf8');
    await writeFile(file(), text.slice(0, 10));
    await expect(open()).rejects.toThrow('openssl rand -base64 32');
    await writeFile(file(), '');
    await expect(open()).rejects.toThrow('must hold 32 bytes');
  });

  it('comes from the environment where it is given there, without a file', async () => {
    const sealed = createKeyring([KEY]).seal('secret', 'i', plain);
    for (const text of [
      KEY.toString('base64'),
      KEY.toString('hex'),
      `${OLDER.toString('base64')},${KEY.toString('base64')}`,
    ]) {
      const keyring = await open({ BULKHEAD_MASTER_KEY: text });
      expect(keyring.open('secret', 'i', sealed).equals(plain)).toBe(true);
    }
    await expect(stat(file())).rejects.toThrow('ENOENT');
    const wrong = 'not a key at all';
    await expect(open({ BULKHEAD_MASTER_KEY: wrong })).rejects.toThrow(/^BULKHEAD_MASTER_KEY must hold/);
    expect(() => parseMasterKeys(wrong, 'here')).not.toThrow(wrong);
  });
});
