/** A package read back: what was signed is what is seen, and any other byte is refused with its reason. */
import { sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readArchive, writeArchive } from '../../../src/store/package/archive.ts';
import { canonicalJson } from '../../../src/store/package/canonical-json.ts';
import { generateKeyPair } from '../../../src/store/package/keys.ts';
import { PACKAGE_LIMITS } from '../../../src/store/package/limits.ts';
import { checkPublisher } from '../../../src/store/package/publisher.ts';
import { readPackage } from '../../../src/store/package/read.ts';
import { signPackage } from '../../../src/store/package/sign.ts';
import { SIGNATURE, sha256 } from '../../../src/store/package/signature.ts';
import { packFiles, PUBLISHER, respell, signTiny, TINY } from './fixture.ts';
import { refused } from './refused.ts';
import type { Json } from '../../../src/store/package/canonical-json.ts';

const unsigned = await packFiles(TINY);
const signed = await signTiny(unsigned);
const files = await readArchive(signed, PACKAGE_LIMITS);

/** The package with one file's bytes changed, everything around it repaired. */
function changed(path: string, change: (bytes: Buffer) => Uint8Array): Promise<Uint8Array> {
  return writeArchive(
    files.map((file) => (file.path === path ? { path, bytes: change(Buffer.from(file.bytes)) } : file)),
  );
}

function flip(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy;
}

/** Replaces text in SIGNATURE.json. */
function signatureWith(from: string | RegExp, to: string): Promise<Uint8Array> {
  return changed(SIGNATURE, (bytes) => Buffer.from(bytes.toString('utf8').replace(from, to)));
}

describe('readPackage', () => {
  it('tells who signed what', async () => {
    const pkg = await readPackage(signed);
    expect(pkg).toMatchObject({
      publisher: 'acme-hosting',
      publicKey: PUBLISHER.keys.publicKey,
      name: 'Plugin/Tiny',
      version: '1.2.0',
      sha256: sha256(signed),
    });
    expect(pkg.fingerprint).toMatch(/^(?:[0-9a-f]{4} ){7}[0-9a-f]{4}$/);
  });

  it.each(files.filter((file) => file.path !== SIGNATURE).map((file) => file.path))(
    'refuses one changed bit in %s',
    async (path) => {
      expect(await refused(readPackage(await changed(path, flip)))).toMatchObject({
        reason: 'HASH_MISMATCH',
        path,
      });
    },
  );

  it('refuses a file that grew, naming both sizes', async () => {
    const grown = await changed('module.js', (bytes) => Buffer.concat([bytes, Buffer.from(' ')]));
    expect(await refused(readPackage(grown))).toMatchObject({ reason: 'SIZE_MISMATCH', path: 'module.js' });
  });

  it('refuses an added file', async () => {
    const added = await writeArchive([...files, { path: 'views/new.liquid', bytes: new Uint8Array() }]);
    expect(await refused(readPackage(added))).toMatchObject({
      reason: 'NOT_IN_MANIFEST',
      path: 'views/new.liquid',
    });
  });

  it('refuses a removed file', async () => {
    const removed = await writeArchive(files.filter((file) => file.path !== 'lang/pl.json'));
    expect(await refused(readPackage(removed))).toMatchObject({
      reason: 'MISSING_FROM_ARCHIVE',
      path: 'lang/pl.json',
    });
  });

  it('refuses other order', async () => {
    const [first, ...rest] = files;
    const turned = await writeArchive([...(first ? [first] : []), ...rest.reverse()]);
    expect(await refused(readPackage(turned))).toMatchObject({ reason: 'NOT_CANONICAL' });
  });

  it('refuses an unsigned archive', async () => {
    expect(await refused(readPackage(unsigned))).toMatchObject({ reason: 'SIGNATURE_MISSING' });
  });

  it.each([
    ['another version', '"version":"1.2.0"', '"version":"1.2.1"', 'BAD_SIGNATURE'],
    ['another publisher', '"acme-hosting"', '"acme-hostinh"', 'BAD_SIGNATURE'],
    ['another hash', /"sha256":"[0-9a-f]{2}/, '"sha256":"zz', 'SIGNATURE_BROKEN'],
    ['another key', PUBLISHER.keys.publicKey, generateKeyPair().publicKey, 'BAD_SIGNATURE'],
    ['half a key', PUBLISHER.keys.publicKey, 'AAAA', 'BAD_KEY'],
    ['another signature', /"signature":".{4}/, '"signature":"AAAA', 'BAD_SIGNATURE'],
    ['no signature', /,"signature":"[^"]*"/, '', 'SIGNATURE_BROKEN'],
    ['a space', '{"manifest"', '{ "manifest"', 'SIGNATURE_BROKEN'],
    ['an unknown key', /\}$/, ',"zzz":1}', 'SIGNATURE_BROKEN'],
    ['a key twice', '"format":1', '"format":1,"format":1', 'SIGNATURE_BROKEN'],
    ['another format', '"format":1', '"format":2', 'SIGNATURE_BROKEN'],
    ['broken JSON', '{"manifest"', '{', 'BAD_JSON'],
  ])('refuses a signature file with %s', async (_, from, to, reason) => {
    expect(await refused(readPackage(await signatureWith(from, to)))).toMatchObject({ reason });
  });

  it('refuses a signature that was made for something else', async () => {
    const other = await changed(SIGNATURE, (bytes) => {
      const parsed: { manifest: Json } = JSON.parse(bytes.toString('utf8'));
      const text = Buffer.from(canonicalJson(parsed.manifest));
      const signature = sign(null, text, PUBLISHER.keys.privateKeyPem).toString('base64url');
      return Buffer.from(canonicalJson({ ...parsed, signature }));
    });
    expect(await refused(readPackage(other))).toMatchObject({ reason: 'BAD_SIGNATURE' });
  });

  it('refuses a base64url signature in a second spelling', async () => {
    const other = await changed(SIGNATURE, (bytes) =>
      Buffer.from(
        bytes
          .toString('utf8')
          .replace(/"signature":"([^"]*)"/, (__, text: string) => `"signature":"${respell(text)}"`),
      ),
    );
    expect(await refused(readPackage(other))).toMatchObject({ reason: 'SIGNATURE_BROKEN' });
  });
});

