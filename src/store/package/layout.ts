/**
 * What a path inside a package is for. Packing and reading share this one table, so nothing can be packed that is not read
 * and nothing be read that has no use; a file without a place is refused and never silently carried along.
 */

/** The bundled script, a CommonJS-like body. */
export const SCRIPT = 'module.js';
export const SOURCE_MAP = 'module.js.map';
export const README = 'README.md';
export const SOURCE_FOLDER = 'src/';

const IMAGE = /\.(?:png|jpe?g|gif|svg|webp|avif)$/i;
const ASSET = /\.(?:css|m?js|map|json|txt|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf)$/i;
const SOURCE = /\.(?:[mc]?[jt]s|json)$/;
const LOCALE = /^[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,4})?$/;

/** A file's place; `name` is its path without the folder and, for views and languages, with and without the ending. */
export type Place =
  | { readonly kind: 'script' | 'sourceMap' | 'readme' }
  | { readonly kind: 'view' | 'asset' | 'lang' | 'source'; readonly name: string };

function under(path: string, folder: string): string | undefined {
  return path.startsWith(folder) ? path.slice(folder.length) : undefined;
}

/** Where a file belongs, or undefined when it has no place. module.json and the logo it names are the caller's. */
export function placeOf(path: string): Place | undefined {
  if (path === SCRIPT) return { kind: 'script' };
  if (path === SOURCE_MAP) return { kind: 'sourceMap' };
  if (path === README) return { kind: 'readme' };
  const asset = under(path, 'views/assets/');
  if (asset !== undefined) return ASSET.test(asset) ? { kind: 'asset', name: asset } : undefined;
  const view = under(path, 'views/');
  if (view !== undefined) return view.endsWith('.liquid') ? { kind: 'view', name: view } : undefined;
  const locale = under(path, 'lang/')?.match(/^(.*)\.json$/)?.[1];
  if (locale !== undefined) return LOCALE.test(locale) ? { kind: 'lang', name: locale } : undefined;
  const source = under(path, SOURCE_FOLDER);
  if (source !== undefined) return SOURCE.test(source) ? { kind: 'source', name: source } : undefined;
  return undefined;
}

/** True for a path that may be a logo: an image. */
export function isImage(path: string): boolean {
  return IMAGE.test(path);
}
