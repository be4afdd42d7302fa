/**
 * The signature: one canonical list of every file, signed once. It is the archive's first entry, so that a reader knows what to
 * expect before anything else, and it holds the public key, which proves nothing by itself: publisher.ts pins it.
 */
import { createHash, sign, verify } from 'node:crypto';
import * as v from 'valibot';
import { bytesOfBase64url } from './base64url.ts';
import { canonicalJson } from './canonical-json.ts';
import { Version } from './identity.ts';
import { readPrivateKey, readPublicKey } from './keys.ts';
import { refusal, shown, visible } from './refusal.ts';
import { jsonOf } from './text.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

export const SIGNATURE = 'SIGNATURE.json';

/** Signed in front of the manifest, so that a signature made for anything else never fits a package. */
const PURPOSE = 'bulkhead package\n';

const SIGNATURE_BYTES = 64;
const SHA256_HEX = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** A publisher's name: lower case words joined by dashes. It is the first part of publisher/Type/Name. */
export const PublisherName = v.pipe(
  v.string(),
  v.maxLength(40),
  v.regex(/^[a-z][a-z0-9]+(?:-[a-z0-9]+)*$/, 'write a publisher’s name in lower case, like acme-hosting'),
);

const SignedFile = v.strictObject({
  path: v.string(),
  sizeBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256: SHA256_HEX,
});

const SignedManifest = v.strictObject({
  format: v.literal(1),
  publisher: PublisherName,
  name: v.pipe(v.string(), v.maxLength(130)),
  version: Version,
  files: v.array(SignedFile),
});

const Signature = v.strictObject({
  manifest: SignedManifest,
  publicKey: v.string(),
  signature: v.string(),
});

export type SignedManifest = v.InferOutput<typeof SignedManifest>;
export type Signature = v.InferOutput<typeof Signature>;

/** SHA-256 in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The manifest's entry for each file, in the order given. */
export function signedFiles(files: readonly PackageFile[]): SignedManifest['files'] {
  return files.map(({ path, bytes }) => ({ path, sizeBytes: bytes.length, sha256: sha256(bytes) }));
}

function message(manifest: SignedManifest): Uint8Array {
  return Buffer.from(PURPOSE + canonicalJson(manifest), 'utf8');
}

/** Signs a manifest; the answer is the archive's first file. @throws HostError BAD_KEY */
export function signManifest(manifest: SignedManifest, privateKeyPem: string): PackageFile {
  const { key, publicKey } = readPrivateKey(privateKeyPem);
  const signature = sign(null, message(manifest), key).toString('base64url');
  return { path: SIGNATURE, bytes: Buffer.from(canonicalJson({ manifest, publicKey, signature }), 'utf8') };
}

/** Reads SIGNATURE.json and checks the signature against the key inside it. @throws HostError SIGNATURE_BROKEN, BAD_KEY, BAD_SIGNATURE */
export function readSignature(file: PackageFile, limits: PackageLimits): Signature {
  const parsed = v.safeParse(Signature, jsonOf(file, limits));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw refusal(
      'SIGNATURE_BROKEN',
      `${SIGNATURE}: ${visible(v.getDotPath(issue) ?? 'the file')}: ${visible(issue.message)}`,
    );
  }
  if (Buffer.compare(file.bytes, Buffer.from(canonicalJson(parsed.output), 'utf8')) !== 0) {
    throw refusal('SIGNATURE_BROKEN', `${SIGNATURE} is not written in its one canonical form`);
  }
  const { manifest, publicKey, signature } = parsed.output;
  const signatureBytes = bytesOfBase64url(signature, SIGNATURE_BYTES);
  if (signatureBytes === undefined) {
    throw refusal('SIGNATURE_BROKEN', `${SIGNATURE}: signature: write 64 bytes as base64url`);
  }
  if (!verify(null, message(manifest), readPublicKey(publicKey), signatureBytes)) {
    throw refusal('BAD_SIGNATURE', 'the signature does not fit; the package was changed after it was signed');
  }
  return parsed.output;
}

/** Compares the archive's files with the signed list: the same paths, in the same order, of the same bytes. @throws HostError */
export function checkFiles(files: readonly PackageFile[], manifest: SignedManifest): void {
  const signed = new Map(manifest.files.map((entry) => [entry.path, entry]));
  for (const { path, bytes } of files) {
    const entry = signed.get(path);
    if (entry === undefined)
      throw refusal('NOT_IN_MANIFEST', `the file ${shown(path)} is not in the signed manifest`, { path });
    if (entry.sizeBytes !== bytes.length) {
      throw refusal(
        'SIZE_MISMATCH',
        `the file ${shown(path)} has ${bytes.length} bytes, ${entry.sizeBytes} were signed`,
        { path },
      );
    }
    if (entry.sha256 !== sha256(bytes))
      throw refusal('HASH_MISMATCH', `the file ${shown(path)} has other bytes than were signed`, { path });
  }
  const present = new Set(files.map((file) => file.path));
  const missing = manifest.files.find((entry) => !present.has(entry.path));
  if (missing)
    throw refusal('MISSING_FROM_ARCHIVE', `the signed file ${shown(missing.path)} is not in the archive`, {
      path: missing.path,
    });
  if (manifest.files.some((entry, at) => entry.path !== files[at]?.path)) {
    throw refusal('NOT_CANONICAL', 'the files are not in the signed order; sign the package again');
  }
}
