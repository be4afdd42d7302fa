/** The files of a package sorted by what they are for, each parsed as far as the host needs it. The same for signed and unsigned ones. */
import * as v from 'valibot';
import { MODULE_JSON, readIdentity } from './identity.ts';
import { isImage, placeOf, SCRIPT, SOURCE_MAP } from './layout.ts';
import { refusal, shown } from './refusal.ts';
import { jsonOf, textOf } from './text.ts';
import type { ModuleIdentity } from './identity.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

export interface PackageContents {
  readonly identity: ModuleIdentity;
  /** Body of `function (require, module, exports) {…}`; sets module.exports to {default, controllers, hooks}. */
  readonly script: string;
  /** A source map as text, unparsed: whoever uses it treats it as the stranger's text that it is. */
  readonly sourceMap: string;
  /** Template text by path under views/, such as `admin_area/product.liquid`. */
  readonly views: Readonly<Record<string, string>>;
  /** Bytes by path under views/assets/, such as `css/style.css`. */
  readonly assets: ReadonlyMap<string, Uint8Array>;
  /** Translations by locale, flat. */
  readonly lang: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly readme: string | undefined;
  /** The author's source by path inside the module, for reading only; nothing proves that the script was made from it. */
  readonly source: ReadonlyMap<string, string>;
  readonly logo: { readonly path: string; readonly bytes: Uint8Array } | undefined;
}

const Translations = v.record(v.string(), v.string());

function translationsOf(file: PackageFile, limits: PackageLimits): Record<string, string> {
  const parsed = v.safeParse(Translations, jsonOf(file, limits));
  if (parsed.success) return parsed.output;
  throw refusal('BAD_JSON', `the file ${shown(file.path)} must map keys to texts, without nesting`, {
    path: file.path,
  });
}

function required(files: ReadonlyMap<string, PackageFile>, path: string): PackageFile {
  const file = files.get(path);
  if (file === undefined) throw refusal('MISSING_FILE', `the package has no ${path}`, { path });
  return file;
}

function logoOf(files: ReadonlyMap<string, PackageFile>, path: string | undefined): PackageContents['logo'] {
  if (path === undefined) return undefined;
  const file = files.get(path);
  if (file === undefined)
    throw refusal(
      'MISSING_FILE',
      `${MODULE_JSON} names the logo ${shown(path)}, which is not in the package`,
      { path },
    );
  if (!isImage(path))
    throw refusal(
      'UNKNOWN_FILE',
      `the logo ${shown(path)} is not an image; use png, jpg, gif, svg, webp or avif`,
      { path },
    );
  return { path, bytes: file.bytes };
}

/** Sorts files into contents. @throws HostError MISSING_FILE, UNKNOWN_FILE, BAD_JSON, NOT_UTF8, FILE_TOO_LARGE */
export function sortContents(list: readonly PackageFile[], limits: PackageLimits): PackageContents {
  const files = new Map(list.map((file) => [file.path, file]));
  const identity = readIdentity(required(files, MODULE_JSON), limits);
  const logo = logoOf(files, identity.logo);
  const views: [string, string][] = [];
  const assets = new Map<string, Uint8Array>();
  const lang: [string, Record<string, string>][] = [];
  const source = new Map<string, string>();
  let readme: string | undefined;
  for (const file of list) {
    const place = placeOf(file.path);
    if (place?.kind === 'view') views.push([place.name, textOf(file)]);
    else if (place?.kind === 'asset') assets.set(place.name, file.bytes);
    else if (place?.kind === 'lang') lang.push([place.name, translationsOf(file, limits)]);
    else if (place?.kind === 'source') source.set(place.name, textOf(file));
    else if (place?.kind === 'readme') readme = textOf(file);
    else if (place === undefined && file.path !== MODULE_JSON && file.path !== identity.logo) {
      throw refusal('UNKNOWN_FILE', `the file ${shown(file.path)} has no place in a module`, {
        path: file.path,
      });
    }
  }
  return {
    identity,
    script: textOf(required(files, SCRIPT)),
    sourceMap: textOf(required(files, SOURCE_MAP)),
    views: Object.fromEntries(views),
    assets,
    lang: Object.fromEntries(lang),
    readme,
    source,
    logo,
  };
}
