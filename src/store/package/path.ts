/**
 * Which paths a package may hold. Nothing is ever extracted, yet paths become URLs, template names and links on store pages,
 * so a path must mean one thing to everyone: no roots, no `..`, no look-alikes, nothing that a case-blind disk would merge.
 */
import { refusal, shown } from './refusal.ts';
import type { PackageLimits } from './limits.ts';

/** Letters, digits and marks of any script, and a few signs that mean nothing special in a URL path or a template name. */
const SEGMENT = /^[\p{L}\p{N}_@+()[\]-](?:[\p{L}\p{N}\p{M}_@+()[\]. -]*[\p{L}\p{N}\p{M}_@+()[\]-])?$/u;

const utf8 = new TextEncoder();

/** Throws the refusal that fits, if a path may not be in a package. */
export function checkPath(path: string, limits: PackageLimits): void {
  const refuse = (reason: Parameters<typeof refusal>[0], why: string) =>
    refusal(reason, `the path ${shown(path)} ${why}`, { path });
  if (path.includes('\uFFFD')) throw refuse('NOT_UTF8', 'is not UTF-8');
  if (/\p{C}/u.test(path))
    throw refuse('CONTROL_CHARACTER', 'has invisible or unassigned characters; rename the file');
  if (path.includes('\\')) throw refuse('BACKSLASH', 'has a backslash; paths are written with /');
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path))
    throw refuse('ABSOLUTE_PATH', 'starts at a root; paths start at the module’s folder');
  const segments = path.split('/');
  if (segments.includes('..')) throw refuse('PATH_TRAVERSAL', 'leaves the package');
  if (path.normalize('NFC') !== path)
    throw refuse('NOT_NFC', 'is not in Unicode normal form C; rename the file');
  if (utf8.encode(path).length > limits.pathBytes)
    throw refuse('PATH_TOO_LONG', `is longer than ${limits.pathBytes} bytes`);
  if (segments.length > limits.pathSegments)
    throw refuse('PATH_TOO_LONG', `has more than ${limits.pathSegments} parts`);
  for (const segment of segments) {
    if (segment !== '.' && segment.startsWith('.'))
      throw refuse('DOTFILE', 'has a part that starts with a dot');
    if (utf8.encode(segment).length > limits.segmentBytes)
      throw refuse('PATH_TOO_LONG', `has a part longer than ${limits.segmentBytes} bytes`);
    if (!SEGMENT.test(segment))
      throw refuse(
        'BAD_PATH',
        'has an empty part, or a character other than letters, digits, space and . _ - @ + ( ) [ ]',
      );
  }
}

/** What a path looks like to a reader or a disk that is blind to case, width and ligatures. */
function folded(path: string): string {
  return path.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
}

/** The paths seen so far. `add` refuses a path that is there already, or that could be taken for one that is. */
export class PathSet {
  readonly #files = new Set<string>();
  readonly #spellings = new Map<string, string>();

  /** How many files were added. */
  get size(): number {
    return this.#files.size;
  }

  add(path: string): void {
    if (this.#files.has(path)) throw refusal('DUPLICATE', `the archive has ${shown(path)} twice`, { path });
    const segments = path.split('/');
    for (let length = 1; length <= segments.length; length++) {
      const part = segments.slice(0, length).join('/');
      const spelling = length === segments.length ? part : `${part}/`;
      const known = this.#spellings.get(folded(part));
      if (known !== undefined && known !== spelling) {
        throw refusal(
          'COLLISION',
          `the path ${shown(spelling)} can be mistaken for ${shown(known)}; rename one of them`,
          { path, other: known },
        );
      }
      this.#spellings.set(folded(part), spelling);
    }
    this.#files.add(path);
  }
}
