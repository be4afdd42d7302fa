/**
 * Reading a package from a stranger. Outside in: gzip, tar, signature, hashes, and only then the contents; each layer trusts
 * nothing that the next one has not yet proved. What comes out is values in memory, frozen in meaning by the archive's SHA-256.
 */
import { readArchive } from './archive.ts';
import { sortContents } from './contents.ts';
import { fingerprint } from './keys.ts';
import { PACKAGE_LIMITS } from './limits.ts';
import { refusal } from './refusal.ts';
import { checkFiles, readSignature, sha256, SIGNATURE } from './signature.ts';
import type { PackageContents } from './contents.ts';
import type { PackageLimits } from './limits.ts';
import type { SignedManifest } from './signature.ts';

export interface ReadPackage extends Omit<PackageContents, 'identity'> {
  /** `acme-hosting`: as signed, and only as good as the pinned key (publisher.ts). */
  readonly publisher: string;
  /** base64url. */
  readonly publicKey: string;
  /** For people to compare. */
  readonly fingerprint: string;
  /** `Product/VPSHosting`. */
  readonly name: string;
  readonly version: string;
  /** Of the whole archive, in hex: the package's address in the store. */
  readonly sha256: string;
  /** module.json, for the contract to parse. */
  readonly manifest: unknown;
}

function checkIdentity(signed: SignedManifest, contents: PackageContents): void {
  const { name, version } = contents.identity;
  if (signed.name !== name) {
    throw refusal(
      'IDENTITY_MISMATCH',
      `the signature is for ${signed.name}, module.json says ${name}; sign the package again`,
    );
  }
  if (signed.version !== version) {
    throw refusal(
      'IDENTITY_MISMATCH',
      `the signature is for version ${signed.version}, module.json says ${version}; sign the package again`,
    );
  }
}

/**
 * Reads a signed package, or refuses it whole. Takes up to 24 MiB and some hundred milliseconds for the largest; inflating is off the event loop.
 * @throws HostError BAD_INPUT with `data.reason` (see PACKAGE_REASONS) and, where one file is to blame, `data.path`
 */
export async function readPackage(
  bytes: Uint8Array,
  limits: PackageLimits = PACKAGE_LIMITS,
): Promise<ReadPackage> {
  const [first, ...files] = await readArchive(bytes, limits);
  if (first?.path !== SIGNATURE)
    throw refusal(
      'SIGNATURE_MISSING',
      `the package is not signed: ${SIGNATURE} must be its first file; sign it`,
    );
  const { manifest: signed, publicKey } = readSignature(first, limits);
  checkFiles(files, signed);
  const contents = sortContents(files, limits);
  checkIdentity(signed, contents);
  const { identity, ...rest } = contents;
  return {
    ...rest,
    publisher: signed.publisher,
    publicKey,
    fingerprint: fingerprint(publicKey),
    name: identity.name,
    version: identity.version,
    sha256: sha256(bytes),
    manifest: identity.manifest,
  };
}
