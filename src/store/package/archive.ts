/**
 * A package as bytes: files in, one .tgz out, and back. No file of this folder but collect.ts and bundle.ts (the author's side)
 * touches a disk: a stranger's package lives in memory from the first byte to the last.
 */
import { gunzipOne, gzipOne } from './gzip.ts';
import { readTar, writeTar } from './tar.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

/** Compares by code unit, so that the order does not depend on a locale. */
export function byPath(left: { readonly path: string }, right: { readonly path: string }): number {
  if (left.path === right.path) return 0;
  return left.path < right.path ? -1 : 1;
}

/** Makes an archive of files, in the order given. */
export async function writeArchive(files: readonly PackageFile[]): Promise<Uint8Array> {
  return gzipOne(await writeTar(files));
}

/** The files of an archive, in its order, strictly checked; nothing is said about what they mean. @throws HostError BAD_INPUT */
export async function readArchive(bytes: Uint8Array, limits: PackageLimits): Promise<PackageFile[]> {
  return readTar(await gunzipOne(bytes, limits), limits);
}
