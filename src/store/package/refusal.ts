/**
 * Why a package, or a folder to be packed, is refused. Closed, because the store's pages and the kit look reasons up by name;
 * the text beside each reason is written for the person who has to mend it.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';

/** Every reason, with what it means. A new way to be refused needs a line here. */
export const PACKAGE_REASONS = {
  TOO_LARGE: 'The archive, or what it unpacks to, is larger than allowed.',
  FILE_TOO_LARGE: 'One file is larger than allowed.',
  TOO_MANY_FILES: 'There are more files than allowed.',
  NOT_GZIP: 'The bytes are not a gzip archive.',
  TRUNCATED: 'The archive ends too early.',
  CORRUPT: 'The archive is damaged.',
  TRAILING_DATA: 'Bytes follow the end of the archive.',
  SEVERAL_MEMBERS: 'The gzip file holds more than one member.',
  NOT_CANONICAL: 'The archive is readable but not written the way pack writes it.',
  EXTENDED_HEADER: 'The tar uses pax extensions.',
  NOT_A_FILE: 'An entry is a link, folder or device.',
  ABSOLUTE_PATH: 'A path starts at a root.',
  PATH_TRAVERSAL: 'A path leaves the package.',
  BACKSLASH: 'A path has a backslash.',
  CONTROL_CHARACTER: 'A path has invisible or unassigned characters.',
  NOT_UTF8: 'A name or a text file is not UTF-8.',
  NOT_NFC: 'A name is not in Unicode normal form C.',
  DOTFILE: 'A path part starts with a dot.',
  BAD_PATH: 'A path has an empty part or a character that is not allowed.',
  PATH_TOO_LONG: 'A path is longer or deeper than allowed.',
  DUPLICATE: 'Two entries have the same path.',
  COLLISION: 'Two paths differ only by case or by look, or one is a file and a folder at once.',
  UNKNOWN_FILE: 'A file has no place in a module.',
  MISSING_FILE: 'A file that every module needs is not there.',
  BAD_JSON: 'A JSON file cannot be parsed or has the wrong shape.',
  SIGNATURE_MISSING: 'The package is not signed.',
  ALREADY_SIGNED: 'The package to be signed has a signature.',
  SIGNATURE_BROKEN: 'SIGNATURE.json is not what sign writes.',
  BAD_SIGNATURE: 'The signature does not fit the manifest and key.',
  NOT_IN_MANIFEST: 'A file is not in the signed manifest.',
  MISSING_FROM_ARCHIVE: 'A file of the signed manifest is not in the archive.',
  SIZE_MISMATCH: 'A file has another size than was signed.',
  HASH_MISMATCH: 'A file has other bytes than were signed.',
  IDENTITY_MISMATCH: 'The signed publisher, name or version is not that of module.json.',
  BAD_KEY: 'A key is not an Ed25519 key.',
  BAD_PUBLISHER: 'A publisher name is not allowed.',
  KEY_CHANGED: 'The publisher signs with another key than before.',
  BUILD_FAILED: 'The module’s code cannot be bundled.',
} as const;

export type PackageReason = keyof typeof PACKAGE_REASONS;

/** What `HostError.data` holds for every error of this folder. */
export interface RefusalData {
  readonly reason: PackageReason;
  readonly path?: string;
  readonly [detail: string]: unknown;
}

const SHOWN_CHARACTERS = 160;

/** A text from a stranger, made fit for a message: invisible characters written as codes, cut when long. */
export function visible(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return cut.replace(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A name from a stranger, visible and quoted. */
export function shown(name: string): string {
  return `“${visible(name)}”`;
}

/** The error for one refusal: code BAD_INPUT, the reason in `data`. */
export function refusal(
  reason: PackageReason,
  message: string,
  details: Omit<RefusalData, 'reason'> = {},
): HostError {
  const data: RefusalData = { ...details, reason };
  return new HostError('BAD_INPUT', message, { data });
}
