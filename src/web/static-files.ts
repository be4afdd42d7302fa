/**
 * Static files, all served by us: no CDN learns who uses a panel. Each file's URL holds a hash of its content, so it is cached for
 * ever and never stale. They are public and readable from any origin on purpose: a module's frame has an opaque origin, and fonts are
 * fetched with CORS.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context } from 'hono';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { RootEnv } from './env.ts';
import { WEB_LIMITS } from './limits.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.map': 'application/json',
};
const COMPRESSIBLE = new Set(['.css', '.js', '.svg']);
const HASH_CHARS = 12;
const compress = promisify(gzip);

/** The media type of a file by its ending; bytes to be saved if it is none we know. */
export function mediaType(path: string): string {
  return TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
}

interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly compressible: boolean;
  gzipped?: Promise<Buffer>;
}

export interface StaticFiles {
  /** @throws HostError INTERNAL for a name that is no static file */
  url(name: string): string;
  serve(c: Context<RootEnv>, hash: string, name: string): Promise<Response>;
}

const require = createRequire(import.meta.url);

function packageFolder(name: string): string {
  return dirname(require.resolve(`${name}/package.json`));
}

function sources(): Record<string, string> {
  const tabler = packageFolder('@tabler/core');
  const awesome = packageFolder('@fortawesome/fontawesome-free');
  const own = fileURLToPath(new URL('static', import.meta.url));
  const fonts = readdirSync(join(awesome, 'webfonts'));
  return {
    'tabler.css': join(tabler, 'dist/css/tabler.min.css'),
    'tabler.js': join(tabler, 'dist/js/tabler.min.js'),
    // The style sheet names its fonts as ../webfonts/…: the two share one hash and one folder above them.
    'fa/css/all.css': join(awesome, 'css/all.min.css'),
    ...Object.fromEntries(fonts.map((font) => [`fa/webfonts/${font}`, join(awesome, 'webfonts', font)])),
    ...Object.fromEntries(readdirSync(own).map((name) => [name, join(own, name)])),
  };
}

function hashOf(...parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, HASH_CHARS);
}

export function loadStaticFiles(base: string): StaticFiles {
  const files = new Map<string, StaticFile>();
  for (const [name, path] of Object.entries(sources())) {
    const bytes = readFileSync(path);
    const compressible = COMPRESSIBLE.has(extname(name)) && bytes.length >= WEB_LIMITS.compressFromBytes;
    files.set(name, { bytes, type: mediaType(name), compressible });
  }
  const awesome = [...files].filter(([name]) => name.startsWith('fa/')).map(([, file]) => file.bytes);
  const awesomeHash = hashOf(...awesome);
  const hashes = new Map(
    [...files].map(([name, file]) => [name, name.startsWith('fa/') ? awesomeHash : hashOf(file.bytes)]),
  );
  return {
    url(name) {
      const hash = hashes.get(name);
      if (hash === undefined) throw new HostError('INTERNAL', `There is no static file "${name}".`);
      return `${base}/static/${hash}/${name}`;
    },
    async serve(c, hash, name) {
      const file = files.get(name);
      if (file === undefined) throw new HostError('NOT_FOUND', 'There is no such file.');
      c.header('Content-Type', file.type);
      c.header('Access-Control-Allow-Origin', '*');
      c.header('Cross-Origin-Resource-Policy', 'cross-origin');
      // A page of an older release may ask by its older hash: it gets today's file, and is told not to keep it.
      const fresh = hashes.get(name) === hash;
      c.header('Cache-Control', fresh ? 'public, max-age=31536000, immutable' : 'no-cache');
      if (!file.compressible || !(c.req.header('accept-encoding') ?? '').includes('gzip'))
        return c.body(new Uint8Array(file.bytes));
      file.gzipped ??= compress(file.bytes);
      c.header('Content-Encoding', 'gzip');
      c.header('Vary', 'Accept-Encoding');
      return c.body(new Uint8Array(await file.gzipped));
    },
  };
}
