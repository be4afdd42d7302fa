/** Packing: a module's folder, on its author's machine, becomes one unsigned archive; sign.ts does the rest. */
import { realpath } from 'node:fs/promises';
import { byPath, readArchive, writeArchive } from './archive.ts';
import { formatMessage } from './build-message.ts';
import { bundleModule } from './bundle.ts';
import { collectFiles, readModuleFile } from './collect.ts';
import { sortContents } from './contents.ts';
import { MODULE_JSON, readIdentity } from './identity.ts';
import { SCRIPT, SOURCE_MAP } from './layout.ts';
import { PACKAGE_LIMITS } from './limits.ts';
import { checkPath } from './path.ts';
import type { PackageFile } from './tar.ts';
import { jsonOf } from './text.ts';

export interface PackOptions {
  /** Gets each warning of the bundler as `file:line:column: text`. */
  readonly onWarning?: (text: string) => void;
  /** Other than module.json's: what is tried while it is being written needs one of its own each time. */
  readonly version?: string;
}

function asVersion(file: PackageFile, version: string): PackageFile {
  const json = jsonOf(file, PACKAGE_LIMITS);
  if (typeof json !== 'object' || json === null) return file;
  return { path: file.path, bytes: Buffer.from(JSON.stringify({ ...json, version })) };
}

/**
 * Bundles a module's code and puts it in an archive with its views, languages and source. The same folder gives the same bytes.
 * @param folder the module's folder, with module.json in it
 * @throws HostError BAD_INPUT with `data.reason`: BUILD_FAILED with `data.errors`, or what a reader would refuse
 */
export async function packModule(folder: string, options: PackOptions = {}): Promise<Uint8Array> {
  const root = await realpath(folder);
  const written = await readModuleFile(root, MODULE_JSON, PACKAGE_LIMITS);
  const moduleJson = options.version === undefined ? written : asVersion(written, options.version);
  const identity = readIdentity(moduleJson, PACKAGE_LIMITS);
  if (identity.logo !== undefined) checkPath(identity.logo, PACKAGE_LIMITS);
  const bundle = await bundleModule(root, identity.entryName);
  for (const warning of bundle.warnings) options.onWarning?.(formatMessage(warning));
  const files = [
    { path: SCRIPT, bytes: bundle.script },
    { path: SOURCE_MAP, bytes: bundle.sourceMap },
    ...(await collectFiles(root, bundle.inputs, identity.logo, PACKAGE_LIMITS)).map((file) =>
      file.path === MODULE_JSON ? moduleJson : file,
    ),
  ];
  for (const file of files) checkPath(file.path, PACKAGE_LIMITS);
  const archive = await writeArchive(files.sort(byPath));
  sortContents(await readArchive(archive, PACKAGE_LIMITS), PACKAGE_LIMITS);
  return archive;
}
