/** Bytes of a stranger's file as text and as JSON: strict UTF-8, bounded, and an error that names the file. */
import { refusal, shown, visible } from './refusal.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

/** The file's text. @throws HostError NOT_UTF8 */
export function textOf({ path, bytes }: PackageFile): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw refusal('NOT_UTF8', `the file ${shown(path)} is not UTF-8 text; save it as UTF-8`, { path });
  }
}

/** The file's JSON, of any shape. @throws HostError FILE_TOO_LARGE, NOT_UTF8, BAD_JSON */
export function jsonOf(file: PackageFile, limits: PackageLimits): unknown {
  const { path, bytes } = file;
  if (bytes.length > limits.jsonBytes) {
    throw refusal('FILE_TOO_LARGE', `the file ${shown(path)} is larger than ${limits.jsonBytes} bytes`, {
      path,
      limitBytes: limits.jsonBytes,
    });
  }
  const text = textOf(file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refusal('BAD_JSON', `the file ${shown(path)} is not JSON: ${visible(why)}`, { path });
  }
}
