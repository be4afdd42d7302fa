/** Signing: the author's last step. What is signed has been read as strictly as any panel will read it. */
import * as v from 'valibot';
import { readArchive, writeArchive } from './archive.ts';
import { sortContents } from './contents.ts';
import { PACKAGE_LIMITS } from './limits.ts';
import { readPackage } from './read.ts';
import { refusal } from './refusal.ts';
import { PublisherName, SIGNATURE, signedFiles, signManifest } from './signature.ts';

export interface SignOptions {
  /** `acme-hosting` */
  readonly publisher: string;
  /** PKCS#8 PEM of an Ed25519 key. */
  readonly privateKey: string;
}

/** Signs what packModule made; the answer is the package to publish. @throws HostError BAD_INPUT with `data.reason` */
export async function signPackage(unsigned: Uint8Array, options: SignOptions): Promise<Uint8Array> {
  const publisher = v.safeParse(PublisherName, options.publisher);
  if (!publisher.success)
    throw refusal(
      'BAD_PUBLISHER',
      'write a publisher’s name in lower case, like acme-hosting, at most 40 characters',
    );
  const files = await readArchive(unsigned, PACKAGE_LIMITS);
  if (files.some((file) => file.path === SIGNATURE))
    throw refusal('ALREADY_SIGNED', 'the package is signed already; pack the module again');
  const { name, version } = sortContents(files, PACKAGE_LIMITS).identity;
  const manifest = {
    format: 1 as const,
    publisher: publisher.output,
    name,
    version,
    files: signedFiles(files),
  };
  const signed = await writeArchive([signManifest(manifest, options.privateKey), ...files]);
  await readPackage(signed);
  return signed;
}