describe('signPackage', () => {
  it('refuses what is signed already', async () => {
    expect(await refused(signTiny(signed))).toMatchObject({ reason: 'ALREADY_SIGNED' });
  });

  it.each(['Acme', 'acme_hosting', '-acme', 'acme--x', 'a'.repeat(41), ''])(
    'refuses the publisher %j',
    async (publisher) => {
      const signing = signPackage(unsigned, { publisher, privateKey: PUBLISHER.keys.privateKeyPem });
      expect(await refused(signing)).toMatchObject({ reason: 'BAD_PUBLISHER' });
    },
  );

  it('refuses a key that is not one', async () => {
    const signing = signPackage(unsigned, { publisher: 'acme', privateKey: 'not a key' });
    expect(await refused(signing)).toMatchObject({ reason: 'BAD_KEY' });
  });

  it('refuses a package that the signature itself makes too large', async () => {
    const few = await readArchive(unsigned, PACKAGE_LIMITS);
    const more = Array.from({ length: PACKAGE_LIMITS.files - few.length }, (_, at) => ({
      path: `views/v${at}.liquid`,
      bytes: new Uint8Array(),
    }));
    expect(await refused(signTiny(await writeArchive([...few, ...more])))).toMatchObject({
      reason: 'TOO_MANY_FILES',
    });
  });

  it('refuses bytes that no panel would read', async () => {
    const odd = await writeArchive([
      ...(await readArchive(unsigned, PACKAGE_LIMITS)),
      { path: 'odd.bin', bytes: new Uint8Array() },
    ]);
    expect(await refused(signTiny(odd))).toMatchObject({ reason: 'UNKNOWN_FILE', path: 'odd.bin' });
  });
});

describe('checkPublisher', () => {
  const pinned = { publisher: 'acme-hosting', publicKey: PUBLISHER.keys.publicKey };

  it('asks to pin a publisher never seen, and knows one that was', async () => {
    const pkg = await readPackage(signed);
    expect(checkPublisher(undefined, pkg)).toBe('new');
    expect(checkPublisher(pinned, pkg)).toBe('known');
  });

  it('refuses another key with both fingerprints', async () => {
    const stranger = generateKeyPair();
    const pkg = await readPackage(
      await signPackage(unsigned, { publisher: 'acme-hosting', privateKey: stranger.privateKeyPem }),
    );
    const { reason, data, message } = await refused((async () => checkPublisher(pinned, pkg))());
    expect(reason).toBe('KEY_CHANGED');
    expect(data).toMatchObject({ offeredFingerprint: pkg.fingerprint });
    expect(message).toContain(pkg.fingerprint);
    expect(message).toContain((await readPackage(signed)).fingerprint);
  });
});
