/**
 * The inner layer: a tar of regular files. Tar has forty years of extensions and every reader understands other ones, so ours
 * understands none: after the library has parsed an archive, its files are written again and the two must be the same bytes.
 * Whatever hides in a header (a second name behind a NUL, GNU long names, owner texts, padding) then shows as a difference.
 */
import { packTar, unpackTar } from 'modern-tar';
import type { TarHeader } from 'modern-tar';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { checkPath, PathSet } from './path.ts';
import { refusal, shown } from './refusal.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageReason } from './refusal.ts';

/** One file of a package. */
export interface PackageFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 512;

/** What the library's texts mean in our terms; anything else it says is CORRUPT. */
const LIBRARY_REASONS: ReadonlyMap<string, PackageReason> = new Map([
  ['Tar archive is truncated.', 'TRUNCATED'],
  ['Invalid EOF.', 'TRAILING_DATA'],
]);

/** Writes files as a tar, in the order given; the same files always give the same bytes. */
export async function writeTar(files: readonly PackageFile[]): Promise<Uint8Array> {
  const fixed = { mtime: new Date(0), mode: 0o644, uid: 0, gid: 0, type: 'file' } as const;
  return packTar(
    files.map(({ path, bytes }) => ({ header: { ...fixed, name: path, size: bytes.length }, body: bytes })),
  );
}

function checkHeader(header: TarHeader, seen: PathSet, limits: PackageLimits): void {
  const path = header.name;
  if (header.pax !== undefined)
    throw refusal('EXTENDED_HEADER', `the entry ${shown(path)} uses a pax header; pack the module again`, {
      path,
    });
  checkPath(header.type === 'directory' ? path.replace(/\/$/, '') : path, limits);
  if (header.type !== 'file') {
    throw refusal(
      'NOT_A_FILE',
      `the entry ${shown(path)} is a ${header.type ?? 'thing'}; a package holds files only`,
      { path },
    );
  }
  if (header.size > limits.fileBytes) {
    throw refusal('FILE_TOO_LARGE', `the file ${shown(path)} is larger than ${limits.fileBytes} bytes`, {
      path,
      limitBytes: limits.fileBytes,
    });
  }
  if (seen.size >= limits.files) {
    throw refusal('TOO_MANY_FILES', `the package has more than ${limits.files} files`, {
      limit: limits.files,
    });
  }
  seen.add(path);
}

/** Where two buffers first differ, or undefined when they are equal. */
function firstDifference(left: Uint8Array, right: Uint8Array): number | undefined {
  if (Buffer.compare(left, right) === 0) return undefined;
  const shorter = Math.min(left.length, right.length);
  let at = 0;
  while (at < shorter && left[at] === right[at]) at++;
  return at;
}

/** The file whose header, bytes or padding lie at an offset of the tar that writeTar would make. */
function fileAt(files: readonly PackageFile[], offset: number): string | undefined {
  let end = 0;
  return files.find(({ bytes }) => {
    end += HEADER_BYTES + Math.ceil(bytes.length / HEADER_BYTES) * HEADER_BYTES;
    return offset < end;
  })?.path;
}

async function checkCanonical(tar: Uint8Array, files: readonly PackageFile[]): Promise<void> {
  const expected = await writeTar(files);
  const at = firstDifference(tar, expected);
  if (at === undefined) return;
  if (at === expected.length)
    throw refusal('TRAILING_DATA', `${tar.length - at} bytes follow the end of the tar`);
  const path = fileAt(files, at);
  const where = path === undefined ? 'after the last file' : `in the entry ${shown(path)}`;
  throw refusal(
    'NOT_CANONICAL',
    `the tar differs from what “bulkhead module pack” writes at byte ${at}, ${where}`,
    path === undefined ? {} : { path },
  );
}

/** Reads a tar that writeTar could have written; every path and size is checked before its bytes are taken. @throws HostError BAD_INPUT */
export async function readTar(tar: Uint8Array, limits: PackageLimits): Promise<PackageFile[]> {
  const seen = new PathSet();
  try {
    const entries = await unpackTar(tar, {
      strict: true,
      map(header) {
        checkHeader(header, seen, limits);
        return header;
      },
    });
    const files = entries.map(({ header, data }) => ({ path: header.name, bytes: data ?? new Uint8Array() }));
    await checkCanonical(tar, files);
    return files;
  } catch (error) {
    if (error instanceof HostError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw refusal(
      LIBRARY_REASONS.get(text) ?? 'CORRUPT',
      `the tar inside the package cannot be read: ${text}`,
    );
  }
}
